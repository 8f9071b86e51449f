"""The addresses of the server: what each takes, and what it answers. `/openapi.json` describes them."""

import logging
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cv2
from fastapi import Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException

from metafusion_yolo import __version__
from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.prepare.synthetic import render_pair
from metafusion_yolo.serve.answers import Answer, Health, Problem, answer_of, plain
from metafusion_yolo.serve.batching import Batcher, BusyError
from metafusion_yolo.serve.dataset import DataSet, add_dataset
from metafusion_yolo.serve.engines import LOWEST, VIEWS
from metafusion_yolo.serve.guard import Guard, refuse
from metafusion_yolo.serve.lineup import LineUp, add_lineup
from metafusion_yolo.serve.page import add_page
from metafusion_yolo.serve.reports import Reports, add_reports
from metafusion_yolo.serve.uploads import Pair, TooLargeError, read_pair, read_stacked
from metafusion_yolo.support.errors import UserError

if TYPE_CHECKING:
    from metafusion_yolo.serve.watch.service import Service

LOGGER = logging.getLogger(__name__)
FIELDS = ("visible", "infrared", "stacked", "conf", "images", "format")  # of /detect, files first
SCENE = 640  # width of the synthetic scene, pixels
STATUS = {TooLargeError: 413, UserError: 422, BusyError: 503, TooLate: 503}
MEANINGS = {
    401: "no token",
    403: "must not be written",
    404: "not there",
    408: "too slow",
    409: "has changed, or is being done",
    413: "too large",
    422: "cannot be used",
    503: "busy, or not ready yet",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text} for code, text in MEANINGS.items()
}

Upload = Annotated[UploadFile | None, File()]
Conf = Annotated[float, Form(ge=LOWEST, le=1, description="lowest score")]
Images = Annotated[str, Form(description=f"images to add, comma-separated: {', '.join(VIEWS)}")]
Suffix = Annotated[Literal["png", "jpeg"], Form(alias="format", description="format of the images")]


class Metrics:
    """The figures of `/metrics`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("metafusion_requests", "Answers by their status.", ["status"], registry=self.registry)
        self.seconds = Histogram("metafusion_detect_seconds", "Time of a run of the detector.", registry=self.registry)
        sizes = (1, 2, 4, 8, 16, 32)
        self.batch = Histogram("metafusion_batch_pairs", "Pairs of a run.", registry=self.registry, buckets=sizes)
        self.waiting = Gauge("metafusion_waiting", "Requests that wait for the detector.", registry=self.registry)

    def answered(self, status: int) -> None:
        """Count an answer."""
        self.requests.labels(status).inc()

    def ran(self, pairs: int, seconds: float) -> None:
        """Count a run of the detector."""
        self.batch.observe(pairs)
        self.seconds.observe(seconds)


def build_app(options: Serve, batcher: Batcher, metrics: Metrics, service: "Service | None" = None) -> Guard:
    """Return the guarded server of a detector, with pages for an `App` and the watched pairs."""
    app = FastAPI(title="metafusion", version=__version__, docs_url=None, redoc_url=None, responses=PROBLEMS)
    most = options.max_pixels * 1e6
    model = Path(options.model).name

    def detected(pair: Pair, conf: float, images: str, suffix: str) -> Answer:
        views = [view.strip() for view in images.split(",") if view.strip()]
        if unknown := {*views} - {*VIEWS}:
            raise HTTPException(422, f"images: there is no '{min(unknown)[:20]}', only {', '.join(VIEWS)}")
        waiting = batcher.submit(pair)
        try:
            found = waiting.result(options.timeout)
        except TooLate:
            waiting.cancel()
            raise
        return answer_of(found, batcher.names, conf, views, suffix, pair.note)

    @app.post("/detect", response_model=Answer, summary="Detect on a pair", dependencies=[Depends(check_form)])
    def detect(
        visible: Upload = None,
        infrared: Upload = None,
        stacked: Upload = None,
        conf: Conf = 0.25,
        images: Images = "",
        suffix: Suffix = "png",
    ) -> Answer:
        """Give `visible` and `infrared`, or one `stacked` image of four channels, R, G, B, IR."""
        if stacked and not (visible or infrared):
            pair = read_stacked(stacked.file.read(), most)
        elif visible and infrared and not stacked:
            measures = batcher.engine is not None and batcher.engine.thermal.unit is not None
            pair = read_pair(visible.file.read(), infrared.file.read(), most, measures)
        else:
            raise HTTPException(422, "give two files, 'visible' and 'infrared', or one, 'stacked'")
        return detected(pair, conf, images, suffix)

    def scene(seed: Annotated[int, Form(ge=0, le=1 << 31)] = 1, conf: Conf = LOWEST, images: Images = "") -> Answer:
        """Detect on a synthetic pair; while the model is loading it is shown as it is."""
        made = render_pair(seed, SCENE)
        pair = Pair(cv2.cvtColor(made.visible, cv2.COLOR_RGB2BGR), made.infrared)
        if batcher.engine is None:
            return plain(pair.visible, pair.infrared)
        return detected(pair, conf, images, "jpeg")

    @app.get("/health", response_model=Health, summary="Whether the model is loaded")
    async def health(response: Response, live: bool = False) -> Health:
        """Answer 200 once the model is loaded, 503 before; with `live=true` 200 as long as the server runs."""
        ready = batcher.engine is not None
        response.status_code = 200 if ready or live else 503
        status: Literal["ready", "loading"] = "ready" if ready else "loading"
        return Health(status=status, model=model, names=batcher.names, waiting=batcher.waiting)

    @app.get("/metrics", response_class=Response, summary="Figures for Prometheus")
    async def figures() -> Response:
        metrics.waiting.set(batcher.waiting)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def explain(request: Request, error: Exception) -> JSONResponse:
        """Explain in one line why there is no answer; a bug goes to the log only."""
        if isinstance(error, HTTPException):
            return refuse(error.status_code, reason(request, error))
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            return refuse(422, f"{first['loc'][-1]}: {first['msg']}"[:200])
        if isinstance(error, TooLate):
            return refuse(503, f"no answer within {options.timeout:g} s; try again")
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        return refuse(status, " ".join(str(error).split()) if status != 500 else unforeseen(error))

    for kind in (HTTPException, RequestValidationError, *STATUS, OSError, Exception):
        app.add_exception_handler(kind, explain)
    if isinstance(options, App):
        app.post("/scene", response_model=Answer, summary="Detect on a synthetic scene")(scene)
        _add_pages(app, options, batcher, service)
    if service:
        from metafusion_yolo.serve.live import Gauges, add_live

        add_live(app, service)
        metrics.registry.register(Gauges(service))
    return Guard(app, options.token, round(options.max_mb * 1e6), options.timeout, metrics.answered)


async def check_form(request: Request) -> None:
    """Refuse what would not be read: an unknown field, one given twice or in the address, and text for a file."""
    form = (await request.form()).multi_items()
    names = [*request.query_params, *(name for name, _ in form)]
    if wrong := next((name for name in names if name not in FIELDS or names.count(name) > 1), None):
        raise HTTPException(422, f"'{wrong[:20]}' is unknown or given twice; the form has {', '.join(FIELDS)}")
    if request.query_params:
        raise HTTPException(422, f"'{names[0]}' stands in the address; give it as a field of the form")
    if text := next((name for name, value in form if name in FIELDS[:3] and isinstance(value, str)), None):
        raise HTTPException(422, f"'{text}' is text, expected a file, with curl -F {text}=@FILE")


def reason(request: Request, error: HTTPException) -> str:
    """Return why an address does not answer; the framework has only the phrase of the status."""
    if error.detail in ("Not Found", "Method Not Allowed"):
        return f"this address does not answer {request.method}; /openapi.json says what does"
    return str(error.detail)


def unforeseen(error: Exception) -> str:
    """Return what is told of an error of the disk, without the path, or of a bug."""
    if isinstance(error, OSError) and error.strerror:
        return f"not done, a file cannot be read or written: {error.strerror.rpartition(': ')[2]}"
    return "a bug; the log of the server has it"


def _add_pages(app: FastAPI, options: App, batcher: Batcher, service: "Service | None") -> None:
    """Add the pages and the addresses that they use."""
    data = DataSet(options.data, batcher, options.timeout)
    add_page(app, live=service is not None)
    add_reports(app, Reports(options.runs))
    add_dataset(app, data)
    add_lineup(app, LineUp(data, service, lambda: options.imgsz or SCENE))
