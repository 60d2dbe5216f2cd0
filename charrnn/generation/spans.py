"""A written text in the smallest pieces that can be shown, and what each of them cost.

A token of a character model is a span. Bytes, and pieces that end within a character, are put together until a
character is whole.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from charrnn.text.tokenizers import Tokenizer


class Span(NamedTuple):
    """A piece of text, the nats of the tokens that wrote it, and how many these are."""

    text: str
    nats: float
    tokens: int


class SpanReader:
    """Takes one text's tokens and what was written of them, and tells the spans of that; what is held back waits."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._detokenizer, self._end = tokenizer.detokenizer(), tokenizer.size
        self._waiting: deque[Span] = deque()
        self._half = Span("", 0.0, 0)

    def __call__(self, text: str, ids: Iterable[int], logprobs: Iterable[float]) -> list[Span]:
        """More of the text, and the tokens drawn for it with their log-probabilities: the spans that it is.

        Where a text was cut off within a span, that is cut and costs all that it did. The end of a document is a span
        without text.
        """
        for token, logprob in zip(ids, logprobs, strict=True):
            written = self._detokenizer.finish() if token == self._end else self._detokenizer.push(token)
            self._half = Span(written, self._half.nats - logprob, self._half.tokens + 1)
            if written or token == self._end:
                self._waiting.append(self._half)
                self._half = Span("", 0.0, 0)
        spans, room = [], len(text)
        while self._waiting and (room or not self._waiting[0].text):
            span = self._waiting.popleft()
            if len(span.text) > room:
                spans.append(span._replace(text=span.text[:room]))
                # What is left of it has been paid for.
                self._waiting.appendleft(Span(span.text[room:], 0.0, 0))
                break
            spans.append(span)
            room -= len(span.text)
        return spans
