"""What a browser is shown: at / the model itself, or which there are, each at /page/NAME."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from charrnn.errors import ConfigError
from charrnn.plotting.page import filled
from charrnn.plotting.shading import safe
from charrnn.serve.served import Served
from charrnn.serve.site import Site


async def front(site: Site, request: Request) -> Response:
    """GET /"""
    if len(site.models) == 1:
        (one,) = site.models.values()
        return await _shown(site, one)
    return _listed(site)


async def page(site: Site, request: Request) -> Response:
    """GET /page/NAME"""
    return await _shown(site, site.model({"model": request.path_params["name"]}))


async def _shown(site: Site, one: Served) -> Response:
    """A model's page, or in a line why there is none."""
    try:
        return HTMLResponse(await site.beside(one.page))
    except ConfigError as problem:
        # What it goes on to say is where else to look, which is here.
        return _listed(site, str(problem).partition(": ")[0].replace("`", ""))


def _listed(site: Site, problem: str = "") -> Response:
    if len(site.models) == 1:
        names = "".join(f"<li>{safe(name)}" for name in site.models)
    else:
        names = "".join(f'<li><a href="/page/{quote(name)}">{safe(name)}</a>' for name in site.models)
    return HTMLResponse(filled("models", {"models": names, "problem": safe(problem)}, "charrnn.serve"))
