"""The server as an ASGI application: its paths. Starlette is needed from here on."""

import asyncio
import traceback
from collections.abc import Coroutine, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from charrnn.serve import pages
from charrnn.serve.answer import Completion
from charrnn.serve.metrics import Clock
from charrnn.serve.problems import BAD, FAULT, MISSING, NO_METHOD, Problem
from charrnn.serve.request import BORDER, ids_of, read_request, text_of
from charrnn.serve.site import Handler, Site, answered, failed


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
        ("GET", "/", pages.front),
        ("GET", "/page/{name:path}", pages.page),
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
