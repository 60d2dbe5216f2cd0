"""A text written in turns: somebody types, the model proposes, and what is good is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from charrnn.api.arguments import AnyPath
from charrnn.api.state import State
from charrnn.api.writer import Writer
from charrnn.config import draw_seed, seed_of_row
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextChunk


@dataclass(frozen=True)
class Kept:
    """A text as far as it goes, and what the model has read of it; None where another text is to begin."""

    text: str = ""
    state: State | None = None


class Session:
    """What is kept is read once; what the model writes behind it is a proposal until `keep` or `more`.

        session = Session(model, seed=1)
        for chunk in session.write("The heron"):
            print(chunk.text, end="")

    Turn i has the seed plus i, so that the same turns give the same text.
    """

    def __init__(
        self,
        source: Writer,
        *,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        state: State | AnyPath | None = None,
    ) -> None:
        """`state` is a text that was read before. Raises what `Writer.read` does."""
        self.source, self.config = source, config or SampleConfig()
        self.seed = draw_seed() if seed is None else seed
        self.proposal = ""
        """What the model wrote last, as far as it came, while it is not kept."""
        self.precision, self.turn = precision, 0
        begun = None if state is None else source.read(state=state, precision=precision)
        self._kept = [Kept(begun.text, begun) if begun else Kept()]
        self._ended = False

    def use(self, config: SampleConfig) -> None:
        """Write by these options from here on. Raises ConfigError where no text that begins as this one can."""
        learned = [] if config.max_copy is None else [model.copy_index for model in self.source.opened]
        state = self._kept[-1].state
        for processor in compose(config, self.source.tokenizer, learned):
            processor.start(state.reading.ids if state else [])
        self.config = config

    @property
    def text(self) -> str:
        """All that was typed and kept."""
        return self._kept[-1].text

    def write(self, typed: str = "") -> Iterator[TextChunk]:
        """Go on behind what is kept and this; a proposal that was not kept is gone.

        Whoever leaves the iterator has what came until then for a proposal. Raises VocabularyError on a character that
        the model does not know, and ConfigError where nothing can follow; then all is as it was.
        """
        kept = self._behind(typed) if typed else self._kept[-1]
        chunks = self.source.stream(
            state=kept.state, seed=seed_of_row(self.seed, self.turn), config=self.config, logprobs=True,
            precision=None if kept.state else self.precision,
        )  # fmt: skip
        first = next(chunks)  # what can go wrong has gone wrong
        if typed:
            self._kept.append(kept)
        self.proposal, self._ended = "", False
        self.turn += 1
        return self._proposed(first, chunks)

    def again(self) -> Iterator[TextChunk]:
        """Another proposal in the place of the last."""
        return self.write()

    def more(self, typed: str = "") -> Iterator[TextChunk]:
        """Keep the proposal and go on behind it, and this. Raises what `write` does; then all is as it was."""
        before = self.proposal, self._ended, list(self._kept)
        self.keep()
        try:
            return self.write(typed)
        except BaseException:
            self.proposal, self._ended, self._kept = before
            raise

    def keep(self) -> None:
        """The proposal is part of the text; where its document has ended, what comes is another."""
        if self.proposal or self._ended:
            kept = self._behind(self.proposal)
            if self._ended:
                kept = Kept(kept.text + ("\n\n" if self.source.documents == "paragraphs" else "\n"))
            self._kept.append(kept)
        self.proposal, self._ended = "", False

    def undo(self) -> bool:
        """Drop the proposal or, where there is none, what was typed or kept last; whether there was anything."""
        if self.proposal or self._ended:
            self.proposal, self._ended = "", False
            return True
        if len(self._kept) > 1:
            self._kept.pop()
            return True
        return False

    def _behind(self, text: str) -> Kept:
        """What is kept and this."""
        last = self._kept[-1]
        precision = None if last.state else self.precision
        return Kept(last.text + text, self.source.read(text, state=last.state, precision=precision))

    def _proposed(self, first: TextChunk, chunks: Iterator[TextChunk]) -> Iterator[TextChunk]:
        following: TextChunk | None = first
        turn = self.turn
        while following is not None and self.turn == turn:
            self.proposal += following.text
            # A pattern ends a text of one stream, and no document.
            self._ended = following.finished == "end" and self.source.documents != "stream"
            yield following
            following = next(chunks, None)
