"""model.surprisal: rows of a text that add up to its score and stand where they say in the text as it was written."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from charrnn.api import Model
from charrnn.errors import CharrnnError, ConfigError, CorpusError, VocabularyError
from charrnn.storage.checkpoint import Header
from charrnn.storage.formats import FORMAT
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import ByteTokenizer
from charrnn.text.tokenizers.char import CharTokenizer
from charrnn.training.int8_check import arrays

from .cases import each
from .laws.test_tokenizers import subword
from .test_token_nll import make_model
from .test_units import ALL

# Line ends of all kinds, empty lines around documents, characters of one to four bytes, no line end at the end.
TEXT = "\n\nthe heron\r\n stood  é e\u0301\n\n\n\U0001f600 in\tthe\rshallows\u3000.\n\nfin"
SYMBOLS = "".join(sorted({*TEXT} - {"\r"}))


def model_of(tokenizer: Tokenizer, documents: str = "stream") -> Model:
    """A small network without any idea, as it is loaded from a file."""
    network = make_model(symbols=tokenizer.size, documents=documents != "stream", hidden=4, layers=1)
    record = {"format": FORMAT, "model": network.config.to_json(), "training": {"documents": documents}}
    return Model(arrays(network), tokenizer, Header(Path("none"), record, {}, 0))


@each("documents", ["stream", "lines", "paragraphs"])
def test_all_units_add_up_to_the_score_and_index_the_text_as_it_was_written(documents: str) -> None:
    for tokenizer in (CharTokenizer(SYMBOLS), ByteTokenizer(), subword()):
        model = model_of(tokenizer, documents)
        total = model.score(TEXT).nats / math.log(2)
        for per, space in ALL:
            rows = model.surprisal(TEXT, per=per, space=space)
            assert rows["surprisal"].sum() == pytest.approx(total, rel=1e-9), (tokenizer.kind, per, space)
            for row in rows:
                assert TEXT[row["start"] : row["end"]] == row["text"], row
                if per != "token" or tokenizer.kind == "char":
                    assert row["byte"] == len(TEXT[: row["start"]].encode()), row
                before = TEXT.replace("\r\n", " \n").replace("\r", "\n")[: row["start"]]
                assert row["line"] == 1 + before.count("\n"), row
            if per == "word":
                words = [word for word in rows["text"] if word.strip()]
                assert words == TEXT.split()


def test_alternatives_stand_in_columns_of_their_own() -> None:
    model = model_of(CharTokenizer("ab\n"), "lines")
    rows = model.surprisal("ab", per="token", top=2)
    assert rows.dtype.names is not None
    assert rows.dtype.names[-6:] == ("rank", "entropy", "top1", "top1_surprisal", "top2", "top2_surprisal")
    assert "<end>" in {*rows["top1"], *rows["top2"]} and {*rows["rank"]} <= {1, 2, 3, 4}
    for row in rows:
        assert (row["top1_surprisal"] == pytest.approx(row["surprisal"])) == (row["rank"] == 1)
    more = model.surprisal("ab", per="char", top=9)
    # Of four ids there are four.
    assert more["top5"].tolist() == [None] * 3 and np.isnan(more["top5_surprisal"]).all()


def test_a_context_is_read_before_each_document_and_not_scored() -> None:
    for documents, after in (("stream", "ba"), ("lines", "ba")):
        model = model_of(CharTokenizer("ab\n"), documents)
        rows = model.surprisal(after, per="char", context="ab")
        whole = model.surprisal("ab" + after, per="char")
        assert rows["surprisal"].tolist() == pytest.approx(whole["surprisal"][2:].tolist())
    two = model.surprisal("ba\nba", per="char", context="ab")
    assert two["surprisal"][:3].tolist() == pytest.approx(two["surprisal"][3:].tolist())


def test_a_file_is_told_by_its_own_places(tmp_path: Path) -> None:
    model = model_of(CharTokenizer("ab é\n"))
    (tmp_path / "t").write_bytes("ab é\r\nb a".encode())
    rows = model.surprisal(tmp_path / "t", per="char")
    assert rows["text"].tolist() == ["a", "b", " ", "é", "\r\n", "b", " ", "a"]
    assert rows["start"].tolist() == [0, 1, 2, 3, 4, 6, 7, 8] and rows["byte"].tolist() == [0, 1, 2, 3, 5, 7, 8, 9]


def test_what_cannot_be_is_refused_in_a_line() -> None:
    model = model_of(CharTokenizer("ab\n"))
    for options, error, words in (
        ({"per": "word", "top": 1}, ConfigError, "`top` needs `per='char'` or `per='token'`"),
        ({"per": "char", "space": "none"}, ConfigError, "`space` means nothing without `per='word'`"),
        ({"per": "sentence"}, ConfigError, "`per` must be line, word, char or token"),
        ({"text": ""}, CorpusError, "empty"),
        ({"text": "abc"}, VocabularyError, "no 'c'"),
        ({"context": "c"}, VocabularyError, "no 'c'"),
    ):
        with pytest.raises(error, match=words):
            model.surprisal(**{"text": "ab", **options})  # type: ignore[arg-type]
    lacking = model.surprisal("abc", per="char", top=1, unknown=True)
    assert lacking["rank"][2] == 0 and lacking["surprisal"][2] == pytest.approx(math.log2(3))


def test_pandas_is_wanted_where_it_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = model_of(CharTokenizer("ab\n")).surprisal("ab\n", per="char")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CharrnnError, match="pip install pandas"):
        rows.to_pandas()

    class Frames:
        DataFrame = dict

    monkeypatch.setitem(sys.modules, "pandas", Frames)
    frame = rows.to_pandas()
    assert list(frame) == ["line", "text", "start", "end", "byte", "surprisal"]
    assert [*frame["surprisal"]] == [*rows["surprisal"]] and type(frame["text"]) is np.ndarray
