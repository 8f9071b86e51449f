"""Registration of the two cameras over HTTP: shown, estimated, judged and written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, TypeVar

import cv2
import numpy as np
from fastapi import Body, FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

from metafusion_yolo.data.alignment import SETTLED, Aligner
from metafusion_yolo.data.registration import Registration, Size, scaling
from metafusion_yolo.serve.answers import encoded
from metafusion_yolo.serve.dataset import NONE_OPEN, DataSet
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.sampling import evenly

if TYPE_CHECKING:
    from metafusion_yolo.serve.watch.service import Service

STILL = "data set"  # the name of what is not live
TRIED, PAUSE = 12, 0.4  # pairs that a registration is estimated from; seconds between those of a live pair
WIDEST = 1280  # of a picture, pixels
DIGITS = 8  # of the matrix in the YAML
Asked = Annotated[int, Query(ge=0, description="number of the pair of the data set")]
Numbers = list[list[float]]
T = TypeVar("T")


class Sources(BaseModel):
    """Sources of pairs to line up."""

    sources: list[str] = Field(description="the data set, and the pairs that are watched")
    pairs: int = Field(description="of the data set")
    progress: float | None = Field(description="share of an estimate under way that is done; null while there is none")


class Overlay(BaseModel):
    """A pair, and where the infrared image lies on the visible one."""

    width: int
    height: int
    infrared_size: tuple[int, int] = Field(description="width and height")
    matrix: Numbers = Field(description="3 x 3, from infrared to visible pixels, as it is now")
    images: dict[str, str] = Field(description="visible and infrared, JPEG in base64")


class Proposal(BaseModel):
    """A matrix from infrared to visible pixels, in the sizes of the overlay."""

    matrix: Numbers = Field(min_length=3, max_length=3)

    def array(self) -> np.ndarray:
        """Return it (3, 3).

        Raises:
            HTTPException: If it is no homography.
        """
        try:
            Registration.from_yaml(self.matrix, "the request")
        except UserValueError as error:
            raise HTTPException(422, str(error)) from None
        found = np.array(self.matrix, np.float64)
        return found / found[2, 2]


class Quality(BaseModel):
    """How well a matrix lines up the cameras."""

    matrix: Numbers
    pixels: float | None = Field(description="what is left, pixels at the detector's input; null if edges do not tell")
    imgsz: int = Field(description="that input")
    words: str


@dataclass
class View:
    """A pair: visible (H, W, 3) B, G, R, infrared (h, w) uint8, and the matrix between their pixels."""

    visible: np.ndarray
    infrared: np.ndarray
    matrix: np.ndarray

    @property
    def sizes(self) -> tuple[Size, Size]:
        """Width and height of both."""
        return self.visible.shape[1::-1], self.infrared.shape[1::-1]


class LineUp:
    """The pairs to line up: those of the data set, and watched ones.

    Args:
        data: The data set.
        service: The watched pairs; None for none.
        imgsz: Gives the size of the detector's input, pixels.
    """

    def __init__(self, data: DataSet, service: Service | None, imgsz: Callable[[], int]) -> None:
        self.data, self._service, self._imgsz = data, service, imgsz
        self._lock = Lock()  # of an estimate, which takes its time
        self._progress: float | None = None

    def sources(self) -> Sources:
        """Return what there is."""
        live = [*self._service.streams] if self._service else []
        count = 0
        if self.data.data is not None:
            self.data.open()
            count = len(self.data.rows)
        if not (live or count):
            raise HTTPException(404, NONE_OPEN)
        return Sources(sources=[*live, *([STILL] if count else [])], pairs=count, progress=self._progress)

    def _registration(self, source: str) -> tuple[Path | None, Registration | None]:
        """Return the YAML of a source, and the registration that it has now."""
        from metafusion_yolo.data.rig import Rig
        from metafusion_yolo.support.resources import find_data_yaml

        given = self.data.data
        if source != STILL:
            if self._service is None or source not in self._service.streams:
                raise HTTPException(404, "there is no such source")
            given = self._service.streams[source].watched.cameras.data or given
        if given is None:
            return None, None
        file = Path(find_data_yaml(given))
        return file, Rig.of_file(file).registration

    def view(self, source: str, number: int) -> View:
        """Return a pair of the data set, or the current one of a watched pair, which is registered already."""
        registration = self._registration(source)[1]
        if source == STILL:
            pair, _ = self.data.files(number)
            reader = self.data.reader
            visible, counts = reader.parts(pair.visible, pair.infrared)
            grey = reader.rig.thermal.to_uint8(counts, reader.limits_of(pair.infrared), pair.visible)
            sizes = visible.shape[1::-1], grey.shape[1::-1]
            matrix = registration.homography(pair.visible, *sizes) if registration else None
            matrix = scaling(sizes[1], sizes[0]) if matrix is None else matrix
            return View(cv2.cvtColor(visible, cv2.COLOR_RGB2BGR), grey, matrix)
        result = self._service.streams[source].now.result if self._service else None
        if result is None or result.modalities != "both":
            raise HTTPException(503, "this pair does not show both cameras now")
        return View(result.orig_img, result.infrared, np.eye(3))

    def overlay(self, source: str, number: int) -> Overlay:
        """Return a pair for the page."""
        view = self.view(source, number)
        (width, height), infrared = view.sizes
        images = {"visible": view.visible, "infrared": view.infrared}
        return Overlay(
            width=width,
            height=height,
            infrared_size=infrared,
            matrix=view.matrix.tolist(),
            images={name: encoded(_small(image), "jpeg") for name, image in images.items()},
        )

    def _views(self, source: str, most: int) -> Iterator[View]:
        """Yield pairs of a source: some of the whole data set, or those of the next seconds."""
        if source == STILL:
            self.data.open()
            for number in evenly(range(len(self.data.rows)), most):
                yield self.view(source, number)
            return
        for _ in range(most):
            yield self.view(source, 0)
            time.sleep(PAUSE)

    def quality(self, source: str, matrix: np.ndarray | None = None, words: str = "") -> Quality:
        """Return the remaining shift between the cameras, with a matrix or as they are."""
        aligner, last = Aligner(), matrix
        for view in self._views(source, SETTLED):
            last = view.matrix if matrix is None else matrix
            grey, size = cv2.cvtColor(view.visible, cv2.COLOR_BGR2GRAY), view.sizes[0]
            aligner.see(grey, cv2.warpPerspective(view.infrared, last, size, borderMode=cv2.BORDER_REPLICATE))
        pixels = self._imgsz()
        left = round(aligner.size * pixels, 1) if aligner.clear else None
        told = (
            f"left between the cameras, at the detector's input of {pixels} px"
            if left is not None
            else "the edges do not tell: more than 3 % off, or too few"
        )
        return Quality(matrix=np.asarray(last).tolist(), pixels=left, imgsz=pixels, words=f"{words}{told}")

    def estimate(self, source: str) -> Quality:
        """Return the registration that fits the pairs best.

        Raises:
            UserError: If they do not determine it.
        """
        from metafusion_yolo.prepare.register.estimate import RegistrationError, estimate_registration

        if not self._lock.acquire(blocking=False):
            raise HTTPException(409, "a registration is being estimated already")
        try:
            views = [*self._views(source, TRIED if source == STILL else SETTLED)]
            grey = [(cv2.cvtColor(one.visible, cv2.COLOR_BGR2GRAY), one.infrared) for one in views]
            found = estimate_registration(grey, self._counted)
            if problem := found.problem():
                raise RegistrationError(f"not registered: {problem}")
        finally:
            self._progress = None
            self._lock.release()
        spread = found.spread * self._imgsz()
        first = views[0].sizes
        matrix = scaling(found.visible, first[0]) @ found.matrix @ scaling(first[1], found.infrared)
        return self.quality(source, matrix / matrix[2, 2], f"{found}; halves of the pairs differ by {spread:.1f} px; ")

    def _counted(self, steps: Iterable[T], total: int) -> Iterator[T]:
        """Yield the steps of the search, and count those done."""
        for i, step in enumerate(steps):
            self._progress = i / total
            yield step
        self._progress = 1.0

    def save(self, source: str, matrix: np.ndarray) -> str:
        """Write a matrix into the YAML of a source and keep its other text; return the name of the file.

        Raises:
            HTTPException: If the source has none.
            UserError: If it cannot be extended.
        """
        from metafusion_yolo.prepare.register import with_lenses
        from metafusion_yolo.prepare.register.yaml_section import write_section
        from metafusion_yolo.support.resources import is_shipped

        file, before = self._registration(source)
        if file is None or is_shipped(file):
            raise HTTPException(403, "there is no data-set YAML of yours to write into; start the server with data=")
        visible, infrared = self.view(source, 0).sizes
        if source != STILL and before is not None:
            infrared = before.infrared or visible
            now = before.homography(None, visible, infrared)
            matrix = matrix @ now if now is not None else matrix
        rows = [[float(f"{value:.{DIGITS}g}") for value in row] for row in matrix / matrix[2, 2]]
        section = {"matrix": rows, "visible": [*visible], "infrared": [*infrared]}
        new = with_lenses(Registration.from_yaml(section) or Registration(None), before)
        write_section(file, "registration", new.to_yaml(), "infrared to visible pixels, by metafusion app")
        return file.name


def _small(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, WIDEST / image.shape[1])
    return image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def add_lineup(app: FastAPI, lineup: LineUp) -> None:
    """Add the addresses of the registration to a server."""

    @app.get("/registration", response_model=Sources, summary="What can be lined up")
    def sources() -> Sources:
        return lineup.sources()

    @app.get("/registration/{source}", response_model=Overlay, summary="A pair, and how its cameras lie on each other")
    def overlay(source: str, number: Asked = 0) -> Overlay:
        return lineup.overlay(source, number)

    @app.post("/registration/{source}/quality", response_model=Quality, summary="What is left with a matrix")
    def quality(source: str, proposal: Annotated[Proposal | None, Body()] = None) -> Quality:
        return lineup.quality(source, proposal.array() if proposal else None)

    @app.post("/registration/{source}/estimate", response_model=Quality, summary="Register by the pairs")
    def estimate(source: str) -> Quality:
        return lineup.estimate(source)

    @app.put("/registration/{source}", summary="Write a matrix into the data-set YAML")
    def save(source: str, proposal: Annotated[Proposal, Body()]) -> dict[str, str]:
        return {"written": lineup.save(source, proposal.array())}
