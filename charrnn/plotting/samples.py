"""What a model wrote as one page: coloured by surprisal, the alternatives on hover, copied spans underlined."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.generation.samples import Sample
from charrnn.generation.spans import SpanReader
from charrnn.plotting.page import filled
from charrnn.plotting.shading import SHOWN, Marks, legend, safe, steps_of
from charrnn.scoring.predictions import Predictions
from charrnn.text.copy_index import Copied
from charrnn.text.tokenizers import Tokenizer

# Copies that are listed below a text: the longest.
LISTED = 20


class SamplePage:
    """Takes samples, as many as there is room for, and what the model held likely in the place of each token."""

    def __init__(self, tokenizer: Tokenizer, front: str = "") -> None:
        """`front` stands before each: the prompt."""
        self._tokenizer, self._front, self._marks = tokenizer, front, Marks(tokenizer)
        self._sections: list[str] = []
        self._room, self._left_out = SHOWN, 0

    def push(self, sample: Sample, detail: Predictions, copies: Sequence[Copied] = ()) -> None:
        """One more, with the predictions of its tokens and the spans of it that stand in the training text."""
        if len(sample.text) > self._room and self._sections:
            self._room, self._left_out = 0, self._left_out + 1
            return
        self._room -= len(sample.text)
        surprisal = "" if not len(detail) else f" · {detail.nll.mean() / math.log(2):.2f} bits a token"
        ended = {"length": "cut at its length", "stop": "ended by a stop string", "end": "ended by itself"}
        head = f"seed {sample.seed}{surprisal} · {ended.get(sample.finished, sample.finished)}"
        front = f"<b>{safe(self._front)}</b>" if self._front else ""
        body = "".join(f"<i{mark}" for mark in self._places(sample, detail, copies)) or "<b>(no text)</b>"
        longest = sorted(copies, key=lambda copied: -copied.length)[:LISTED]
        said = "".join(f"<li>{safe(_said(copied))}</li>" for copied in copies if copied in longest)
        said += f"<li>and {len(copies) - LISTED:,} shorter ones</li>" if len(copies) > LISTED else ""
        self._sections.append(
            f"<section><h2>{head}</h2><div>{front}{body}</div>{f'<ol>{said}</ol>' if said else ''}</section>"
        )

    def html(self, title: str, about: str, copies: str) -> str:
        """The page; `copies` says what is underlined."""
        left_out = f" {self._left_out:,} more samples are not shown: the page would be too large." * (
            self._left_out > 0
        )
        parts = {"title": safe(title), "about": safe(about + left_out), "copies": safe(copies), "legend": legend()}
        return filled("samples", {**parts, "samples": "".join(self._sections)})

    def _places(self, sample: Sample, detail: Predictions, copies: Sequence[Copied]) -> Iterator[str]:
        # The end of a stream that a pattern ended is none that the model predicts.
        ids = sample.ids[: len(detail)]
        spans = SpanReader(self._tokenizer)(sample.text, ids, (-detail.nll).tolist())
        bits = [span.nats / math.log(2) for span in spans]
        line = np.zeros(len(sample.text) + 1, np.int64)
        for copied in reversed(copies):
            line[max(copied.start, 0) : copied.start + copied.length] = copied.line
        token = place = 0
        for span, step, cost in zip(spans, steps_of(bits), bits, strict=True):
            known = self._marks.known(detail, token) if span.tokens == 1 else ""
            yield self._marks.mark(span.text, step, cost, known, int(line[place]) if span.text else 0)
            token, place = token + span.tokens, place + len(span.text)


def _said(copied: Copied) -> str:
    return f"{copied.length:,} characters, “{copied.text}”, stand in line {copied.line:,} of the training text"
