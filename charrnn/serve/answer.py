"""What goes out: a completion as one object, or as a stream of them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from charrnn.config import seed_of_row
from charrnn.generation.batch import Party
from charrnn.generation.chain import Chain
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.schema import to_json_text
from charrnn.scoring.side_by_side import Memory
from charrnn.serve.desk import Come, Task
from charrnn.serve.logprobs import Record
from charrnn.serve.metrics import Clock
from charrnn.serve.problems import Problem
from charrnn.serve.request import BORDER, Asked, unending
from charrnn.serve.served import Served

# Why a text has ended, in OpenAI's words.
REASONS = {"length": "length", "stop": "stop", "end": "stop"}


class Completion:
    """A request under way: choice number i x n + j is the j-th text behind the i-th prompt."""

    def __init__(self, served: Served, asked: Asked, clock: Clock) -> None:
        self._served, self._asked, self._clock = served, asked, clock
        self._come: asyncio.Queue[Come] = asyncio.Queue()
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()),
            "model": served.name,
        }  # fmt: skip
        self._tokens = 0
        self._seen = False
        self._tasks: list[Task] = []

    def prepare(self) -> list[Task]:
        """The tasks of it; this may take a while, as for a pattern. Raises what the processors do."""
        if not self._asked.fields.max_tokens:
            return []
        chain = self._served.chain(self._asked.config)
        return [
            Task(prompt, self._party(number, prompt, chain), self._come.put_nowait)
            for number, prompt in enumerate(self._asked.prompts)
        ]

    def _party(self, number: int, prompt: list[int], chain: Chain) -> Party:
        config, fields = unending(self._asked.config), self._asked.fields
        return Party(
            chain,
            [
                TextSequence(
                    number * fields.n + row, prompt, self._served.tokenizer, config, chain.processors,
                    seed=seed_of_row(self._asked.seed, row), most=fields.max_tokens,
                )
                for row in range(fields.n)
            ],
        )  # fmt: skip

    def begin(self, tasks: list[Task]) -> None:
        """Have them written; `end` must follow. Raises Problem where too much waits already."""
        self._served.hold(self._asked.choices)
        self._tasks = tasks
        for task in tasks:
            self._served.desk.submit(task)

    def end(self) -> None:
        """Whatever is still under way is not wanted any more."""
        self._served.hold(-self._asked.choices)
        for task in self._tasks:
            self._served.desk.cancel(task)

    async def whole(self) -> dict[str, Any]:
        """The completion, when all its texts have come to their ends."""
        asked, fields = self._asked, self._asked.fields
        texts, ids = [""] * asked.choices, [list[int]() for _ in range(asked.choices)]
        reasons = ["length"] * asked.choices
        async for chunks in self._chunks():
            for chunk in chunks:
                texts[chunk.row] += chunk.text
                ids[chunk.row] += chunk.ids
                reasons[chunk.row] = chunk.finished or "length"
        prompts = [asked.prompts[number // fields.n] for number in range(asked.choices)]
        fronts = [self._front(prompt) for prompt in prompts]
        records: Sequence[dict[str, Any] | None] = [None] * asked.choices
        if fields.logprobs is not None:
            wholes = [[*prompt, *drawn] for prompt, drawn in zip(prompts, ids, strict=True)]
            found = await self._served.teller.each(wholes, fields.logprobs)
            records = [
                self._record(prompt).tell(
                    drawn, predictions[0 if fields.echo else len(prompt) :], len(front) + len(text)
                )
                for prompt, drawn, predictions, front, text in zip(prompts, ids, found, fronts, texts, strict=True)
            ]
        choices = [
            self._choice(number, fronts[number] + texts[number], records[number], reasons[number])
            for number in range(asked.choices)
        ]
        return {**self._head, "choices": choices, "usage": self._usage(), "seed": asked.seed}

    async def stream(self) -> AsyncIterator[str]:
        """Server-sent events, each as soon as there is text."""
        tellings = [self._telling(number) for number in range(self._asked.choices)]
        try:
            if self._asked.fields.echo or not self._asked.fields.max_tokens:
                reason = None if self._asked.fields.max_tokens else "length"
                for number, telling in enumerate(tellings):
                    front = self._front(telling.prompt)
                    yield self._event(self._choice(number, front, await telling.begin(len(front)), reason))
            async for chunks in self._chunks():
                events = ""
                for chunk in chunks:
                    record = await tellings[chunk.row].go_on(chunk)
                    events += self._event(self._choice(chunk.row, chunk.text, record, chunk.finished))
                yield events
            if self._asked.usage:
                yield _event({**self._head, "choices": [], "usage": self._usage()})
        except Problem as problem:
            yield _event(problem.body)
        yield "data: [DONE]\n\n"

    async def _chunks(self) -> AsyncIterator[list[TextChunk]]:
        """All that comes, until all have ended. Raises Problem where a task is stopped."""
        left = self._asked.choices if self._tasks else 0
        while left:
            come = await self._come.get()
            if isinstance(come, Problem):
                raise come
            if not self._seen:
                self._served.metrics.observe("first_seconds", self._clock.seconds)
                self._seen = True
            self._tokens += sum(len(chunk.ids) for chunk in come)
            left -= sum(chunk.finished is not None for chunk in come)
            yield come

    def _front(self, prompt: Sequence[int]) -> str:
        """What of a prompt goes out."""
        if not self._asked.fields.echo:
            return ""
        return BORDER * self._asked.begins + self._served.tokenizer.decode(prompt)

    def _record(self, prompt: Sequence[int]) -> Record:
        fields = self._asked.fields
        return Record(
            self._served.tokenizer, prompt, echo=fields.echo, begins=self._asked.begins, top=fields.logprobs or 0
        )

    def _telling(self, number: int) -> "Telling":
        fields, prompt = self._asked.fields, self._asked.prompts[number // self._asked.fields.n]
        return Telling(self._served, prompt, None if fields.logprobs is None else self._record(prompt), fields.logprobs)

    def _choice(self, number: int, text: str, record: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
        finished = None if reason is None else REASONS[reason]
        return {"index": number, "text": text, "logprobs": record, "finish_reason": finished}

    def _event(self, choice: dict[str, Any]) -> str:
        return _event({**self._head, "choices": [choice]})

    def _usage(self) -> dict[str, Any]:
        prompt = sum(map(len, self._asked.prompts))
        cached = sum(task.cached for task in self._tasks)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self._tokens,
            "total_tokens": prompt + self._tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


class Telling:
    """The log-probabilities of one choice of a stream, piece by piece; none where they are not asked for."""

    def __init__(self, served: Served, prompt: Sequence[int], record: Record | None, top: int | None) -> None:
        self._served, self.prompt, self._kept, self._top = served, prompt, record, top or 0
        self._memory: Memory | None = None

    async def begin(self, characters: int) -> dict[str, Any] | None:
        """Those of the prompt, which is told."""
        if self._kept is None:
            return None
        predictions, self._memory = await self._served.teller.behind(self.prompt, None, self._top)
        return self._kept.tell([], predictions, characters)

    async def go_on(self, chunk: TextChunk) -> dict[str, Any] | None:
        """Those of what is new."""
        if self._kept is None:
            return None
        if self._memory is None:
            _, self._memory = await self._served.teller.behind(self.prompt, None, self._top)
        predictions, self._memory = await self._served.teller.behind(chunk.ids, self._memory, self._top)
        return self._kept.tell(chunk.ids, predictions)


def _event(value: dict[str, Any]) -> str:
    return f"data: {to_json_text(value)}\n\n"
