"""The server, called as an ASGI application in this process; and what its thread and its cache do."""

import asyncio
import json
import math
import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.api import load
from charrnn.api.model import Model
from charrnn.errors import ConfigError
from charrnn.generation.batch import Batch, Party, Spells, Steps, kind_of
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextSequence
from charrnn.inference.engine import open_engine
from charrnn.inference.reading import read
from charrnn.models.states import state_parts
from charrnn.serve.app import application
from charrnn.serve.limits import Limits
from charrnn.serve.metrics import Metrics
from charrnn.serve.prompts import DIGEST, STRIDE, Beginnings, Known, Prompts, Text
from charrnn.serve.request import BORDER
from charrnn.serve.served import Served
from charrnn.serve.site import Site

from .cases import each
from .conftest import CommandLine, command

PROMPT = "The heron "


@pytest.fixture(scope="module")
def small(trained: Path) -> Model:
    return load(trained / "small")


@pytest.fixture(scope="module")
def lines(trained: Path) -> Model:
    return load(trained / "lines")


class Answer(NamedTuple):
    """Status and body; `json` is the body, or of a stream what its events hold."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        *data, done, rest = self.body.split("\n\n")
        assert done == "data: [DONE]" and rest == ""
        return [json.loads(event.removeprefix("data: ")) for event in data]


class Client:
    """Asks an application, which knows no network."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, path: str, fields: Any = None, *, stay: float = 60, headers: Any = ()) -> Answer:
        """GET, or POST of some fields, or of bytes as they are; the client goes after `stay` seconds."""
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        sent, came = iter([{"type": "http.request", "body": body}]), list[dict[str, Any]]()
        said = {"content-type": "application/json"} | dict(headers)
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "scheme": "http", "http_version": "1.1",
            "method": "GET" if fields is None else "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            try:
                return next(sent)
            except StopIteration:
                await asyncio.sleep(stay)
                return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            came.append(message)

        await self.app(scope, receive, send)
        head = came[0]
        found = {name.decode(): value.decode() for name, value in head["headers"]}
        return Answer(head["status"], found, b"".join(one.get("body", b"") for one in came[1:]).decode())


@asynccontextmanager
async def serving(*models: Model, key: str | None = None, faults: Any = None, **limits: int) -> AsyncIterator[Client]:
    """A client of these models."""
    bounds, metrics, told = Limits(**limits), Metrics(), list[str]() if faults is None else faults
    site = Site(
        [Served(model, "int8", bounds, metrics, told.append) for model in models], bounds, metrics, key, told.append
    )
    app = application(site)
    async with site.lifespan(app):
        yield Client(app)
    assert faults is not None or not told, told


def texts(answer: Answer) -> list[str]:
    return [choice["text"] for choice in answer.json["choices"]]


def test_each_text_is_what_sample_writes_with_its_seed_whoever_asks_beside(small: Model, lines: Model) -> None:
    asked: list[dict[str, Any]] = [
        {"seed": 1}, {"seed": 2, "n": 3}, {"seed": 3, "temperature": 0.5}, {"seed": 4, "top_k": 3, "max_tokens": 200},
        {"seed": 5, "match": "The heron [a-z ]{5,9}"}, {"seed": 6, "stop": ["e", " t"]},
        {"seed": 7, "min_p": 0.1, "n": 2}, {"seed": 8, "repetition_penalty": 1.5}, {"seed": 1, "max_tokens": 300},
        {"seed": 9, "max_copy": 8, "max_tokens": 30},
    ]  # fmt: skip

    async def all_at_once() -> list[Answer]:
        async with serving(small, lines) as client:
            calls = []
            for fields in asked:
                calls += [
                    client("/v1/completions", {"prompt": PROMPT, "model": name, **fields})
                    for name in ("small", "lines")
                    if "match" not in fields or name == "small"
                ]
                calls.append(client("/v1/completions", {"prompt": PROMPT, "model": "small", "stream": True, **fields}))
            return await asyncio.gather(*calls)

    found = iter(asyncio.run(all_at_once()))
    for fields in asked:
        options = {name: value for name, value in fields.items() if name not in ("n", "max_tokens")}
        wanted = {"temperature": 1.0, "length": fields.get("max_tokens", 16), "rows": fields.get("n", 1)} | options
        for model in (small, lines):
            if model is lines and "match" in fields:
                continue
            alone = model.sample(PROMPT, precision="int8", **wanted)
            assert texts(next(found)) == ([alone] if isinstance(alone, str) else alone), (model.name, fields)
        streamed = [""] * wanted["rows"]
        for event in next(found).events:
            (choice,) = event["choices"]
            streamed[choice["index"]] += choice["text"]
        alone = small.sample(PROMPT, precision="int8", **wanted)
        assert streamed == ([alone] if isinstance(alone, str) else alone), fields


def test_a_completion_says_what_openai_says(small: Model) -> None:
    async def ask() -> tuple[Answer, ...]:
        async with serving(small) as client:
            told = {"prompt": ["The ", "He"], "max_tokens": 5, "n": 2, "seed": 1, "user": "me", "top_p": None}
            whole = await client("/v1/completions", told)
            again = await client("/v1/completions", told)
            stream = {"prompt": "The ", "stream": True, "echo": True, "stream_options": {"include_usage": True}}
            return whole, again, await client("/v1/completions", stream), await client("/v1/models"), await client(
                "/v1/models/small"
            ), await client("/metrics")  # fmt: skip

    whole, again, stream, models, one, metrics = asyncio.run(ask())
    assert whole.status == 200 and whole.json["object"] == "text_completion" and whole.json["model"] == "small"
    assert [choice["index"] for choice in whole.json["choices"]] == [0, 1, 2, 3] and whole.json["seed"] == 1
    assert {choice["finish_reason"] for choice in whole.json["choices"]} == {"length"}
    usage = {"prompt_tokens": 6, "completion_tokens": 20, "total_tokens": 26}
    assert whole.json["usage"] == {**usage, "prompt_tokens_details": {"cached_tokens": 0}}
    assert again.json["usage"] == {**usage, "prompt_tokens_details": {"cached_tokens": 6}}
    told: dict[str, Any] = {"rows": 2, "seed": 1, "length": 5, "temperature": 1.0, "precision": "int8"}
    assert texts(again) == texts(whole) == [*small.sample("The ", **told), *small.sample("He", **told)]
    first, *_, last = stream.events
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert first["choices"][0]["text"] == "The " and first["choices"][0]["finish_reason"] is None
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == 16
    assert [model["id"] for model in models.json["data"]] == ["small"] and one.json["id"] == "small"
    assert 'charrnn_tokens_total{model="small"} 56\n' in metrics.body, metrics.body
    assert 'charrnn_requests_total{status="200"} 5\n' in metrics.body


def test_log_likelihoods_are_those_of_score(small: Model, lines: Model) -> None:
    text = "The heron stood in the shallows."

    async def ask() -> list[Answer]:
        async with serving(small, lines) as client:
            told: dict[str, Any] = {"logprobs": 2, "echo": True, "seed": 1}
            ids = (await client("/tokenize", {"prompt": text})).json["tokens"]
            (border,) = (await client("/tokenize", {"prompt": BORDER})).json["tokens"]
            drawn = {"model": "lines", "prompt": text, **told}
            asked: list[dict[str, Any]] = [
                {"prompt": [text, "He"], "max_tokens": 0, **told}, {"prompt": [border, *ids], "max_tokens": 1, **told},
                {**drawn, "model": "small", "stop": ["e"], "max_tokens": 300}, {**drawn, "max_tokens": 90},
                {**drawn, "max_tokens": 90, "stream": True}, {**drawn, "max_tokens": 90, "echo": False},
            ]  # fmt: skip
            assert (await client("/detokenize", {"tokens": [border, *ids]})).json["prompt"] == BORDER + text
            return [await client("/v1/completions", fields) for fields in asked]

    whole, begun, stopped, ended, streamed, alone = asyncio.run(ask())
    (wanted,) = small.score_lines([text])
    told = whole.json["choices"][0]
    assert told["text"] == text == "".join(told["logprobs"]["tokens"])
    assert -math.fsum(told["logprobs"]["token_logprobs"]) == pytest.approx(wanted.nats, rel=1e-6)
    assert told["logprobs"]["text_offset"] == list(range(len(text)))
    for logprob, top in zip(told["logprobs"]["token_logprobs"], told["logprobs"]["top_logprobs"], strict=True):
        assert logprob in top.values() and len(top) in (2, 3)
    # As lm-evaluation-harness sums them: the start in front has none, the token drawn last is left out.
    first, *others = begun.json["choices"][0]["logprobs"]["token_logprobs"]
    assert first is None and -math.fsum(others[:-1]) == pytest.approx(wanted.nats, rel=1e-6)
    assert begun.json["choices"][0]["logprobs"]["text_offset"][:3] == [0, len(BORDER), len(BORDER) + 1]
    choice = stopped.json["choices"][0]
    offsets = choice["logprobs"]["text_offset"]
    assert len(offsets) == len(choice["logprobs"]["tokens"]) and max(offsets) == len(choice["text"]) - 1
    assert choice["finish_reason"] == "stop" and not choice["text"].endswith("e")
    record, before = alone.json["choices"][0]["logprobs"], len(text)
    for name, values in ended.json["choices"][0]["logprobs"].items():
        assert record[name] == [each - before if name == "text_offset" else each for each in values[before:]], name
    # Where a document ends, its end is told too; and a stream tells the same piece by piece.
    choice = ended.json["choices"][0]
    parts = [event["choices"][0]["logprobs"] for event in streamed.events]
    assert [one for part in parts for one in part["tokens"]] == choice["logprobs"]["tokens"]
    assert [one for part in parts for one in part["text_offset"]] == choice["logprobs"]["text_offset"]
    assert (choice["logprobs"]["tokens"][-1] == BORDER) == (choice["finish_reason"] == "stop")


BAD: list[tuple[Any, int, str | None]] = [
    (b"", 400, None), (b"[]", 400, None), (b"\xff", 400, None), (b"[" * 2000, 400, None), (b'{"n": NaN}', 400, None),
    ({"prompt": 5}, 400, "prompt"), ({"prompt": [[-1]]}, 400, "prompt"), ({"prompt": ["a", 1]}, 400, "prompt"),
    ({"prompt": "☃"}, 400, "prompt"), ({"max_tokens": 10**9}, 400, "max_tokens"), ({"n": 0}, 400, "n"),
    ({"n": 9, "prompt": ["a"] * 200}, 400, "n"), ({"temperature": "hot"}, 400, "temperature"),
    ({"temperature": [0, 1]}, 400, "temperature"), ({"temperature": -1}, 400, "temperature"),
    ({"stop": 5}, 400, "stop"),
    ({"stop": "a", "match": "b"}, 400, "stop"), ({"match": "("}, 400, "match"), ({"match": "☃+"}, 400, "match"),
    ({"logprobs": 99}, 400, "logprobs"), ({"seed": -1}, 400, "seed"), ({"topk": 3}, 400, "topk"),
    ({"suffix": "end"}, 400, "suffix"), ({"best_of": 3}, 400, "best_of"),
    ({"n": 1000, "logprobs": 20, "max_tokens": 16_000}, 400, "logprobs"),
    ({"stream_options": {"a": 1}}, 400, "stream_options"),
    ({"model": "none"}, 404, "model"), ({"prompt": "a" * 3000}, 413, None),
]  # fmt: skip


def test_what_is_wrong_is_told_in_one_line(small: Model) -> None:
    async def ask() -> None:
        async with serving(small, key="secret", max_body=2048) as client:
            right = {"authorization": "Bearer secret"}
            for fields, status, param in BAD:
                answer = await client("/v1/completions", fields, headers=right)
                told = answer.json["error"]
                assert (answer.status, told["param"]) == (status, param), (fields, answer)
                assert (
                    told["type"] == "invalid_request_error" and "\n" not in told["message"] and "`" not in answer.body
                )
            for headers in ({}, {"authorization": "Bearer no"}, {"authorization": "secret"}):
                answer = await client("/v1/completions", {}, headers=headers)
                assert answer.status == 401 and answer.json["error"]["code"] == "invalid_api_key"
            assert (await client("/health")).status == 200
            plain = right | {"content-type": "text/plain"}
            assert (await client("/v1/completions", {}, headers=plain)).status == 415, (
                "a page of another origin may send this"
            )
            assert (await client("/v1/nothing", headers=right)).status == 404
            assert (await client("/v1/completions", headers=right)).status == 405
            assert (await client("/v1/completions", {"best_of": 2, "n": 2}, headers=right)).status == 200

    asyncio.run(ask())


def test_a_browser_is_shown_the_page_of_the_model_or_which_there_are(
    small: Model, lines: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        async with serving(small) as client:
            whole = await client("/")
            assert whole.status == 200 and whole.headers["content-type"].startswith("text/html")
            assert whole.body == small.live_page()
            monkeypatch.setattr(Model, "live_page", lambda self: "another")
            assert (await client("/page/small")).body == whole.body, "it is made once"
        async with serving(small, lines, key="secret") as client:
            assert (await client("/")).status == (await client("/page/lines")).status == 401
            known = {"authorization": "Bearer secret"}
            body = (await client("/", headers=known)).body
            assert '<a href="/page/small">small</a>' in body and '<a href="/page/lines">lines</a>' in body
            assert (await client("/page/lines", headers=known)).body == "another"
            assert (await client("/page/none", headers=known)).status == 404

        def refused(self: Model) -> str:
            raise ConfigError("a page holds no <such>: look elsewhere")

        monkeypatch.setattr(Model, "live_page", refused)
        async with serving(small) as client:
            assert "<p>a page holds no &lt;such&gt;</p>\n<ul><li>small</ul>" in (await client("/")).body

    asyncio.run(ask())


def test_who_goes_is_not_written_for_and_what_is_too_much_waits_or_is_refused(small: Model) -> None:
    async def ask() -> None:
        async with serving(small, rows=1, queue=2) as client:
            long = {"prompt": "The ", "max_tokens": 16_000, "surprise": 3.0}
            gone = [
                client("/v1/completions", long, stay=0.2),
                client("/v1/completions", {**long, "stream": True}, stay=0.2),
            ]
            running = asyncio.gather(*gone)
            await asyncio.sleep(0.05)
            waits = asyncio.create_task(client("/v1/completions", {"max_tokens": 3}))
            await asyncio.sleep(0)
            refused = [await client("/v1/completions", {"max_tokens": 3, "n": 2})]
            assert refused[0].status == 429 and refused[0].json["error"]["type"] == "rate_limit_error"
            whole, _ = await running
            assert whole.status == 499
            assert (await waits).status == 200
            for _ in range(50):  # the desk hears of it a moment later
                if (
                    "charrnn_rows" in (told := (await client("/metrics")).body)
                    and 'charrnn_waiting{model="small"} 0' in told
                ):
                    break
                await asyncio.sleep(0.02)
            assert (await client("/v1/completions", {"max_tokens": 3, "n": 3})).status == 200

    asyncio.run(ask())


def test_who_goes_while_a_prompt_is_read_is_forgotten(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        async with serving(small) as client:
            with monkeypatch.context() as patch:  # a token at a time
                patch.setattr("charrnn.serve.prompts.PIECE_SECONDS", 1e-9)
                patch.setattr("charrnn.serve.prompts.MOST_LOGITS", 1)
                assert (await client("/v1/completions", {"prompt": "The " * 20_000}, stay=0.02)).status == 499
                assert "charrnn_tokens_total{" not in (await client("/metrics")).body, "it was still being read"
            assert (await client("/v1/completions", {"max_tokens": 3})).status == 200
            await asyncio.sleep(0.1)

    asyncio.run(ask())


def test_a_fault_of_the_desk_is_told_and_the_next_is_served(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(faults: list[str]) -> tuple[Answer, Answer]:
        async with serving(small, faults=faults) as client:
            with monkeypatch.context() as patch:
                patch.setattr(Spells, "turn", lambda _: 1 // 0)
                broken = await client("/v1/completions", {})
                patch.setattr(Site, "described", lambda *_: 1 // 0)
                with pytest.raises(ZeroDivisionError):  # the application has answered by then
                    await client("/v1/models")
            return broken, await client("/v1/completions", {})

    faults: list[str] = []
    broken, served = asyncio.run(ask(faults))
    assert broken.status == 500 and broken.json["error"]["type"] == "server_error" and served.status == 200
    assert len(faults) == 2 and all("ZeroDivisionError" in told for told in faults)


# -- the batch and the cache -------------------------------------------------------------------------------------------


@each("precision", ["int8", "fp32"])
@each(
    "options",
    [{"temperature": 0.9}, {"temperature": 0.9, "repetition_penalty": 1.2, "repetition_window": 5}, {"surprise": 3.0}],
)
def test_rows_that_join_and_leave_at_any_turn_are_those_alone(
    small: Model, precision: str, options: dict[str, Any]
) -> None:
    engine, tokenizer = small.open_engine(precision), small.tokenizer
    config = SampleConfig.of(length=10**6, **options)
    chain = Chain(compose(config, tokenizer), tokenizer.size, endless=True, told=False)

    def party(number: int) -> Party:
        prompt = tokenizer.encode("The heron"[: number + 1]).tolist()
        told: dict[str, Any] = {"config": config, "processors": chain.processors, "most": 9 * number + 7}
        rows = range(number + 1)
        return Party(chain, [TextSequence(row, prompt, tokenizer, seed=10 * number + row, **told) for row in rows])

    def written(
        joining: dict[int, list[Party]], leaving: dict[int, Party] | None = None
    ) -> tuple[Batch, dict[tuple[int, int], str]]:
        """Parties that join and leave before these turns -> the text of each row of each party, by its rows."""
        found: dict[tuple[int, int], str] = defaultdict(str)
        sizes = {one: len(one.sequences) for parties in joining.values() for one in parties}
        gone = set((leaving or {}).values())
        with kind_of(engine, chain)(engine) as batch:
            for turn in range(100):
                for one in joining.get(turn, ()):
                    batch.join(one, read(engine, one.sequences[0].ids))
                if leaving and turn in leaving:
                    batch.leave(leaving[turn])
                for one, chunk in batch.turn() if batch.parties else ():
                    if one not in gone:
                        found[sizes[one], chunk.row] += chunk.text
        return batch, found

    alone: dict[tuple[int, int], str] = {}
    for number in range(4):
        alone |= written({0: [party(number)]})[1]
    first, second, third, fourth, going = (party(number) for number in (0, 1, 2, 3, 3))
    batch, found = written({0: [first, going], 1: [fourth], 2: [second, third]}, {2: going})
    assert isinstance(batch, Spells if engine.writes and "surprise" not in options else Steps)
    assert found == alone and len(alone) == 10
    assert all(len(text) == 9 * rows - 2 for (rows, _), text in alone.items())


def test_prompts_read_side_by_side_piece_by_piece_are_read_as_alone(small: Model) -> None:
    engine, tokenizer = open_engine(small.config, small.weights, "int8"), small.tokenizer
    text = "The heron stood in the shallows below the ferry. " * 12
    asked = [text[size % 7 :][:size] for size in (0, 1, 40, STRIDE - 1, STRIDE + 3, 560)] + [text[:300] + "He"]
    prompts = Prompts(engine, 10**6)

    def all_read(texts: list[str]) -> tuple[list[int], dict[int, Any]]:
        known = [prompts.add(number, tokenizer.encode(one).tolist()) for number, one in enumerate(texts)]
        found: dict[int, Any] = {}
        while len(prompts):
            found |= dict(prompts.go_on())
        return known, found

    known, found = all_read(asked)
    assert known == [0] * len(asked)
    again, refound = all_read([*asked, text[:STRIDE] + "and what came then"])
    assert again == [*map(len, asked), STRIDE - 1]
    for number, one in enumerate(asked):
        wanted = read(engine, tokenizer.encode(one).tolist())
        for reading in (found[number], refound[number]):
            assert reading.ids == wanted.ids
            np.testing.assert_array_equal(reading.logits, wanted.logits)
            for part, alone in zip(state_parts(reading.state), state_parts(wanted.state), strict=True):
                np.testing.assert_array_equal(part, alone)


def test_the_beginnings_asked_for_last_are_kept() -> None:
    def text(*parts: int) -> Text:
        return Text(np.array(parts, np.int64))

    known = Known(1, np.zeros((1, 2), np.float32), (np.zeros((1, 1), np.float32),))
    beginnings = Beginnings(3 * (DIGEST + 8 + 8 + 4))
    texts = [text(number) for number in range(4)]
    for one in texts[:3]:
        beginnings.keep(one, known)
    assert beginnings.longest(texts[0]) is not None
    beginnings.keep(texts[3], known)
    assert [beginnings.longest(one) is not None for one in texts] == [True, False, True, True]
    assert beginnings.longest(text(2, 5)) is known and beginnings.longest(text(5, 2)) is None
    long = range(2 * STRIDE + 9)
    beginnings = Beginnings(10**6)
    lengths = (5, STRIDE, STRIDE + 7, 2 * STRIDE)
    for length in lengths:
        beginnings.keep(text(*long), known._replace(tokens=length))
    for length in range(1, len(long)):
        found = beginnings.longest(text(*long[:length]))
        assert (found.tokens if found else 0) == max([0, *(each for each in lengths if each <= length)])


PAGE = (Path(__file__).parents[1] / "docs/serve.md").read_text("utf-8")


def test_the_page_on_it_is_right_and_a_signal_lets_texts_come_to_their_ends(trained: Path, tmp_path: Path) -> None:
    options = ["--checkpoints", str(trained), "--port", "0", "--patience", "1"]
    with command("serve", "small", *options, cwd=tmp_path) as server, ExitStack() as stack:
        stack.callback(server.kill)  # where something below fails; else it has ended by then
        assert server.stderr is not None
        begun = next(line for line in map(bytes.decode, server.stderr) if "listening at" in line)
        place = begun.split("listening at ")[1].split("/v1")[0]
        port = int(place.rsplit(":")[-1])
        with (
            socket.create_connection(("127.0.0.1", port)) as slow,
            socket.create_connection(("127.0.0.1", port)) as last,
        ):
            slow.sendall(b"POST /v1/comp")
            blocks = [block for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) if "curl" in block]
            calls = "".join(blocks).replace("http://127.0.0.1:8000", place).replace("curl ", "echo; curl ")
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", calls], capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            whole, *events, models, problem, told = filter(None, done.stdout.splitlines())
            assert len(json.loads(whole)["choices"][0]["text"]) == 80 and events[-1] == "data: [DONE]"
            assert json.loads(models)["data"][0]["id"] == "small" and problem in PAGE
            assert len(json.loads(told)["choices"][0]["logprobs"]["token_logprobs"]) == len("The heron stood.")
            body = json.dumps({"max_tokens": 8_000, "repetition_penalty": 1.1, "stream": True})
            head = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            last.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            assert last.recv(1 << 16).startswith(b"HTTP/1.1 200")
            slow.settimeout(10)
            assert slow.recv(99) == b"", "whoever says nothing is left"
            server.send_signal(signal.SIGTERM)
            streamed = b"".join(iter(lambda: last.recv(1 << 20), b""))
        assert server.wait(30) == 0 and server.stderr.read() == b""
    texts = [json.loads(line[6:]) for line in streamed.decode().split("\r\n") if line.startswith("data: {")]
    assert texts[-1]["choices"][0]["finish_reason"] == "length" and b"[DONE]" in streamed


def test_without_the_extra_one_line_says_what_to_install(charrnn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.delitem(sys.modules, "charrnn.serve.app")
    monkeypatch.delattr("charrnn.serve.app")
    result = charrnn("serve")
    assert result.code == 1 and result.err == "charrnn: the server is an extra: pip install 'charrnn[serve]'\n"
