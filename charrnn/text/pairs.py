"""Minimal pairs as they are published: two sentences that differ in one thing, the good one first.

Every format becomes records, names with values; what the names mean is said once, in the tables below.

    JSON Lines     BLiMP (Warstadt et al. 2020): sentence_good, sentence_bad, UID, linguistics_term, field
    TSV            a first line of names, or none and columns in the order of `HEADERLESS`
    line by line   NAME.text beside NAME.gold: Gulordava et al. (2018), of their own sets and of Linzen et al. (2016)
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.errors import CorpusError
from charrnn.text.corpus import Corpus
from charrnn.text.lines import normalised
from charrnn.text.sources import called

Record = Mapping[str, Any]

GOOD = ("sentence_good", "good_sentence", "good", "grammatical", "acceptable", "correct")
BAD = ("sentence_bad", "bad_sentence", "bad", "ungrammatical", "unacceptable", "incorrect", "wrong")
# By what a table can be made, under the name that it then has; in a TSV with names, every further column as well.
GROUPS = {
    **{name: name for name in ("field", "linguistics_term", "UID", "phenomenon", "construction", "pattern", "type")},
    **{name: name for name in ("test case", "case", "category", "condition", "group")},
    **dict.fromkeys(("attractors", "n_attractors", "num_attractors", "n_attr", "n_diff_intervening"), "attractors"),
}
# Columns that name a pair, or hold a sentence, and are no group.
NO_GROUPS = {"id", "pairid", "pair_id", "item", "sentence", "masked"}
# A TSV without names, by its number of columns: a pair, with its group; Marvin & Linzen (2018) as their templates are
# written out; Goldberg (2019) after Linzen et al. (2016).
HEADERLESS = {
    2: ("good", "bad"),
    3: ("good", "bad", "group"),
    4: ("case", "type", "good", "bad"),
    5: ("attractors", "sentence", "masked", "good", "bad"),
}
MASK = "***mask***"
# The end of a sentence as Gulordava et al. write it.
END = "<eos>"
SHORT_GOLD, LONG_GOLD = 4, 8


@dataclass(frozen=True)
class Pair:
    """Two sentences, the group that they belong to of each kind ({"UID": "wh_island"}), and where they were read."""

    good: str
    bad: str
    groups: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """'pairs.tsv, line 7'"""
        return f"{self.file}, line {self.line}" if self.file else f"pair {self.line}"


def read_pairs(files: Sequence[str]) -> list[Pair]:
    """All pairs of these files, in order; `-` is standard input. Pairs without a group go by their file.

    Raises CorpusError where a file is missing, is of no known format, or a line of it is wrong: file, line, and why.
    """
    sets = list(dict.fromkeys(map(_line_by_line, files)))
    found = [pair for file in sets for pair in _read(file)]
    if not found:
        raise CorpusError(f"{' '.join(map(called, sets))}: there are no pairs in it")
    if len(sets) > 1 and not all(pair.groups for pair in found):
        found = [Pair(each.good, each.bad, {"file": each.file, **each.groups}, each.file, each.line) for each in found]
    return found


def _line_by_line(file: str) -> str:
    """The .gold file of a set in several files, whichever of them is named; any other file as it is."""
    path = Path(file)
    gold = path.with_suffix(".gold")
    parts = path.suffix in (".gold", ".text", ".eval", ".tab")
    return str(gold) if parts and gold.is_file() and path.with_suffix(".text").is_file() else file


def _read(file: str) -> Iterator[Pair]:
    if file.endswith(".gold"):
        return _agreement(file)
    lines = [(number, line) for number, line in _lines(file) if line.strip()]
    first = lines[0][1] if lines else ""
    return _json_lines(file, lines) if first.lstrip().startswith("{") else _tsv(file, lines)


def _lines(file: str) -> list[tuple[int, str]]:
    """The lines of a file, numbered from 1."""
    return list(enumerate(Corpus([file], corpora=False).read().removesuffix("\n").split("\n"), 1))


def _json_lines(file: str, lines: Iterable[tuple[int, str]]) -> Iterator[Pair]:
    for number, line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise _wrong(file, number, "is no JSON object") from None
        if not isinstance(record, dict):
            raise _wrong(file, number, "is no JSON object")
        yield _pair(record, [name for name in record if name in GROUPS], file, number)


def _tsv(file: str, lines: Sequence[tuple[int, str]]) -> Iterator[Pair]:
    """Columns between tabs, taken as they are: a quotation mark is one."""
    if not lines:
        return
    names: Sequence[str] = [name if name in GROUPS else name.lower() for name in _cells(lines[0][1])]
    named = _name_in(names, GOOD) is not None and _name_in(names, BAD) is not None
    if not named:
        _refuse_known_but_lacking(file, names)
        names = HEADERLESS.get(len(names), ())
    if not names:
        raise _wrong(
            file, lines[0][0], f"has {_columns(_cells(lines[0][1]))}: give good<TAB>bad, or name the columns there"
        )
    groups = [name for name in names if name not in (*GOOD, *BAD) and name.lower() not in NO_GROUPS]
    for number, line in lines[1:] if named else lines:
        cells = _cells(line)
        if len(cells) != len(names):
            raise _wrong(file, number, f"has {_columns(cells)} where there are {len(names)}: {', '.join(names)}")
        yield _pair(dict(zip(names, cells, strict=True)), groups, file, number)


def _columns(cells: Sequence[str]) -> str:
    return f"{len(cells)} column{'s'[: len(cells) != 1]}"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def _refuse_known_but_lacking(file: str, names: Sequence[str]) -> None:
    """The dependencies of Linzen et al. (2016) as they were published hold no wrong form to compare with."""
    if {"orig_sentence", "verb", "verb_index"} <= set(names):
        raise CorpusError(
            f"{file} holds sentences and their verbs, and no wrong form of any: give subj_agr_filtered.gold, which is "
            f"that set with both forms, or columns attractors, sentence, sentence with {MASK}, right verb, wrong verb"
        )


def _pair(record: Record, groups: Iterable[str], file: str, line: int) -> Pair:
    good, bad = (_sentence(record, names, file, line) for names in (GOOD, BAD))
    if isinstance(masked := record.get("masked"), str):
        if MASK not in masked:
            raise _wrong(file, line, f"has no {MASK} in its column `masked`, the third where none has a name")
        good, bad = masked.replace(MASK, good), masked.replace(MASK, bad)
    found = {GROUPS.get(name, name): record[name] for name in groups}
    if not all(isinstance(value, str | int) for value in found.values()):
        raise _wrong(file, line, f"has a group that is no text: {', '.join(found)} must each be one")
    told = {name: _kind(name, str(value)) for name, value in found.items() if value != ""}
    return Pair(normalised(good), normalised(bad), told, called(file), line)


def _kind(name: str, value: str) -> str:
    """Marvin & Linzen's test cases are a construction, --, and what in it is singular: the construction."""
    return value.split("--")[0] if name == "test case" else value


def _sentence(record: Record, names: Sequence[str], file: str, line: int) -> str:
    name = _name_in(record, names)
    value = None if name is None else record[name]
    if not isinstance(value, str) or not value.strip():
        raise _wrong(file, line, f"has no {name or names[0]}: a sentence must stand there")
    return value


def _name_in(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    there = set(names)
    return next((name for name in wanted if name in there), None)


def _agreement(file: str) -> Iterator[Pair]:
    """Sentences in NAME.text; in NAME.gold on the same lines, between tabs, one of

        place of the word (from 0), right form, wrong form, number of attractors
        pattern, construction, sentence, place, part of speech, morphology, right form, wrong form, …

    where sentence 0 is an original and the others are made of it with other words. How many attractors these have is
    read from NAME.tab, if that is there.
    """  # fmt: skip
    path = Path(file)
    gold, text = _lines(file), str(path.with_suffix(".text"))
    sentences = _lines(text)
    if len(gold) != len(sentences):
        raise CorpusError(f"{file} has {len(gold)} lines and {text} {len(sentences)}: they go line by line")
    attractors = _attractors(path.with_suffix(".tab"))
    for (number, line), (_, sentence) in zip(gold, sentences, strict=True):
        cells = line.split("\t")
        if len(cells) == SHORT_GOLD:
            (place, good, bad), groups = cells[:3], {"attractors": cells[3]}
        elif len(cells) >= LONG_GOLD:
            key, (place, _, _, good, bad) = (_pattern(cells[0]), cells[1], cells[2]), cells[3:8]
            groups = {"pattern": key[0], "type": "original" if cells[2] == "0" else "generated"}
            groups |= {"attractors": attractors[key]} if key in attractors else {}
        else:
            raise _wrong(file, number, f"has {len(cells)} columns, not {SHORT_GOLD} or at least {LONG_GOLD}")
        words = sentence.strip().removesuffix(END).strip().split(" ")
        if not place.isdecimal() or int(place) >= len(words):
            raise _wrong(file, number, f"gives the word's place as {place!r}, in a sentence of {len(words)} words")
        before, after = words[: int(place)], words[int(place) + 1 :]
        yield Pair(" ".join([*before, good, *after]), " ".join([*before, bad, *after]), groups, file, number)


def _pattern(name: str) -> str:
    """'L!NOUN_VERB_VERB!Number=…' as the authors' tables call it: L__NOUN_VERB_VERB."""
    return "__".join(name.split("!")[:2])


def _attractors(table: Path) -> dict[tuple[str, str, str], str]:
    """How many attractors each sentence has, where the authors' table is there."""
    if not table.is_file():
        return {}
    (_, first), *rows = _lines(str(table))
    names = first.split("\t")
    wanted = ("pattern", "constr_id", "sent_id", "n_attr")
    if not set(wanted) <= set(names):
        return {}
    found = [row.split("\t") for _, row in rows]
    columns = [[row[names.index(name)] for row in found if len(row) == len(names)] for name in wanted]
    return {(pattern, construction, sentence): n for pattern, construction, sentence, n in zip(*columns, strict=True)}


def _wrong(file: str, line: int, why: str) -> CorpusError:
    return CorpusError(f"{called(file)}, line {line}, {why}")
