"""Events in the real TensorBoard: `pytest tests/extras`, with the extra `tensorboard` installed."""

from pathlib import Path

import pytest

import charrnn
from charrnn.training.events import Event, Report
from tests.test_api import TINY

pytestmark = pytest.mark.filterwarnings("default")


def test_tensorboard_reads_what_was_reported(tmp_path: Path, corpus: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    heard: list[Event] = []
    charrnn.train(corpus, checkpoints=tmp_path, name="a", steps=20, log="tensorboard", on_event=heard.append, **TINY)
    found = EventAccumulator(str(tmp_path / "tensorboard/a"))
    found.Reload()
    drawn = [(event.step, event.value) for event in found.Scalars("valid/bpc")]
    assert drawn == [
        (event.step, pytest.approx(event.valid_bpc)) for event in heard if isinstance(event, Report) and event.valid_bpc
    ]
    assert drawn and "sample/text_summary" in found.Tags()["tensors"]
