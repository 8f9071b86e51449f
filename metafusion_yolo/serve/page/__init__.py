"""The page: a pair is dragged in, and what was found is looked at. Nothing on it comes from elsewhere."""

from functools import cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from metafusion_yolo import __version__
from metafusion_yolo.serve.engines import LOWEST, VIEWS
from metafusion_yolo.support import pages

HERE = Path(__file__).parent


def add_page(app: FastAPI, live: bool) -> None:
    """Add the page, its style sheet and its scripts to a server; with `live`, what it watches is shown too."""

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(rendered(live))

    @app.get("/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(sheet(), media_type="text/css")

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@cache
def rendered(live: bool) -> str:
    """Return the page."""
    template = pages.environment(HERE).get_template("index.html")
    return template.render(version=__version__, views=VIEWS, lowest=LOWEST, live=live)


@cache
def sheet() -> str:
    """Return the style sheet of the reports, and behind it that of the page."""
    files = (Path(pages.__file__).parent / "page.css", HERE / "app.css")
    return "".join(file.read_text(encoding="utf-8") for file in files)
