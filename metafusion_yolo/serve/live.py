"""The current pictures of watched pairs, their last events and clips, over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cv2
from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, Response
from prometheus_client.core import GaugeMetricFamily, Metric
from pydantic import BaseModel, Field

from metafusion_yolo.data.alignment import FAR
from metafusion_yolo.serve.engines import VIEWS
from metafusion_yolo.serve.watch.clips import NAME
from metafusion_yolo.serve.watch.scene import corners

if TYPE_CHECKING:
    from metafusion_yolo.serve.watch.service import Service
    from metafusion_yolo.serve.watch.stream import Stream

WAIT = 5.0  # seconds for which a picture that is newer than the last one is waited for
LOOK = 0.02  # seconds between looks for it
WIDEST = 1280  # of a picture, pixels
BLUE, WHITE = (255, 170, 60), (255, 255, 255)  # B, G, R, of zones and lines, and of what is under them


class PairNow(BaseModel):
    """The state of a pair."""

    name: str
    number: int = Field(description="number of its last picture, 0 before the first")
    rate: float = Field(description="results a second, over the last 5 s")
    latency: float | None = Field(description="mean seconds from the arrival of a frame to its result, over 5 s")
    missing: list[str] = Field(description="cameras that send nothing")
    dropped: dict[str, int] = Field(description="frames of each camera that were not used")
    restarts: int = Field(description="how often it was restarted")
    drift: float | None = Field(description="shift left between the cameras, % of the width; null while unknown")
    drifted: bool = Field(description="whether that is more than a detector takes without loss")
    trouble: str = Field(description="why there are no results; empty while there are")


class LiveNow(BaseModel):
    """All pairs, and the number of events that wait for each receiver."""

    pairs: list[PairNow]
    waiting: dict[str, int]


def add_live(app: FastAPI, service: Service) -> None:
    """Add the addresses of the watched pairs to a server."""
    drawers = {name: Drawer(stream) for name, stream in service.streams.items()}
    clips = service.plan.events.clips

    @app.get("/live", response_model=LiveNow, summary="What the pairs do now")
    def live() -> LiveNow:
        pairs = [pair_now(name, stream) for name, stream in service.streams.items()]
        return LiveNow(pairs=pairs, waiting=service.outbox.waiting())

    @app.get("/live/{pair}", response_class=Response, summary="The next picture of a pair, JPEG")
    async def picture(
        pair: str,
        view: Annotated[Literal[VIEWS], Query(description="what the boxes are drawn on")] = "fused",  # type: ignore[valid-type]
        after: Annotated[int, Query(ge=0, description="number of the last picture that is known")] = 0,
    ) -> Response:
        """Wait for a picture with a higher number than `after`; 204 if there is none within 5 s."""
        if pair not in drawers:
            raise HTTPException(404, "there is no such pair")
        stream, end = service.streams[pair], time.monotonic() + WAIT
        while stream.now.number <= after and time.monotonic() < end:
            await asyncio.sleep(LOOK)
        if stream.now.number <= after:
            return Response(status_code=204)
        number, jpeg = await asyncio.to_thread(drawers[pair].draw, view)
        return Response(jpeg, media_type="image/jpeg", headers={"x-number": str(number)})

    @app.get("/events", summary="The last events, newest first")
    def events(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[dict[str, Any]]:
        return service.outbox.latest(limit)

    @app.get("/clips/{name}", response_class=FileResponse, summary="The clip of an event, WebM")
    def clip(name: str) -> FileResponse:
        file = Path(clips or "") / name
        if not clips or not NAME.fullmatch(name) or file.is_symlink() or not file.is_file():
            raise HTTPException(404, "there is no such clip")
        return FileResponse(file, media_type="video/webm")


def pair_now(name: str, stream: Stream) -> PairNow:
    """Return the state of a pair."""
    now = stream.now
    rate, latency = now.pace(time.monotonic())
    return PairNow(
        name=name,
        number=now.number,
        rate=round(rate, 1),
        latency=None if latency is None else round(latency, 3),
        missing=[camera for camera, gone in now.missing.items() if gone],
        dropped=stream.dropped,
        restarts=now.restarts,
        drift=None if now.drift is None else round(100 * now.drift, 2),
        drifted=now.drift is not None and now.drift > FAR,
        trouble=now.trouble,
    )


class Drawer:
    """Draw the last result of a pair with boxes, tracks, zones and lines, once for all who ask."""

    def __init__(self, stream: Stream) -> None:
        import supervision as sv

        self._stream, self._lock = stream, Lock()
        self._drawn: dict[str, tuple[int, bytes]] = {}
        self._traces = {view: sv.TraceAnnotator(thickness=2, color_lookup=sv.ColorLookup.TRACK) for view in VIEWS}

    def draw(self, view: str) -> tuple[int, bytes]:
        """Return the number of the picture, and the picture as JPEG."""
        with self._lock:
            now = self._stream.now
            number = now.number
            if self._drawn.get(view, (0, b""))[0] < number:
                self._drawn[view] = number, self._jpeg(now.result, now.objects, view)
            return self._drawn[view]

    def _jpeg(self, result: Any, objects: Any, view: str) -> bytes:
        image = result.plot(view=view)
        size = image.shape[1::-1]
        for rule in self._stream.watched.rules.values():
            for points, closed in ((rule.zone, True), (rule.line, False)):
                if points:
                    outline = [corners(points, size).reshape(-1, 1, 2)]
                    for colour, width in ((WHITE, 3), (BLUE, 2)):
                        cv2.polylines(image, outline, closed, colour, width, cv2.LINE_AA)
        if len(objects):
            image = self._traces[view].annotate(image, objects)
        scale = min(1.0, WIDEST / size[0])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


class Gauges:
    """The pairs for Prometheus."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Yield their current figures."""
        pairs = [pair_now(name, stream) for name, stream in self._service.streams.items()]
        for name, text in (("rate", "Results a second."), ("restarts", "How often a pair was restarted.")):
            gauge = GaugeMetricFamily(f"metafusion_pair_{name}", text, labels=["pair"])
            for pair in pairs:
                gauge.add_metric([pair.name], getattr(pair, name))
            yield gauge
        up = GaugeMetricFamily("metafusion_camera_up", "Whether a camera sends.", labels=["pair", "camera"])
        for pair in pairs:
            for camera, gone in self._service.streams[pair.name].now.missing.items():
                up.add_metric([pair.name, camera], float(not gone))
        yield up
        waiting = GaugeMetricFamily("metafusion_events_waiting", "Events not confirmed yet.", labels=["sink"])
        for sink, count in self._service.outbox.waiting().items():
            waiting.add_metric([sink], count)
        yield waiting
