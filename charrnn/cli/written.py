"""How samples come out: streamed, one by one, as JSON; and what is said of them at the end."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from charrnn.console import say, write
from charrnn.generation.samples import Sample
from charrnn.generation.sequence import TextChunk
from charrnn.generation.spans import SpanReader
from charrnn.schema import to_json_text
from charrnn.text.copies import TrainingLines, verdict, whole_lines

if TYPE_CHECKING:
    from charrnn.api.writer import Writer
    from charrnn.text.copy_index import Copied, CopyIndex

# None where what the model has learned from cannot be looked through.
Known: TypeAlias = TrainingLines | None


@dataclass(kw_only=True)
class Written:
    """Puts out what one sampling gives, the rows in their order."""

    source: "Writer"
    prompt: str
    """What stands before each text: what was read before, and the prompt."""
    front: str
    """As much of it as is printed."""
    colour: bool = False
    indices: "Sequence[CopyIndex]" = ()
    """To look in for copies, where that was asked for."""
    tries: list[int] = field(default_factory=list)
    copies: "list[Copied | None]" = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """The whole lines that were streamed."""
    shown: list[Sample] = field(default_factory=list)
    """The texts that came whole, as far as they came."""

    @cached_property
    def known(self) -> Known:
        """The lines of the training text."""
        from charrnn.api.copies import training_lines

        return training_lines(self.source)

    @property
    def separator(self) -> str:
        """What stands between two texts."""
        return "" if self.source.documents == "lines" else "\n"

    def stream(self, chunks: Iterable[TextChunk], rows: int) -> None:
        """The first text as it comes; the others wait their turn."""
        from charrnn.api.copies import longest_copy

        turn, texts = 0, [""] * rows
        paint = self._painter()
        readers = [SpanReader(self.source.tokenizer) for _ in texts] if paint else []
        waiting, done = [self.front] * rows, [False] * rows
        for chunk in chunks:
            row, text = chunk.row, chunk.text
            texts[row] += text
            if paint is not None and chunk.logprobs is not None:
                text = paint(readers[row], chunk)
            waiting[row] += text
            if chunk.finished:
                done[row] = True
                self._ended(chunk.tries)
                self.lines += whole_lines(texts[row], prompt=self.prompt, cut=chunk.finished == "length")
            while turn < rows:
                write(waiting[turn])
                if not done[turn]:
                    waiting[turn] = ""
                    break
                turn += 1
                write("\n" + (self.separator if turn < rows else ""))
        if self.indices:
            self.copies = [longest_copy(self.indices, text, self.prompt) for text in texts]

    def whole(self, found: Iterable[Sample]) -> None:
        """Text by text."""
        paint = self._painter()
        for sample in self._each(found):
            text = sample.text
            if paint is not None and sample.logprobs is not None:
                text = paint(SpanReader(self.source.tokenizer), sample)
            separator = self.separator if self.shown else ""
            self.shown.append(sample)
            write(separator + self.front + text + "\n")
        self.copies = [sample.copied for sample in self.shown]

    def records(self, found: Iterable[Sample]) -> None:
        """Text by text as JSON, with its seed."""
        for sample in self._each(found):
            lines = whole_lines(sample.text, prompt=self.prompt, cut=sample.finished == "length")
            record = {
                "row": sample.row,
                "seed": sample.seed,
                "text": self.front + sample.text,
                "finished": sample.finished,
                "logprob": sample.logprob,
                "tokens": sample.tokens,
                "mean_surprisal": sample.mean_surprisal,
                "kept": sample.kept,
                "tries": sample.tries,
                "lines": len(lines),
                "copied_lines": None if self.known is None else self.known.copied(lines),
                **({} if sample.copied is None else {"copied": sample.copied.to_json()}),
            }
            self.shown.append(sample)
            write(to_json_text(record) + "\n")

    def tell(self, *, lines: bool = False) -> None:
        """Say how many tries matched a pattern, what each text copies at most and, with `lines`, how many lines do."""
        if self.tries:
            matched, tried = len(self.tries), sum(self.tries)
            say(f"{matched:,} of {tried:,} tries matched: {matched / tried:.2%}")
        for number, copied in enumerate(self.copies, 1):
            if copied is not None:
                where = f"{copied.text!r}, stand in line {copied.line:,} of the training text: {copied.line_text!r}"
                say(f"sample {number}: {copied.length:,} characters, {where}")
        if lines and self.lines and self.known is not None:
            say(verdict(self.known.copied(self.lines), len(self.lines)))

    def _each(self, found: Iterable[Sample]) -> Iterator[Sample]:
        from charrnn.api.copies import with_copies

        for sample in with_copies(found, self.indices, self.prompt) if self.indices else found:
            self._ended(sample.tries)
            yield sample

    def _ended(self, tries: int | None) -> None:
        self.tries += [] if tries is None else [tries]

    def _painter(self) -> "Painter | None":
        return Painter() if self.colour else None


class Painter:
    """Shades what is written by its bits; says so where nothing can be shown."""

    def __init__(self) -> None:
        from charrnn.console.shading import Shades

        self._shades = Shades()
        if self._shades.system is None:
            say("standard output shows no colours: it is no terminal, or one without them")

    def __call__(self, reader: SpanReader, written: TextChunk | Sample) -> str:
        """A chunk, or a whole text."""
        spans = reader(written.text, written.ids, written.logprobs or ())
        return self._shades((span.text, span.nats / math.log(2)) for span in spans)
