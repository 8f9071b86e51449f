"""The pages: try a pair, watch, browse a data set, line up, compare runs. They load nothing from elsewhere."""

from functools import cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from metafusion_yolo import __version__
from metafusion_yolo.serve.engines import LOWEST, VIEWS
from metafusion_yolo.support import pages

HERE = Path(__file__).parent
LIVE, TRY = "Live", "Try"
OTHERS = {  # address, scripts
    "Data set": ("data-set", ("boxes", "dataset")),
    "Line up": ("line-up", ("lineup",)),
    "Compare runs": ("compare-runs", ("runs",)),
}
SCRIPTS = {LIVE: ("live",), TRY: ("boxes", "sources", "try")}


def add_page(app: FastAPI, live: bool) -> None:
    """Add the pages, their style sheet and their scripts to a server; with `live`, the watched pairs come first."""
    addresses = {LIVE: "/", TRY: "/try"} if live else {TRY: "/"}
    addresses |= {title: f"/{address}" for title, (address, _) in OTHERS.items()}

    def add(title: str, address: str) -> None:
        @app.get(address, include_in_schema=False)
        async def page() -> HTMLResponse:
            return HTMLResponse(rendered(title, tuple(addresses.items())))

    for title, address in addresses.items():
        add(title, address)

    @app.get("/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(sheet(), media_type="text/css")

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


@cache
def rendered(title: str, addresses: tuple[tuple[str, str], ...]) -> str:
    """Return a page, with links to all."""
    name, scripts = OTHERS.get(title, (title.lower(), SCRIPTS.get(title, ())))
    return (
        pages.environment(HERE)
        .get_template(f"{name}.html")
        .render(
            title=title,
            pages=[(address, name) for name, address in addresses],
            scripts=("common", *scripts),
            version=__version__,
            views=VIEWS,
            lowest=LOWEST,
        )
    )


@cache
def sheet() -> str:
    """Return the style sheet of the reports, and behind it that of the pages."""
    files = (Path(pages.__file__).parent / "page.css", HERE / "app.css")
    return "".join(file.read_text(encoding="utf-8") for file in files)
