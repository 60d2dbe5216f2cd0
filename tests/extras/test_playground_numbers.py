"""The numbers of the page that learns, in headless Chromium, against torch's autograd and charrnn's own optimiser."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import Browser, Page

from charrnn.analysis.gradients import GradientFlow
from charrnn.analysis.steps import embed, step
from charrnn.config import ModelConfig, TrainConfig
from charrnn.export.playground import playground
from charrnn.models.language_model import LanguageModel
from charrnn.training.optim import clip, make_optimizer
from charrnn.training.train_step import weights_to_clip
from tests.cases import each
from tests.extras.chromium import Opened, chromium

Floats = npt.NDArray[np.float64]

CELLS = ["lstm", "gru", "rnn", "rnn-gelu"]
LAYER = "forwards.layers.0.rnn."
# The page's names of weights, and the model's.
NAMES = {
    "embedding": "embedding.weight",
    "inputs": f"{LAYER}weight_ih_l0",
    "recurrent": f"{LAYER}weight_hh_l0",
    "inputBias": f"{LAYER}bias_ih_l0",
    "recurrentBias": f"{LAYER}bias_hh_l0",
    "head": "forwards.head",
    "bias": "forwards.bias",
}
H, V, T, B = 12, 9, 7, 5

# A network, a state, and ids of a window, all by one seed.
SETUP = """
const listed = weights => Object.fromEntries(Object.entries(weights).map(([name, own]) => [name, [...own]]));
function setUp({ cell, H, V, T, B, radius }) {
  const uniforms = new Uniforms(5), network = new Network({ cell, hidden: H, symbols: V, radius }, uniforms);
  for (const bias of ["inputBias", "recurrentBias", "bias"])
    network.weights[bias].forEach((one, n) => network.weights[bias][n] = one + 0.3 * normal(uniforms));
  network.moved();
  const pass = new Pass(network, T, B), gradients = new Gradients(pass);
  const drawn = most => Int32Array.from({ length: T * B }, () => Math.floor(most * uniforms.next()));
  pass.states[0].h.forEach((_, n) => pass.states[0].h[n] = 2 * uniforms.next() - 1);
  if (cell === "lstm") pass.states[0].c.forEach((_, n) => pass.states[0].c[n] = normal(uniforms));
  return { network, pass, gradients, ids: drawn(V + 1), targets: drawn(V) };
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    file: Path = tmp_path_factory.mktemp("numbers") / "playground.html"
    file.write_text(playground(), encoding="utf-8")
    return Opened(browser, file).page


def run(page: Page, body: str, **given: Any) -> Any:
    return page.evaluate(f"given => {{ {SETUP} {body} }}", given)


def model_of(cell: str, weights: dict[str, list[float]], hidden: int, symbols: int) -> LanguageModel:
    """The model in float64 with the page's weights."""
    model = LanguageModel(
        ModelConfig(vocab_size=symbols, start_id=symbols, cell=cell, hidden=hidden, embedding=hidden, layers=1)
    ).double()
    own = model.state_dict()
    model.load_state_dict({NAMES[name]: as_tensor(own[NAMES[name]], flat) for name, flat in weights.items()})
    return model


def as_tensor(like: torch.Tensor, flat: list[float]) -> torch.Tensor:
    return torch.tensor(flat, dtype=torch.float64).view(like.shape)


def state_of(cell: str, h: list[float], c: list[float]) -> tuple[torch.Tensor, ...]:
    parts = [h, c] if cell == "lstm" else [h]
    return tuple(torch.tensor(part, dtype=torch.float64).view(-1, H) for part in parts)


def rows_of(ids: list[int]) -> torch.Tensor:
    """The page's (T, B) -> (B, T)."""
    return torch.tensor(ids).view(T, -1).t()


def close(found: Any, wanted: Any) -> None:
    """Within 1e-9 of the largest of them."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * float(np.abs(wanted).max()))


@each("cell", CELLS)
def test_loss_state_and_gradients_of_a_window_are_autograds(page: Page, cell: str) -> None:
    found = run(
        page,
        """const { network, pass, gradients, ids, targets } = setUp(given), { h, c } = pass.states[0];
        const before = { h: [...h], c: [...c] };
        pass.read(ids);
        const nats = pass.cost(targets);
        gradients.find(ids, targets);
        pass.carry();
        return { nats, before, after: { h: [...h], c: [...c] }, ids: [...ids], targets: [...targets],
                 weights: listed(network.weights), gradients: listed(gradients.parts) };""",
        cell=cell, H=H, V=V, T=T, B=B, radius=1,
    )  # fmt: skip
    model = model_of(cell, found["weights"], H, V)
    state_type = type(model.initial_states(1)[0])
    logits, states = model(rows_of(found["ids"]), (state_type(*state_of(cell, **found["before"])),))
    loss = F.cross_entropy(logits.flatten(0, 1), rows_of(found["targets"]).flatten())
    close(found["nats"], loss.item())
    for mine, its in zip(state_of(cell, **found["after"]), states[0], strict=True):
        close(mine, its.detach())
    parameters = dict(model.named_parameters())
    wanted = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
    for name, flat in found["gradients"].items():
        close(flat, wanted[NAMES[name]].flatten())


@each("cell", CELLS)
def test_gradients_are_differences_of_the_loss(page: Page, cell: str) -> None:
    pairs = run(
        page,
        """const { network, pass, gradients, ids, targets } = setUp(given), by = 1e-5;
        const loss = () => { network.moved(); pass.read(ids); return pass.cost(targets); };
        loss();
        const found = gradients.find(ids, targets).slice();
        return Array.from({ length: 60 }, (_, n) => {
          const at = Math.floor(n * network.size / 60), one = network.all[at];
          network.all[at] = one + by;
          const above = loss();
          network.all[at] = one - by;
          const below = loss();
          network.all[at] = one;
          return [found[at], (above - below) / (2 * by)];
        });""",
        cell=cell, H=H, V=V, T=T, B=B, radius=1,
    )  # fmt: skip
    found, differences = np.array(pairs).T
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found, differences, atol=1e-8)


@each("cell", CELLS)
def test_how_far_a_gradient_reaches_is_what_inspect_gradients_means(page: Page, cell: str) -> None:
    found = run(
        page,
        """const { network, gradients, ids, targets } = setUp(given), reach = gradients.reach(ids, targets);
        return { reach, half: halfLife(reach), ids: [...ids], targets: [...targets],
                 weights: listed(network.weights) };""",
        cell=cell, H=H, V=V, T=T, B=B, radius=0.9,
    )  # fmt: skip
    model = model_of(cell, found["weights"], H, V)
    ids, states, given = rows_of(found["ids"]), model.initial_states(B), []
    for t in range(T):
        logits, states = step(model, embed(model, ids[:, t]), states)
        given.append(states[0][0])
    loss = F.cross_entropy(logits, rows_of(found["targets"])[:, -1], reduction="sum")
    norms = torch.stack([one.norm(dim=1) for one in torch.autograd.grad(loss, given[::-1], materialize_grads=True)])
    close(found["reach"], norms.median(dim=1).values)
    assert found["half"] == pytest.approx(
        GradientFlow("", norms.median(dim=1).values[None, :, None].numpy()).half_life(0)
    )


# Ragged enough that a row begins anew at a paragraph, and that the text is read more than once.
TEXT = "the heron stood.\n\nhe had\n\nonly to bend, but the heron was slow and proud of it.\n" * 9


def lesson(text: str, steps: int) -> tuple[list[str], list[tuple[list[int], list[int], bool]], list[int]]:
    """Symbols, windows (inputs, targets, whether a row begins anew with it), the held-out ids."""
    symbols = sorted(set(text), key=lambda one: (-Counter(text)[one], one))
    ids = [symbols.index(one) for one in text]
    training, held = ids[: len(ids) - len(ids) // 10], ids[len(ids) - len(ids) // 10 :]
    windows = []
    for at in range(0, len(training) - steps + 1, steps):
        inputs = [len(symbols), *training][at : at + steps]
        windows.append((inputs, training[at : at + steps], at == 0 or text[:at].endswith("\n\n")))
    return symbols, windows, held


@each("cell", CELLS)
@each("optimizer", ["adam", "sgd"])
def test_steps_are_those_of_charrnns_optimiser_clipped_and_carried(page: Page, cell: str, optimizer: str) -> None:
    steps, count, rate, clip_at = 6, 30, 0.02, 0.4
    found = run(
        page,
        """const lesson = new Lesson(given.text);
        const learner = new Learner(lesson, { cell: given.cell, hidden: 8, radius: 1, steps: given.steps, seed: 2 });
        const before = listed(learner.network.weights);
        const told = Array.from({ length: given.count }, () => learner.step(given));
        return { told, before, after: listed(learner.network.weights), heldOut: learner.heldOut(), rows: learner.rows,
                 windows: learner.windows, symbols: lesson.symbols };""",
        text=TEXT, cell=cell, steps=steps, count=count, rate=rate, clipAt=clip_at, optimizer=optimizer,
    )  # fmt: skip
    symbols, windows, held = lesson(TEXT, steps)
    rows = found["rows"]
    assert found["symbols"] == symbols and found["windows"] == len(windows) and rows == 16
    assert 3 < sum(fresh for _, _, fresh in windows) < len(windows)
    model = model_of(cell, found["before"], 8, len(symbols))
    name = {"adam": "adamw"}.get(optimizer, optimizer)
    config = TrainConfig(seed=1, steps=count, optimizer=name, lr=rate, weight_decay=0.0, clip=clip_at)
    mover, states, clipped = make_optimizer(model, config), model.initial_states(rows), 0
    for number, told in enumerate(found["told"]):
        read = [windows[(row * len(windows) // rows + number) % len(windows)] for row in range(rows)]
        kept = torch.tensor([[not fresh] for _, _, fresh in read])
        states = tuple(type(state)(*(part.detach() * kept for part in state)) for state in states)
        logits, states = model(torch.tensor([inputs for inputs, _, _ in read]), states)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.tensor([targets for _, targets, _ in read]).flatten())
        torch.autograd.backward(loss)
        norm, _ = clip(weights_to_clip(model), config)
        mover.step()
        mover.zero_grad()
        clipped += norm.item() > clip_at
        assert told["nats"] == pytest.approx(loss.item(), rel=1e-6)
        assert told["norm"] == pytest.approx(norm.item(), rel=1e-6)
    assert clipped > 0
    own = dict(model.named_parameters())
    for name, flat in found["after"].items():
        np.testing.assert_allclose(flat, own[NAMES[name]].detach().flatten(), rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        before = [symbols.index(TEXT[len(TEXT) - len(held) - 1]), *held[:-1]]
        logits, _ = model(torch.tensor([before]), model.initial_states(1))
        assert found["heldOut"] == pytest.approx(F.cross_entropy(logits[0], torch.tensor(held)).item(), rel=1e-6)


@each("cell", CELLS)
def test_the_first_weights_are_drawn_as_charrnn_draws_them(page: Page, cell: str) -> None:
    hidden, symbols, radius = 48, 70, 1.5
    weights: dict[str, Floats] = {
        name: np.array(flat)
        for name, flat in run(
            page,
            "return listed(new Network(given, new Uniforms(3)).weights);",
            cell=cell, hidden=hidden, symbols=symbols, radius=radius,
        ).items()
    }  # fmt: skip
    for block in weights["recurrent"].reshape(-1, hidden, hidden):
        np.testing.assert_allclose(block @ block.T, radius**2 * np.eye(hidden), atol=1e-10)
    bound = math.sqrt(6 / (2 * hidden))
    assert 0.98 * bound < np.abs(weights["inputs"]).max() < bound
    for name, std in (("embedding", 1), ("head", 4 / math.sqrt(hidden)), ("inputs", bound / math.sqrt(3))):
        assert abs(weights[name].mean()) < 0.05 * std and weights[name].std() == pytest.approx(std, rel=0.04), name
    forget = np.zeros(len(weights["inputBias"]))
    if cell == "lstm":
        forget[hidden : 2 * hidden] = 1
    assert np.array_equal(weights["inputBias"], forget)
    assert not weights["recurrentBias"].any() and not weights["bias"].any()
