"""The server as an ASGI application: paths, who may ask, and how much. Starlette is needed from here on."""

import asyncio
import contextlib
import hmac
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from charrnn.errors import CharrnnError
from charrnn.schema import to_json_text
from charrnn.serve.answer import Completion
from charrnn.serve.limits import Limits
from charrnn.serve.metrics import Clock, Metrics
from charrnn.serve.problems import (
    BAD,
    FAULT,
    KIND,
    LARGE,
    MISSING,
    NO_METHOD,
    REFUSED,
    SLOW,
    Problem,
    problem_of,
)
from charrnn.serve.request import BORDER, ids_of, model_of, read_json, read_request, text_of
from charrnn.serve.served import Served

# What anyone may ask.
OPEN = ("/health",)
# A body up to so many times too large is heard out, for most clients listen to no answer before they have spoken.
HEARD_OUT = 16
# Of a client that has gone, which nobody reads.
GONE = 499

# Threads that make what is asked for of requests.
WORKERS = 2

Result = TypeVar("Result")
Handler = Callable[["Site", Request], Awaitable[Response]]


class Site:
    """The models, and what is said of them at each path."""

    def __init__(
        self,
        models: Sequence[Served],
        limits: Limits,
        metrics: Metrics,
        key: str | None,
        fault: Callable[[str], None],
    ) -> None:
        """Only those who know the `key` are answered; `fault` is told the traceback of what should not have been."""
        self.fault = fault
        self.models = {one.name: one for one in models}
        self.limits, self.metrics, self.key = limits, metrics, key
        self.began = int(time.time())
        self._workers = ThreadPoolExecutor(WORKERS, "charrnn-requests")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """From the first request to the last."""
        for one in self.models.values():
            one.desk.start(asyncio.get_running_loop())
        try:
            yield
        finally:
            for one in self.models.values():
                one.desk.close()
                one.teller.close()
            self._workers.shutdown(cancel_futures=True)

    def answering(self, handler: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """A handler as Starlette calls it: who asks is known, and what is wrong is told."""

        async def answer(request: Request) -> Response:
            try:
                self._admit(request)
                response = await handler(self, request)
            except Problem as problem:
                response = failed(problem)
            except CharrnnError as error:
                response = failed(problem_of(error))
            except ClientDisconnect:
                response = Response(status_code=GONE)
            self.metrics.add("requests", 1, f'status="{response.status_code}"')
            return response

        return answer

    def _admit(self, request: Request) -> None:
        if self.key is None or request.url.path in OPEN:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.key.encode()):
            raise Problem("a valid API key is needed: Authorization: Bearer KEY", REFUSED, code="invalid_api_key")

    async def json(self, request: Request) -> dict[str, Any]:
        """The object that comes with a request. Raises Problem where that is too large, or too slow, or no such."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem("the body must be JSON: Content-Type: application/json", KIND)
        most, body, size = self.limits.max_body, bytearray(), 0
        try:
            async with asyncio.timeout(self.limits.patience):
                async for piece in request.stream():
                    size += len(piece)
                    if size <= most:
                        body += piece
                    elif size > HEARD_OUT * most:
                        break
        except TimeoutError:
            raise Problem(f"the body did not come within {self.limits.patience} s", SLOW) from None
        if size > most:
            raise Problem(f"the body must be at most {most:,} bytes", LARGE)
        return read_json(bytes(body))

    async def beside(self, work: Callable[..., Result], *given: Any) -> Result:
        """What comes of work that may take a while, as for a pattern or a long text: others are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work, *given)

    def model(self, given: Mapping[str, Any]) -> Served:
        """The one that is asked for."""
        return self.models[model_of(given, list(self.models))]

    def described(self, one: Served) -> dict[str, Any]:
        """A model as OpenAI's clients list it."""
        return {"id": one.name, "object": "model", "created": self.began, "owned_by": "charrnn"}


async def completions(site: Site, request: Request) -> Response:
    """POST /v1/completions"""
    clock = Clock()
    given = await site.json(request)
    served = site.model(given)
    asked = await site.beside(read_request, given, served.tokenizer, site.limits.max_tokens)
    completion = Completion(served, asked, clock)
    completion.begin(await site.beside(completion.prepare))
    if asked.fields.stream:
        return _Stream(completion)
    try:
        return answered(await _while_there(request, completion.whole()))
    finally:
        completion.end()


class _Stream(StreamingResponse):  # type: ignore[misc, unused-ignore]
    """A completion's events; when they have come, or nobody is there to read them, it is over."""

    def __init__(self, completion: Completion) -> None:
        # Whatever stands between must hand events on as they come.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(completion.stream(), media_type="text/event-stream", headers=headers)
        self._completion = completion

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._completion.end()


async def _while_there(request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What comes of the work, which is left where the client goes. Raises ClientDisconnect then."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()


async def models(site: Site, request: Request) -> Response:
    """GET /v1/models"""
    return answered({"object": "list", "data": [site.described(one) for one in site.models.values()]})


async def model(site: Site, request: Request) -> Response:
    """GET /v1/models/NAME"""
    return answered(site.described(site.model({"model": request.path_params["name"]})))


async def health(site: Site, request: Request) -> Response:
    """GET /health"""
    return answered({"status": "ok"})


async def metrics(site: Site, request: Request) -> Response:
    """GET /metrics"""
    return PlainTextResponse(site.metrics.text(), media_type="text/plain; version=0.0.4")


async def tokenizer_info(site: Site, request: Request) -> Response:
    """GET /tokenizer_info, as lm-evaluation-harness asks it."""
    return answered({"eos_token": BORDER, "bos_token": BORDER, "pad_token": None, "chat_template": None})


async def tokenize(site: Site, request: Request) -> Response:
    """POST /tokenize: the ids of a text."""
    given = await site.json(request)
    tokens = ids_of(site.model(given).tokenizer, given.get("prompt"))
    return answered({"tokens": tokens, "count": len(tokens)})


async def detokenize(site: Site, request: Request) -> Response:
    """POST /detokenize: the text of ids."""
    given = await site.json(request)
    return answered({"prompt": text_of(site.model(given).tokenizer, given.get("tokens"))})


def answered(value: dict[str, Any], status: int = 200) -> Response:
    """JSON."""
    return Response(to_json_text(value), status, media_type="application/json")


def failed(problem: Problem) -> Response:
    """What is wrong."""
    response = answered(problem.body, problem.status)
    if problem.status == REFUSED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _no_such(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else BAD
    words = {MISSING: f"there is nothing at {request.url.path}", NO_METHOD: f"{request.method} is not for this path"}
    response = failed(Problem(words.get(status, "the request cannot be read"), status))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


def application(site: Site, origins: Sequence[str] = ()) -> Starlette:
    """The application; pages of these origins may call it."""

    async def fault(request: Request, error: Exception) -> Response:
        site.fault("".join(traceback.format_exception(error)))
        return failed(Problem("a fault of the server's", FAULT))

    paths: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/completions", completions),
        ("GET", "/v1/models", models),
        ("GET", "/v1/models/{name:path}", model),
        ("GET", "/health", health),
        ("GET", "/metrics", metrics),
        ("GET", "/tokenizer_info", tokenizer_info),
        ("POST", "/tokenize", tokenize),
        ("POST", "/detokenize", detokenize),
    ]
    cors = Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    return Starlette(
        routes=[Route(path, site.answering(handler), methods=[method]) for method, path, handler in paths],
        middleware=[cors] if origins else [],
        exception_handlers={HTTPException: _no_such, Exception: fault},
        lifespan=site.lifespan,
    )
