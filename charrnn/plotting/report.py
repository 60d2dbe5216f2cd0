"""A scored text as one page: coloured by surprisal, its worst and best passages, and where the surprisal lies.

The page fetches nothing and needs no script: colours are classes, and what is known of a place is its `title`. Of a
long text the beginning is shown; passages, charts and figures are of the whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from charrnn.plotting.bars import Bars
from charrnn.plotting.page import filled
from charrnn.plotting.shading import SHOWN, Marks, legend, safe, steps_of
from charrnn.scoring.figures import FIGURES, flat
from charrnn.scoring.predictions import Predictions
from charrnn.scoring.profile import BIN, Means, Passage, Profile
from charrnn.scoring.spans import ScoredSpans, spans_of
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer

# Characters of a block: what is out of sight is not laid out.
BLOCK = 1500

# Of `Profile.totals`, what the figures of a score have no words for.
TOTALS = {"surprisal": "total in bits", "per_char": "mean bits per character, line ends among them"}


class Report:
    """Takes a scored text piece by piece and keeps what a page shows of it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._places, self._align = Marks(tokenizer), Alignment(tokenizer)
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
            "title": safe(title),
            "about": f"{profile.chars:,} characters. Surprisal is -log2 of the probability that the model gave to what "
            "came, all before it known.",
            "figures": "".join(_figures(figures)),
            "charts": "".join(chart.html() for chart in charts(profile, unit)),
            "shown": "" if shown == profile.chars else f"The first {shown:,} of {profile.chars:,} characters.",
            "legend": legend(),
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
        steps = steps_of(spans.bits)
        rows = zip(spans.texts, steps, spans.bits.tolist(), spans.tokens.tolist(), spans.single.tolist(), strict=True)
        for text, step, bits, token, single in rows:
            known = self._places.known(spans.detail, token) if single else ""
            yield self._places.mark(text, step, bits, known)


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
        shown = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else safe(str(value))
        help = FIGURES[name].help if name in FIGURES else TOTALS.get(name, "")
        cell = f'title="{safe(str(value))}">{shown}'
        cells = f'<td {cell}<td class="quiet">{safe(help)}' if help else f'<td colspan="2" {cell}'
        yield f"<tr><th scope=row>{safe(name)}{cells}"
