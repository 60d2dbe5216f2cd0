"""Every cell against its twin: its paper's equations, written out in NumPy for one row and one step."""

import numpy as np
import torch

from charrnn.models.cells import CELLS
from tests.cases import each
from tests.laws.layers import EXACT, HIDDEN, INPUTS, NAMES, normal, some_state, trained
from tests.laws.twins.cells import TWINS


def test_every_cell_has_its_equations() -> None:
    assert set(CELLS) <= set(TWINS), f"write down the equations of {', '.join(set(CELLS) - set(TWINS))}"


@each("name", NAMES)
@each("gradients", [True, False])
def test_the_layer_equals_the_equations(name: str, gradients: bool) -> None:
    layer, twin = trained(name), TWINS[name]
    weights = {of: weight.detach().numpy() for of, weight in layer.rnn.named_parameters()}
    x, state = normal(2, 20, INPUTS), some_state(layer, 2)
    with torch.set_grad_enabled(gradients):
        y, left = layer(x, state)
    for row in range(2):
        expected = tuple(part[row].numpy() for part in state)
        for t in range(20):
            expected = twin(x[row, t].numpy(), expected, weights)
            np.testing.assert_allclose(y[row, t].detach().numpy(), expected[0], rtol=EXACT, atol=EXACT)
        for part, own in zip(left, expected, strict=True):
            np.testing.assert_allclose(part[row].detach().numpy(), own, rtol=EXACT, atol=EXACT)


@each("pair", [("gru", "gru-update"), ("gru-before", "gru-before-update")])
def test_the_two_conventions_of_z_are_one_network_with_z_negated(pair: tuple[str, str]) -> None:
    """Cho et al.'s z is one minus Chung et al.'s: the weights of z change their sign."""
    cho, chung = map(trained, pair)
    chung.load_state_dict(cho.state_dict())
    with torch.no_grad():
        for name, weight in chung.rnn.named_parameters():
            if name != "weight_hn":
                weight[HIDDEN : 2 * HIDDEN].neg_()
    x, state = normal(2, 20, INPUTS), some_state(cho, 2)
    assert (cho(x, state)[0] - chung(x, state)[0]).abs().max() < EXACT
