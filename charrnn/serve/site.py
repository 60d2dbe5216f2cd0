"""Who may ask a server, and how much: what all its paths have in common."""

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from charrnn.errors import CharrnnError
from charrnn.schema import to_json_text
from charrnn.serve.limits import Limits
from charrnn.serve.metrics import Metrics
from charrnn.serve.problems import KIND, LARGE, REFUSED, SLOW, Problem, problem_of
from charrnn.serve.request import model_of, read_json
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


def answered(value: dict[str, Any], status: int = 200) -> Response:
    """JSON."""
    return Response(to_json_text(value), status, media_type="application/json")


def failed(problem: Problem) -> Response:
    """What is wrong."""
    response = answered(problem.body, problem.status)
    if problem.status == REFUSED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
