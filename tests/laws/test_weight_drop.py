"""What holds of every layer that drops a share of its recurrent weights (Merity et al. 2018)."""

import copy
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.models.cells import CELLS
from charrnn.models.kernels import FUSED
from charrnn.models.language_model import LanguageModel
from charrnn.models.layers import Recurrent, time_major
from tests.cases import each
from tests.laws.layers import (
    EXACT,
    HIDDEN,
    INPUTS,
    NAMES,
    assert_same,
    fresh,
    generator,
    normal,
    read_by_formula,
    some_state,
    trained,
)
from tests.laws.twins.cells import TWINS

DROPPED = 0.4
# Which matrices multiply what a layer remembers: these are dropped, and no others.
RECURRENT = {name: [of for of, weight in CELLS[name].table().items() if weight.recurrent] for name in NAMES}
DROPPING = [name for name in NAMES if RECURRENT[name]]


@each("name", NAMES)
def test_recurrent_are_the_matrices_that_come_to_nothing_where_nothing_is_remembered(name: str) -> None:
    """By the twin: square for each gate, and of no effect on a step from an empty memory, but on the next."""
    weights = {of: weight.detach().numpy() for of, weight in trained(name).rnn.named_parameters()}
    empty = tuple(np.zeros(HIDDEN) for _ in CELLS[name].state_names)
    x = normal(INPUTS).numpy()

    def after(steps: int, weights: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        state = empty
        for _ in range(steps):
            state = TWINS[name](x, state, weights)
        return state[0]

    found = []
    for of, weight in weights.items():
        if weight.ndim == 2 and weight.shape[1] == HIDDEN and len(weight) % HIDDEN == 0:
            changed = {**weights, of: 0.5 * weight}
            assert not np.allclose(after(3, weights), after(3, changed)), of
            if np.array_equal(after(1, weights), after(1, changed)):
                found.append(of)
    assert found == [of for of in weights if of in RECURRENT[name]]


def dropping(name: str, inputs: int = INPUTS, hidden: int = HIDDEN, share: float = DROPPED) -> Recurrent:
    """The layer of `trained`, in training, that drops recurrent weights."""
    layer = Recurrent(CELLS[name], inputs, hidden, share).double()
    layer.load_state_dict(trained(name, inputs, hidden).state_dict())
    return layer.train()


def used(name: str, layer: Recurrent) -> dict[str, Tensor]:
    """The recurrent matrices that a window would now be read with."""
    weights = layer.cell().weights
    return {of: (weights.extra.get(of, weights.w_hh)).detach() for of in RECURRENT[name]}


def thinned(name: str, layer: Recurrent, seed: int) -> tuple[Recurrent, dict[str, Tensor]]:
    """A plain layer whose recurrent weights are those that `layer` uses in the window after this seed; the masks."""
    torch.manual_seed(seed)
    left = used(name, layer)
    twin = trained(name, layer.rnn.get_parameter("weight_ih_l0").shape[1], layer.hidden)
    with torch.no_grad():
        for of, weight in left.items():
            twin.rnn.get_parameter(of).copy_(weight)
    return twin, {of: weight != 0 for of, weight in left.items()}


@each("name", DROPPING)
@each("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_recurrent_weights_is_zero_and_the_others_are_scaled(name: str, share: float) -> None:
    layer = dropping(name, hidden=40, share=share)
    torch.manual_seed(3)
    for of, left in used(name, layer).items():
        weight, kept = layer.rnn.get_parameter(of), left != 0
        assert left.shape == weight.shape
        torch.testing.assert_close(left[kept], weight.detach()[kept] / (1 - share), rtol=1e-12, atol=0)
        deviation = math.sqrt(share * (1 - share) / kept.numel())
        assert abs(float((~kept).double().mean()) - share) < 4 * deviation
        # Single weights are dropped, not rows or columns of them: the number that is left varies as coins do.
        for axis in (0, 1):
            means = kept.double().mean(axis)
            expected = math.sqrt(share * (1 - share) / kept.shape[axis])
            assert 0.5 * expected < float(means.std()) < 1.6 * expected


@each("name", [name for name in NAMES if not RECURRENT[name]])
def test_a_cell_without_recurrent_matrices_has_nothing_to_drop(name: str) -> None:
    assert not any(weight.recurrent for weight in CELLS[name].table().values())
    with pytest.raises(ConfigError, match=f"{name} has no recurrent matrices to drop"):
        LanguageModel(ModelConfig(vocab_size=3, start_id=3, cell=name, weight_drop=0.2))


@each("name", DROPPING)
@each("gradients", [True, False])
@each("size", [(1, 1), (1, 9), (3, 35)])
def test_one_mask_serves_a_whole_window(name: str, gradients: bool, size: tuple[int, int]) -> None:
    """The layer, by its kernel or its formula, equals a plain layer over the thinned weights, step by step."""
    layer, (batch, time) = dropping(name), size
    x, state = normal(batch, time, INPUTS), some_state(layer, batch)
    twin, _ = thinned(name, layer, seed=5)
    torch.manual_seed(5)
    with torch.set_grad_enabled(gradients):
        found = layer(x, state)
        assert_same(found, read_by_formula(twin.cell(), x, state))
        assert not torch.isclose(found[0], trained(name)(x, state)[0]).all()


@each("name", [cell.name for cell in FUSED])
@each("gradients", [True, False])
def test_torchs_kernel_and_the_formula_drop_alike(name: str, gradients: bool) -> None:
    layer = dropping(name)
    x, state = time_major(normal(3, 20, INPUTS)), some_state(layer, 3)
    with torch.set_grad_enabled(gradients):
        torch.manual_seed(8)
        by_kernel = layer._through_kernel(x, state)
        torch.manual_seed(8)
        by_formula = layer._through_formula(x, state)
        torch.manual_seed(9)
        otherwise = layer._through_kernel(x, state)
    assert_same(by_kernel, by_formula)
    assert not torch.isclose(by_kernel[0], otherwise[0]).all()


@each("name", DROPPING)
@each("gradients", [True, False])
def test_each_window_has_a_mask_of_its_own(name: str, gradients: bool) -> None:
    layer = dropping(name)
    x, state = normal(2, 6, INPUTS), some_state(layer, 2)
    with torch.set_grad_enabled(gradients):
        assert not torch.isclose(layer(x, state)[0], layer(x, state)[0]).all()


@each("name", DROPPING)
def test_gradients_reach_the_weights_that_were_used_and_no_others(name: str) -> None:
    layer = dropping(name)
    x, weighting = normal(3, 20, INPUTS), normal(3, 20, HIDDEN, seed=1)
    twin, masks = thinned(name, layer, seed=6)
    torch.manual_seed(6)
    for read in (layer, twin):
        torch.autograd.backward((read(x, some_state(read, 3))[0] * weighting).sum())
    assert all(kept.any() and not kept.all() for kept in masks.values())
    for own, other in zip(layer.named_parameters(), twin.named_parameters(), strict=True):
        found, expected = own[1].grad, other[1].grad
        assert own[0] == other[0] and found is not None and expected is not None
        kept = masks.get(own[0].removeprefix("rnn."))
        if kept is not None:
            assert not found[~kept].any()
            expected = expected * kept / (1 - DROPPED)
        assert (found - expected).abs().max() < EXACT


@each("name", DROPPING)
@each("gradients", [True, False])
def test_nothing_is_dropped_outside_training_and_no_weight_is_changed_by_dropping(name: str, gradients: bool) -> None:
    plain, layer = trained(name), dropping(name)
    x, state = normal(2, 6, INPUTS), some_state(plain, 2)
    with torch.set_grad_enabled(gradients):
        layer(x, state)
        assert layer.state_dict().keys() == plain.state_dict().keys()
        assert all(torch.equal(layer.state_dict()[key], value) for key, value in plain.state_dict().items())
        assert all(isinstance(weight, nn.Parameter) for weight in layer.rnn.parameters())
        assert_same(layer.eval()(x, state), plain.eval()(x, state), tolerance=0)
        torch.manual_seed(1)
        assert all(torch.equal(weight, used(name, plain)[of]) for of, weight in used(name, layer).items())
        # And again as before, when training goes on.
        assert not torch.isclose(layer.train()(x, state)[0], plain(x, state)[0]).all()


@each("name", DROPPING)
def test_a_layer_that_drops_begins_as_one_that_does_not(name: str) -> None:
    layer = Recurrent(CELLS[name], INPUTS, HIDDEN, DROPPED).double().train()
    layer.initialise(generator(0))
    expected = fresh(name).state_dict()
    assert layer.state_dict().keys() == expected.keys()
    assert all(torch.equal(layer.state_dict()[key], value) for key, value in expected.items())


@each("name", DROPPING)
def test_a_layer_that_drops_can_be_copied_after_a_step(name: str) -> None:
    layer = dropping(name)
    torch.autograd.backward(layer(normal(2, 6, INPUTS), some_state(layer, 2))[0].sum())
    twin = copy.deepcopy(layer)
    assert all(torch.equal(one, other) for one, other in zip(layer.parameters(), twin.parameters(), strict=True))
