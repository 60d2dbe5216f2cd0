"""A run whose files are read in another order each epoch: exact when it goes on, judged by the end of the text."""

from pathlib import Path

import pytest

from charrnn import api
from charrnn.errors import ConfigError, CorpusError
from charrnn.training.resume import resume
from charrnn.training.run import start

from .test_run import assert_same, finish, options, stop_dead


@pytest.fixture
def shards(tmp_path: Path, prose: str) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, (first, end) in enumerate([(0, 900), (900, 1700), (1700, 3400), (3400, 4000)]):
        (folder / f"{number}.txt").write_text(prose[first:end], encoding="utf-8")
    return folder


def test_a_run_of_shuffled_files_goes_on_exactly_and_is_judged_by_the_end_of_the_text(
    tmp_path: Path, shards: Path, prose: str
) -> None:
    wanted = options(shards, epochs=3.0, shuffle=True, valid=0.1, save_every=40)
    whole = start(wanted, checkpoints=tmp_path / "whole")
    assert any("files are read in another order each epoch" in note for note in whole.notes)
    assert len(whole.data.train.files) == 4 and whole.trainer.config.shuffle
    kept = finish(whole)
    stop_dead(start(wanted, checkpoints=tmp_path / "half"), 90)
    again = resume("run", checkpoints=tmp_path / "half")
    assert again.trainer.position.epoch >= 1 and again.trainer.config.shuffle
    assert_same(finish(again), kept)
    assert whole.trainer.epochs(whole.trainer.position) == 3
    assert api.held_out(api.load(whole.run.folder)).read() == prose[3600:4000]
    plain = start(options(shards, epochs=3.0, valid=0.1), checkpoints=tmp_path / "plain")
    first, other = (training.trainer.streams.window(1, 1).targets for training in (plain, whole))
    assert first.shape == other.shape and not (first == other).all()
    (shards / "2.txt").write_text("other", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"2\.txt has changed since"):
        resume("run", checkpoints=tmp_path / "half")


def test_what_cannot_be_shuffled_is_refused(tmp_path: Path, corpus: Path, shards: Path) -> None:
    for text, documents, words in ((corpus, "stream", "name several"), (shards, "lines", "leave out `shuffle`")):
        with pytest.raises(ConfigError, match=words):
            start(options(text, shuffle=True, documents=documents), checkpoints=tmp_path / "c")
