"""How likely the model held the tokens of a text: in 32 bits, as `charrnn score` tells it, whatever numbers write.

Read by one thread, and loaded when they are first asked for. Shapes: N tokens, K alternatives.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from charrnn.api.opened import Opened
from charrnn.scoring.predictions import Asked, Predictions
from charrnn.scoring.readers import NumpyReader
from charrnn.scoring.side_by_side import Memory, SideBySide
from charrnn.serve.request import BORDER
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer


class Teller:
    """The log-probabilities of one model."""

    def __init__(self, model: Opened) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(1, "charrnn-logprobs")

    @cached_property
    def _numpy(self) -> NumpyReader:
        # NumPy's alone: torch would be faster with many texts, but to load it holds up whoever is being written for.
        return NumpyReader(self._model.config, self._model.weights, self._model.counting)

    async def each(self, texts: Sequence[Sequence[int]], top: int) -> list[Predictions]:
        """Of each text from its start, read side by side."""

        def read() -> list[Predictions]:
            return self._side_by_side(top).each([np.array(text, np.int64) for text in texts], self._fresh())

        return await asyncio.get_running_loop().run_in_executor(self._worker, read)

    async def behind(self, ids: Sequence[int], memory: Memory | None, top: int) -> tuple[Predictions, Memory]:
        """Of some tokens behind others, and what is known behind them; None: from the start of a text."""

        def read() -> tuple[Predictions, Memory]:
            return self._side_by_side(top).go_on(np.array(ids, np.int64), memory or self._fresh())

        return await asyncio.get_running_loop().run_in_executor(self._worker, read)

    def close(self) -> None:
        """Nothing more is asked."""
        self._worker.shutdown(cancel_futures=True)

    def _side_by_side(self, top: int) -> SideBySide:
        return SideBySide(self._model.config, self._numpy, Asked(top=top))

    def _fresh(self) -> Memory:
        return Memory(self._numpy.initial_states(1), self._model.config.start_id)


class Record:
    """The `logprobs` of one choice, which grow with it."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], *, echo: bool, begins: bool, top: int) -> None:
        """With `echo` the prompt is told too, and the start in front of it where it `begins` with that."""
        self._tokenizer, self._align, self._top = tokenizer, Alignment(tokenizer), top
        self.ids = list(prompt)
        self._told = 0 if echo else len(prompt)
        self._start = len(BORDER) if echo and begins else 0
        self._before = 0 if echo else len(tokenizer.decode(prompt))
        self._waiting = echo and begins

    def tell(self, drawn: Sequence[int], predictions: Predictions, within: int | None = None) -> dict[str, Any]:
        """What is new: of all ids so far and these, given what was predicted of those that are told now.

        Of the last, tokens are left out that begin behind the text, which has so many characters.
        """
        self.ids += drawn
        end = self._tokenizer.size
        ids = np.array(self.ids)
        text = self._tokenizer.decode([one for one in self.ids if one != end])
        places = (self._align(text, ids).begins - self._before + self._start).tolist()
        record: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        if self._waiting:
            self._waiting = False
            _add(record, BORDER, None, None, 0)
        new = range(self._told, len(self.ids))
        self._told = len(self.ids)
        for place, number in enumerate(new):
            token, offset = self.ids[number], places[number]
            if within is not None and offset >= within and token != end:
                continue
            logprob = -float(predictions.nll[place])
            _add(record, name(self._tokenizer, token), logprob, self._alternatives(predictions, place, token), offset)
        return record if self._top else {**record, "top_logprobs": None}

    def _alternatives(self, predictions: Predictions, place: int, token: int) -> dict[str, float]:
        """The K likeliest, and the token itself."""
        found: dict[str, float] = {}
        if predictions.top is not None and predictions.top_nll is not None:
            for one, nll in zip(predictions.top[place].tolist(), predictions.top_nll[place].tolist(), strict=True):
                found[name(self._tokenizer, one)] = -nll
        found[name(self._tokenizer, token)] = -float(predictions.nll[place])
        return found


def _add(
    record: dict[str, list[Any]], token: str, logprob: float | None, top: dict[str, float] | None, at: int
) -> None:
    for column, value in zip(record.values(), (token, logprob, top, at), strict=True):
        column.append(value)


def name(tokenizer: Tokenizer, token: int) -> str:
    """A token as text; of half a character its bytes, as OpenAI has them: bytes:\\xc3."""
    if token == tokenizer.size:
        return BORDER
    piece = tokenizer.pieces[token]
    try:
        return piece.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)
