"""charrnn serve"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as opt
from charrnn.cli.completion import complete_model
from charrnn.config import Range, require
from charrnn.console import error, say, warn, working
from charrnn.errors import CharrnnError
from charrnn.serve.limits import Limits

if TYPE_CHECKING:
    from charrnn.api.model import Model

EXAMPLES = """Examples:

    charrnn serve

    charrnn serve fables river --port 8080

    curl localhost:8000/v1/completions -H 'Content-Type: application/json' -d '{"prompt": "The heron"}'
"""

EXTRA = "the server is an extra: pip install 'charrnn[serve]'"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@opt.with_fields(Limits)
def serve(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Runs' names, their folders, or model files.",
            show_default="the run trained last",
            autocompletion=complete_model,
        ),
    ] = None,
    *,
    host: Annotated[str, opt.option("Server", "Address to listen at; 0.0.0.0 lets other machines ask.")] = "127.0.0.1",
    port: Annotated[
        int, opt.option("Server", "Port; 0 takes a free one.", within=Range(at_least=0, at_most=65535))
    ] = 8000,
    api_key: Annotated[
        str | None,
        opt.option("Server", "Answer only those who know it.", default="none", envvar="CHARRNN_API_KEY"),
    ] = None,
    cors: Annotated[
        list[str] | None,
        opt.option("Server", "An origin whose pages may ask, or *; repeatable.", "--cors", default="none"),
    ] = None,
    model: opt.Models = None,
    checkpoints: opt.Checkpoints = None,
    precision: opt.Precision = None,
    threads: opt.Threads = None,
    quiet: opt.Quiet = False,
    **fields: Any,
) -> None:
    """Complete texts over HTTP, as OpenAI's clients ask for it: POST /v1/completions, with `echo` and `logprobs`.

    Texts that are asked for at once are written side by side, and each is what `charrnn sample` writes with its seed.
    Options of sampling go beside OpenAI's: top_k, min_p, match, max_copy and the others of `charrnn sample`.
    Also: GET /v1/models, /health, /metrics, and for a browser at / the page of the model. Ctrl-C lets what is under way
    come to its end.

    An extra: pip install 'charrnn[serve]'. docs/serve.md has all of it.
    """
    limits = Limits.of(**fields)
    require(api_key is None or bool(api_key), "`api_key` must not be empty")
    try:
        from charrnn.serve import app, running, site
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] not in ("starlette", "uvicorn", "h11", "anyio"):
            raise
        raise CharrnnError(EXTRA) from None
    from charrnn.serve.metrics import Metrics
    from charrnn.serve.served import Served

    working("reading the models")
    names: list[str | None] = [*(named or ()), *(model or ())]
    metrics = Metrics()
    served = [Served(model, precision, limits, metrics, _fault) for model in _loaded(names, checkpoints, threads)]
    for one in served:
        numbers = precision or one.model.precision
        say(f"model {one.name}: {one.model.title}, {numbers} {one.model.computed(numbers)}")
    with running.bound(host, port) as listening:
        if host not in LOOPBACK and api_key is None:
            warn(f"anyone who reaches {host} may ask: `api_key` keeps strangers out")
        say(f"listening at {running.address(listening)}/v1, for browsers at / (Ctrl-C ends)")
        running.run(app.application(site.Site(served, limits, metrics, api_key, _fault), cors or ()), listening, limits)


def _loaded(names: list[str | None], checkpoints: Path | None, threads: int | None) -> "list[Model]":
    from charrnn import api

    found = [api.load(name, checkpoints=checkpoints, threads=threads) for name in names or [None]]
    twice = {one.name for one in found if [each.name for each in found].count(one.name) > 1}
    require(not twice, f"two of these models are called {', '.join(sorted(twice))}: serve one of them")
    return found


def _fault(traceback: str) -> None:
    """What should not have been, for whoever mends it."""
    for line in traceback.splitlines():
        error(line)
