"""Gradients that explode: caught where nothing holds them, harmless where they are clipped (Pascanu et al. 2013)."""

from pathlib import Path

import pytest

from charrnn.config import TrainOptions
from charrnn.errors import DivergedError
from charrnn.training.events import Note, Report
from charrnn.training.recording import Training
from charrnn.training.run import start


def training(corpus: Path, place: Path, clip: float, cell: str) -> Training:
    """A simple network whose recurrent matrix stretches what it is given one and a half times."""
    options = TrainOptions(
        corpus=(str(corpus),), seed=1, threads=1, cell=cell, spectral_radius=1.5, optimizer="sgd", lr=0.5, clip=clip,
        layers=1, hidden=48, batch_size=8, bptt=64, dropout=0.0, average=0.0, steps=40, eval_every=40, precision="fp32",
    )  # fmt: skip
    return start(options, checkpoints=place)


def test_a_run_that_diverges_is_caught_and_keeps_no_number_that_is_not_finite(tmp_path: Path, corpus: Path) -> None:
    run = training(corpus, tmp_path, clip=0.0, cell="rnn-relu")
    caught = []
    with pytest.raises(DivergedError, match="not finite at step"):
        for event in run.events():
            caught.append(event)
    assert [isinstance(event, Note) and event.warning for event in caught] == [True] * 4
    assert all(bool(weight.isfinite().all()) for weight in run.trainer.model.parameters())


def test_with_clipping_the_same_start_is_learned_from(tmp_path: Path, corpus: Path) -> None:
    run = training(corpus, tmp_path, clip=1.0, cell="rnn-gelu")
    found = list(run.events())
    assert not [event for event in found if isinstance(event, Note) and event.warning]
    losses = [event.loss for event in found if isinstance(event, Report)]
    assert max(event.grad_norm for event in found if isinstance(event, Report)) > 1.0
    assert losses[-1] < 3.4 < losses[0]
