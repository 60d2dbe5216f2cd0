"""The example of features (scikit-learn) and Parquet (pyarrow): `pytest tests/extras`, with `examples` installed."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from tests.conftest import CommandLine

EXAMPLE = Path(__file__).parents[2] / "docs/examples/features.py"


@pytest.mark.filterwarnings("default")
def test_the_example_of_features_runs_and_beats_the_commonest_label(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLE))
    assert set(example["TAGS"].values()) == {"name", "noun", "verb", "adjective"}
    assert 0.2 < len(example["KEPT"]) / len(example["TAGS"]) < 0.3
    accuracies = example["main"](None, steps=150, hidden=64, layers=1, ensemble=1, threads=1)
    told = capsys.readouterr().out
    commonest = [float(line.split()[-1].rstrip("%")) / 100 for line in told.splitlines() if "always" in line]
    assert len(accuracies) == len(commonest) == 2
    assert accuracies[0] > commonest[0] + 0.05


def test_parquet_holds_vectors_and_what_they_stand_for(charrnn: CommandLine, trained: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    (tmp_path / "t.txt").write_text("the fox\n\nsat on a wall\n", encoding="utf-8")
    where = ["-m", "small", "--checkpoints", str(trained)]
    assert charrnn("embed", "t.txt", "--per", "word", "-o", "w.parquet", *where).code == 0
    table = parquet.read_table(tmp_path / "w.parquet")
    assert table.column_names == ["line", "start", "end", "text", "vector"]
    assert table["text"].to_pylist() == ["the", "fox", "sat", "on", "a", "wall"]
    assert table["line"].to_pylist() == [1, 1, 3, 3, 3, 3] and table["end"].to_pylist() == [3, 7, 3, 6, 8, 13]
    expected = api.load("small", checkpoints=trained).embed(tmp_path / "t.txt", per="word")
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)
    assert table.schema.metadata[b"per"] == b"word"
