"""Completions over HTTP under load: many clients that stream at once, against `charrnn sample -n` of as many rows.

    python benchmarks/serve.py [--clients 64] [--length 4000] [--hidden 512] [--model NAME] [--rounds 3] [--quick]

Clients are one process beside the server, so that it takes its share of the cores; they and `sample` take turns. Every
client's text must be that of its seed alone. Then requests of mixed kinds, many malformed, oversized, slow or cut off:
how many were answered by which status, and what memory the server has before and behind them. Needs the extra `serve`.
Appends to RESULTS.md; --quick writes nothing there.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from command import charrnn
from results import append, table

import charrnn as library

TRAINING = ["--layers", "2", "--embedding", "128", "--ensemble", "1", "--steps", "5", "--seed", "1", "-q"]
PROMPT = "The heron stood in the shallows below the ferry, and the miller's wife "
HEAD = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
AT_ONCE = 64
# Between one client's temperature and the next one's.
APART = 0.01
HEAD_OF_TABLE = (
    "network", "clients", "sample -n", "served", "ratio", "ratio, each its own temperature", "first byte, median",
    "p99", "as alone",
)  # fmt: skip


class Server:
    """`charrnn serve` as a process of its own."""

    def __init__(self, model: str, *options: str) -> None:
        line = [sys.executable, "-m", "charrnn", "serve", model, "--port", "0", *options]
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, encoding="utf-8")
        assert self.process.stderr is not None
        for said in self.process.stderr:
            if "listening at" in said:
                self.port = int(said.split("/v1")[0].rsplit(":", 1)[1])
                return
        raise SystemExit("the server did not begin")

    @property
    def megabytes(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1e3

    def end(self) -> int:
        """Ask it to end -> its exit code."""
        self.process.terminate()
        return self.process.wait(60)


class Streamed(NamedTuple):
    """What one client got: its text, and when its first piece and its last came (seconds from its request)."""

    text: str
    first: float
    last: float


async def asked(port: int, **fields: Any) -> tuple[int, bytes]:
    """A request with these fields -> status and body."""
    return await sent(port, json.dumps(fields).encode())


async def sent(port: int, body: bytes) -> tuple[int, bytes]:
    """A body as it is -> status and body; (0, nothing) where the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{HEAD}{len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        answer = await reader.read()
    except OSError:
        return 0, b""
    finally:
        writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, rest


async def streamed(port: int, seed: int, length: int, temperature: float = 1.0) -> Streamed:
    """One client that reads a text as it comes."""
    fields = {"prompt": PROMPT, "max_tokens": length, "seed": seed, "temperature": temperature, "stream": True}
    body = json.dumps(fields).encode()
    began, first, text = time.perf_counter(), 0.0, []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{HEAD}{len(body)}\r\n\r\n".encode() + body)
    while (line := await reader.readline()) != b"data: [DONE]\n":
        if line.startswith(b"data:"):
            first = first or time.perf_counter() - began
            text.append(line)
        elif not line:
            raise SystemExit("a stream was cut off")
    last = time.perf_counter() - began
    writer.close()
    return Streamed("".join(json.loads(line[5:])["choices"][0]["text"] for line in text), first, last)


async def load(port: int, clients: int, length: int, apart: float = 0.0) -> tuple[float, list[Streamed]]:
    """All clients at once, their temperatures so far `apart` -> characters a second of all together, what each got."""
    began = time.perf_counter()
    found = await asyncio.gather(*(streamed(port, seed, length, 1 + apart * seed) for seed in range(clients)))
    return clients * length / (time.perf_counter() - began), found


def sampled(model: Any, clients: int, length: int) -> float:
    """Characters a second of as many rows by `Model.sample`, in this process."""
    began = time.perf_counter()
    model.sample(PROMPT, rows=clients, length=length, seed=0, temperature=1.0)
    return clients * length / (time.perf_counter() - began)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all do not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# -- requests of mixed kinds -------------------------------------------------------------------------------------------


async def _plain(port: int, draw: random.Random) -> int:
    options: dict[str, Any] = {"max_tokens": draw.randrange(60), "n": draw.randint(1, 4), "seed": draw.randrange(100)}
    kinds: list[dict[str, Any]] = [
        {}, {"logprobs": 2, "echo": True}, {"stop": ["."]}, {"top_k": 5}, {"min_p": 0.1, "temperature": 0.5},
        {"match": "[A-Z][a-z]+"}, {"repetition_penalty": 1.2}, {"stream": True},
    ]  # fmt: skip
    prompt = draw.choice(["", PROMPT, [PROMPT, "The "], [1, 2, 3], [[1, 2], [3]], PROMPT * draw.randrange(8)])
    return (await asked(port, prompt=prompt, **options, **draw.choice(kinds)))[0]


async def _wrong(port: int, draw: random.Random) -> int:
    fields: list[dict[str, Any]] = [
        {"prompt": 5}, {"prompt": [None]}, {"prompt": [[-1]]}, {"prompt": [2**70]}, {"prompt": "\ud800"},
        {"prompt": "\0"}, {"max_tokens": -1}, {"max_tokens": "many"}, {"n": 10**9}, {"temperature": "hot"},
        {"temperature": [0, 1]}, {"top_p": 7}, {"match": "(" * 50}, {"match": "(a*)*" * 9}, {"ban": [5]},
        {"match": "[^a]{5000}(b|c){400}"}, {"stop": [[]]}, {"logprobs": True}, {"seed": 1.5}, {"model": {}},
        {"stream": "yes"}, {"stream_options": 3}, {"nothing": 1}, {"logit_bias": {"1": 2}},
        {"temperature": 1e308, "prompt": "The "},
    ]  # fmt: skip
    return (await asked(port, **draw.choice(fields)))[0]


async def _malformed(port: int, draw: random.Random) -> int:
    bodies = [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"n": NaN}',
              b'{"n": ' + b"9" * 5000 + b"}", draw.randbytes(200), b'{"prompt": "\\ud800"}']  # fmt: skip
    return (await sent(port, draw.choice(bodies)))[0]


async def _oversized(port: int, draw: random.Random) -> int:
    return (await sent(port, b'{"prompt": "' + b"a" * draw.choice([2_000_000, 1_100_000]) + b'"}'))[0]


async def _garbage(port: int, draw: random.Random) -> int:
    post = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
    heads = [
        b"\0" * 500, b"GET / HTTP/9.9\r\n\r\n", b"NOTHING\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"PUT /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", post + b"Content-Length: -5\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(draw.choice(heads))
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(4096), 5)
        return int(answer.split()[1]) if answer else 0
    except (OSError, TimeoutError):
        return 0
    finally:
        writer.close()


async def _cut_off(port: int, draw: random.Random) -> int:
    """Gone in the middle of the request, or of the answer."""
    body = json.dumps({"prompt": PROMPT, "max_tokens": 16_000, "n": 3, "stream": draw.random() < 0.5}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((f"{HEAD}{len(body)}\r\n\r\n".encode() + body)[: draw.choice([20, 150, 10_000])])
    if draw.random() < 0.5:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(2000), 0.1 * draw.random())
    writer.transport.abort()
    return -1


async def _slow(port: int, draw: random.Random) -> int:
    """A byte at a time, for a while."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for byte in f"{HEAD}99\r\n\r\n".encode()[: draw.randint(1, 120)]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
    except OSError:
        pass
    writer.transport.abort()
    return -1


KINDS = {_plain: 8, _wrong: 6, _malformed: 4, _cut_off: 3, _garbage: 2, _oversized: 1, _slow: 1}


async def mixed(port: int, count: int, seed: int) -> Counter[int]:
    """So many requests of mixed kinds, many at a time -> how often each status came; -1 where nobody waited for one."""
    draw, statuses, gate = random.Random(seed), Counter[int](), asyncio.Semaphore(AT_ONCE)

    async def one(kind: Any, own: int) -> None:
        async with gate:
            statuses[await kind(port, random.Random(own))] += 1

    kinds = draw.choices(list(KINDS), list(KINDS.values()), k=count)
    await asyncio.gather(*(one(kind, draw.randrange(2**32)) for kind in kinds))
    return statuses


def main() -> None:
    """The load, then the mixed requests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--length", type=int, default=4000)
    parser.add_argument("--hidden", default="512")
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        name = told.model
        if name is None:
            charrnn("train", "fables", "--hidden", told.hidden, *TRAINING, "--name", "serve", "--checkpoints", place)
            name = str(Path(place) / "serve")
        model = library.load(name)
        server = Server(name)
        try:
            report(server, model, told)
        finally:
            code = server.end()
    print(f"exit code {code}")


def report(server: Server, model: Any, told: argparse.Namespace) -> None:
    """Measure, and write it down."""
    asyncio.run(load(server.port, told.clients, 200))  # both warm
    sampled(model, told.clients, 200)
    rates, firsts, texts, apart = list[tuple[float, float]](), list[float](), list[str](), list[float]()
    for _ in range(told.rounds):
        alone = sampled(model, told.clients, told.length)
        rate, found = asyncio.run(load(server.port, told.clients, told.length))
        rates.append((alone, rate))
        firsts += [one.first for one in found]
        texts = [one.text for one in found]
        apart.append(asyncio.run(load(server.port, told.clients, told.length, APART))[0] / alone)
        print(f"sample {alone:,.0f}, served {rate:,.0f}, ratio {rate / alone:.2f}", flush=True)
    same = sum(
        text == model.sample(PROMPT, length=told.length, seed=seed, temperature=1.0) for seed, text in enumerate(texts)
    )
    ratio = statistics.median(rate / alone for alone, rate in rates)
    network = f"{model.config.cell} {model.config.layers} x {model.config.hidden}"
    rows = [[
        network, str(told.clients), f"{statistics.median(alone for alone, _ in rates):,.0f}",
        f"{statistics.median(rate for _, rate in rates):,.0f}", f"{ratio:.2f}",
        f"{statistics.median(apart):.2f}", f"{percentile(firsts, 0.5):.3f}",
        f"{percentile(firsts, 0.99):.3f}", f"{same} of {told.clients}",
    ]]  # fmt: skip
    asyncio.run(mixed(server.port, told.requests // 10, 0))  # caches fill
    before = server.megabytes
    began = time.perf_counter()
    statuses = asyncio.run(mixed(server.port, told.requests, 1))
    took, after = time.perf_counter() - began, server.megabytes
    answered = ", ".join(
        f"{status or 'hung up'}: {count:,}" for status, count in sorted(statuses.items()) if status >= 0
    )
    paragraphs = (
        table(HEAD_OF_TABLE, rows),
        f"{told.requests:,} requests of mixed kinds in {took:.0f} s, {AT_ONCE} at a time: {answered}; "
        f"{statuses[-1]:,} cut off by the client. Memory {before:.0f} MB before, {after:.0f} MB behind them.\n",
    )
    if told.quick:
        print(*paragraphs, sep="\n")
    else:
        append("Served: characters a second of clients that stream", *paragraphs)


if __name__ == "__main__":
    main()
