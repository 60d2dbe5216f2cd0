"""One token after another: the same numbers as the model's own forward, whoever stands beside a row."""

from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig
from charrnn.generation.decoder import PROMPT_WINDOW, Decoder, linear_by_rows
from charrnn.models.cells import States
from charrnn.models.language_model import LanguageModel, carry
from charrnn.models.layers import LAYERS

every_cell = pytest.mark.parametrize("cell", list(LAYERS))
every_shape = pytest.mark.parametrize(
    "shape",
    [
        {},
        {"layers": 1},
        {"layers": 3, "embedding": 5},
        {"embedding": 8, "tie": True},
        {"vocab_size": 12},
        {"vocab_size": 12, "embedding": 8, "tie": True},
    ],
    ids=str,
)
formats = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(dtype: torch.dtype = torch.float64, **fields: Any) -> LanguageModel:
    """Eleven symbols, two layers, no weight special, not in training."""
    chosen: dict[str, Any] = {"vocab_size": 11, "start_id": 11, "embedding": 6, "hidden": 8, "layers": 2} | fields
    model = LanguageModel(ModelConfig(**chosen)).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=generator(number), dtype=torch.float64)
            parameter.copy_(noise / max(2.0, parameter.shape[-1] ** 0.5))
    return model.to(dtype)


def some_tokens(batch: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 12, (batch, time), generator=generator(seed))


def some_states(model: LanguageModel, batch: int) -> States:
    noise = generator(5)
    zeros = model.initial_states(batch)
    return tuple(tuple(torch.randn(p.shape, generator=noise, dtype=p.dtype) for p in state) for state in zeros)


def step_through(decoder: Decoder, tokens: Tensor, states: States) -> tuple[Tensor, States]:
    logits = []
    for t in range(tokens.shape[1]):
        one, states = decoder.step(tokens[:, t], states)
        logits.append(one)
    return torch.stack(logits, dim=1), states


def gap(one: tuple[Tensor, States], other: tuple[Tensor, States]) -> float:
    parts = [(one[0], other[0])]
    for state, twin in zip(one[1], other[1], strict=True):
        parts += zip(state, twin, strict=True)
    assert all(a.shape == b.shape for a, b in parts)
    assert not any(part.isnan().any() for pair in parts for part in pair)
    return max(float((a - b).abs().max()) for a, b in parts)


@every_cell
@every_shape
@formats
@pytest.mark.parametrize("batch", [1, 3])
def test_steps_equal_the_models_own_forward(
    cell: str, shape: dict[str, Any], dtype: torch.dtype, tolerance: float, batch: int
) -> None:
    model = tiny(dtype, cell=cell, **shape)
    tokens, states = some_tokens(batch, 15), some_states(model, batch)
    with torch.no_grad():
        forward = model(tokens, states)
    assert gap(step_through(Decoder(model), tokens, states), forward) < tolerance


@every_cell
@formats
@pytest.mark.parametrize("length", [1, 2, PROMPT_WINDOW, PROMPT_WINDOW + 1, 2 * PROMPT_WINDOW + 3])
def test_priming_equals_steps(cell: str, dtype: torch.dtype, tolerance: float, length: int) -> None:
    model = tiny(dtype, cell=cell)
    decoder, prompt = Decoder(model), some_tokens(1, length)
    logits, states = decoder.prime(prompt[0])
    stepped, left = step_through(decoder, prompt, model.initial_states(1))
    assert logits.shape == (1, 11)
    assert gap((logits, states), (stepped[:, -1], left)) < tolerance


@every_cell
def test_priming_equals_the_models_own_forward(cell: str) -> None:
    model = tiny(cell=cell)
    prompt = some_tokens(1, 2 * PROMPT_WINDOW + 3)
    with torch.no_grad():
        logits, states = model(prompt, model.initial_states(1))
    assert gap(Decoder(model).prime(prompt[0]), (logits[:, -1], states)) < 1e-10


@every_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("hidden", [8, 13, 24, 64, 100])
def test_a_row_is_the_same_to_the_bit_alone_and_in_a_batch_of_any_size(
    cell: str, hidden: int, dtype: torch.dtype
) -> None:
    model = tiny(dtype, cell=cell, hidden=hidden)
    decoder, tokens, states = Decoder(model), some_tokens(9, 8), some_states(model, 9)

    def read(rows: list[int]) -> tuple[Tensor, States]:
        index = torch.tensor(rows)
        return step_through(decoder, tokens[index], carry(states, index))

    alone = [read([row]) for row in range(9)]
    for rows in ([0, 1], [4, 3, 2], [8, 0, 8, 1, 7], list(range(9))):
        logits, left = read(rows)
        for place, row in enumerate(rows):
            differs = gap((logits[place : place + 1], carry(left, torch.tensor([place]))), alone[row])
            assert differs == 0, f"row {row} of {rows}"


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 13, 64])
def test_products_row_by_row_equal_one_product(batch: int, size: int) -> None:
    x, weight, bias = (
        torch.randn(*shape, generator=generator(number), dtype=torch.float64)
        for number, shape in enumerate([(batch, size), (10, size), (10,)])
    )
    assert torch.allclose(linear_by_rows(x, weight, bias), x @ weight.t() + bias, atol=1e-12)


@every_cell
def test_nothing_is_recorded_and_nothing_given_is_changed(cell: str) -> None:
    model = tiny(cell=cell)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tokens, states = some_tokens(2, 1)[:, 0], some_states(model, 2)
    given = [part.clone() for state in states for part in state]
    decoder = Decoder(model)
    for logits, left in (decoder.step(tokens, states), decoder.prime(tokens)):
        assert not logits.requires_grad
        assert not any(part.requires_grad for state in left for part in state)
    assert all(torch.equal(part, old) for part, old in zip((p for s in states for p in s), given, strict=True))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


@every_cell
def test_the_decoder_remembers_nothing_between_steps(cell: str) -> None:
    model = tiny(cell=cell)
    decoder, tokens, states = Decoder(model), some_tokens(2, 5), some_states(model, 2)
    first = step_through(decoder, tokens, states)
    step_through(decoder, some_tokens(3, 4, seed=1), some_states(model, 3))
    assert gap(first, step_through(decoder, tokens, states)) == 0


@every_cell
def test_the_decoder_knows_no_dropout_also_where_the_model_is_left_in_training(cell: str) -> None:
    plain, training = tiny(cell=cell), tiny(cell=cell, dropout=0.5).train()
    prompt, states = some_tokens(1, 9), some_states(plain, 1)
    careless, careful = Decoder(training), Decoder(plain)
    stepped = gap(step_through(careless, prompt, states), step_through(careful, prompt, states))
    primed = gap(careless.prime(prompt[0]), careful.prime(prompt[0]))
    assert (stepped, primed) == (0, 0)
    assert training.training
