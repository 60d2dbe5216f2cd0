"""A scored text as one page: coloured by surprisal, its worst and best passages, and where the surprisal lies.

The page fetches nothing and needs no script: colours are classes, and what is known of a place is its `title`. Of a
long text the beginning is shown; passages, charts and figures are of the whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from charrnn.plotting.bars import Bars
from charrnn.plotting.page import filled
from charrnn.scoring.figures import FIGURES, flat
from charrnn.scoring.predictions import Asked, Predictions
from charrnn.scoring.profile import BIN, Means, Passage, Profile
from charrnn.scoring.spans import ScoredSpans, spans_of
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer

# What a page tells of a place beside its bits.
TOP = 5
ASKED = Asked(rank=True, top=TOP)
# Characters that are shown: some 10 MB of page.
SHOWN = 100_000
# Bits from which the next colour holds, and the classes of all colours.
STEPS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
CLASSES = "abcdefgh"
# Characters of a block: what is out of sight is not laid out.
BLOCK = 1500

# What HTML cannot hold, and what would turn the direction of letters round.
UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# Of `Profile.totals`, what the figures of a score have no words for.
TOTALS = {"surprisal": "total in bits", "per_char": "mean bits per character, line ends among them"}
SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥", "": "∎"}


class Report:
    """Takes a scored text piece by piece and keeps what a page shows of it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._align = tokenizer, Alignment(tokenizer)
        # With whether they begin a line that no line end in the text begins.
        self._shown: list[tuple[bool, ScoredSpans]] = []
        self._room, self._broken = SHOWN, False
        self.profile = Profile()

    def push(
        self, text: str, predictions: Predictions, detail: Predictions | None = None, *, ends_line: bool = False
    ) -> None:
        """A further text, or one document or line with its end; no passage crosses its borders.

        What `ASKED` asks for is told of each place, where the predictions, or `detail` of the first of them, have it.
        With `ends_line`, what comes next is another line, also where the text has no line end, as a field has none.
        """
        if len(predictions):  # an empty line is nothing to a model of documents
            spans = spans_of(text, predictions, self._align, detail)
            self.profile.push(spans)
            self._show(spans)
        if ends_line:
            self._broken = bool(self._shown) and not self._shown[-1][1].text.endswith("\n")
            self.profile.end_line()

    def _show(self, spans: ScoredSpans) -> None:
        """Keep what fits; where something does not, nothing that is behind it is shown."""
        fitting = spans[: int(np.searchsorted(spans.ends, self._room, side="right"))]
        if len(fitting):
            self._shown.append((self._broken, fitting))
            self._broken = False
        self._room = 0 if len(fitting) < len(spans) else self._room - len(spans.text)

    def html(self, title: str, figures: Mapping[str, Any]) -> str:
        """The page: a title, and the figures of the text by name, figures within figures too."""
        profile = self.profile
        unit = "character" if profile.spans == profile.chars else "token"
        passages = [*profile.worst, *profile.best]
        shown = sum(len(spans.text) for _, spans in self._shown)
        parts = {
            "title": _safe(title),
            "about": f"{profile.chars:,} characters. Surprisal is -log2 of the probability that the model gave to what "
            "came, all before it known.",
            "figures": "".join(_figures(figures)),
            "charts": "".join(chart.html() for chart in charts(profile, unit)),
            "shown": "" if shown == profile.chars else f"The first {shown:,} of {profile.chars:,} characters.",
            "legend": _legend(),
            "text": "".join(self._blocks({passage.start for passage in passages})),
        }
        for name, some in (("worst", profile.worst), ("best", profile.best)):
            parts[name] = "".join(self._passage(passage, shown) for passage in some)
        return filled("report", parts)

    def _blocks(self, marked: set[int]) -> Iterator[str]:
        """The text that is shown, in blocks that end with a line; places in `marked` can be gone to."""
        start = block = 0
        before = ""
        for broken, spans in self._shown:
            for number, (text, mark) in enumerate(zip(spans.texts, self._marks(spans), strict=True)):
                long = before.endswith("\n") and start - block >= BLOCK
                if not before or long or (broken and not number):
                    yield "</div><div>" if before else "<div>"
                    block = start
                place = f' id="p{start}"' if start in marked and text else ""
                yield f"<i{place}{mark}"
                start, before = start + len(text), text or before
        yield "</div>" if before else ""

    def _passage(self, passage: Passage, shown: int) -> str:
        spans, where = passage.spans, f"line {passage.line:,}"
        if passage.start < shown:
            where = f'<a href="#p{passage.start}">{where}</a>'
        marked = "".join(f"<i{mark}" for mark in self._marks(spans))
        return f"<li>{where}, {spans.bits_per_char:.3f} bits per character<div class=text>{marked}</div></li>"

    def _marks(self, spans: ScoredSpans) -> Iterator[str]:
        """Each as what follows `<i`: its colour, what is known of it, its text."""
        steps = np.searchsorted(STEPS, spans.bits, side="right").tolist()
        rows = zip(spans.texts, steps, spans.bits.tolist(), spans.tokens.tolist(), spans.single.tolist(), strict=True)
        for text, step, bits, token, single in rows:
            classes = CLASSES[step] + (" n" if text.startswith("\n") else "" if text else " z")
            known = self._known(spans.detail, token) if single else ""
            yield f' class="{classes}" title="{bits:.2f} bits{known}">{_safe(text)}</i>'

    def _known(self, detail: Predictions, token: int) -> str:
        """', rank 4; e 31%, a 12%', as far as that was asked for."""
        words = ""
        if token < len(detail) and detail.rank is not None:
            words = f", rank {detail.rank[token]}" if detail.rank[token] else ", not in the vocabulary"
        if token < len(detail) and detail.top is not None and detail.top_nll is not None:
            likeliest = zip(detail.top[token].tolist(), np.exp(-detail.top_nll[token]).tolist(), strict=True)
            words += "; " + ", ".join(f"{self._sign(symbol)} {100 * p:.2g}%" for symbol, p in likeliest)
        return words

    def _sign(self, token: int) -> str:
        symbol = self._tokenizer.symbol(token) if token < self._tokenizer.size else ""
        return SIGNS.get(symbol) or _safe("".join(SIGNS.get(char, char) for char in symbol))


def charts(profile: Profile, unit: str) -> list[Bars]:
    """The distribution of surprisal, and its means by position in the line and in the word."""
    total, bits = max(1, profile.spans), f"bits per {unit}"
    edges = [f"{BIN * place:g}" for place in range(profile.histogram.size)]
    shares = [100 * count / total for count in profile.histogram.tolist()]
    counts = profile.histogram.tolist()
    by_column = [str(place + 1) for place in range(profile.by_column.counts.size)]
    by_letter = ["space", *map(str, range(1, profile.by_letter.counts.size))]
    return [
        Bars("Distribution", f"{bits}, from", f"% of {unit}s", [*edges[:-1], f"{edges[-1]}+"], shares, counts),
        _by_position("By position in the line", f"{unit} of the line", bits, by_column, profile.by_column),
        _by_position("By position in the word", "letter of the word", bits, by_letter, profile.by_letter),
    ]


def _by_position(title: str, across: str, up: str, labels: list[str], means: Means) -> Bars:
    """As far as there is anything."""
    end = 1 + max(np.flatnonzero(means.counts).tolist(), default=0)
    labels = [*labels[:-1], f"{labels[-1]}+"]
    return Bars(title, across, up, labels[:end], means.values()[:end], means.counts[:end].tolist())


def _figures(figures: Mapping[str, Any]) -> Iterable[str]:
    for name, value in flat(figures):
        shown = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else _safe(str(value))
        help = FIGURES[name].help if name in FIGURES else TOTALS.get(name, "")
        cell = f'title="{_safe(str(value))}">{shown}'
        cells = f'<td {cell}<td class="quiet">{_safe(help)}' if help else f'<td colspan="2" {cell}'
        yield f"<tr><th scope=row>{_safe(name)}{cells}"


def _legend() -> str:
    bounds = [f"{step:g}" for step in STEPS]
    names = [
        f"under {bounds[0]}",
        *(f"{low}–{high}" for low, high in pairwise(bounds)),
        f"{bounds[-1]} and more",
    ]
    return " ".join(f'<i class="{of}">{name}</i>' for of, name in zip(CLASSES, names, strict=True))


def _safe(text: str) -> str:
    """Text as HTML, within elements and attributes alike: control characters as their pictures, or as U+FFFD."""
    return escape(UNSHOWN.sub(lambda found: _picture(ord(found[0])), text))


def _picture(code: int) -> str:
    return chr(0x2400 + code) if code < 32 else "␡" if code == 127 else "\ufffd"
