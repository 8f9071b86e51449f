"""Engines of the server: a checkpoint or an export by the host, an ONNX file without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from metafusion_yolo.data.planes import mean_inside
from metafusion_yolo.data.registration import Registration
from metafusion_yolo.data.temperatures import Reading
from metafusion_yolo.data.thermal import UNITS, Thermal
from metafusion_yolo.options.serve import Serve
from metafusion_yolo.serve.uploads import Pair
from metafusion_yolo.support.drawing import weight_overlay
from metafusion_yolo.support.errors import MissingFileError, UserError, UserValueError
from metafusion_yolo.support.resources import read_yaml
from metafusion_yolo.support.versions import check_host

if TYPE_CHECKING:
    from metafusion_yolo.runtime import Detections

LOWEST = 0.05  # score down to which boxes are found; a request may ask for higher ones
VIEWS = ("visible", "fused", "infrared", "weights")


@dataclass(frozen=True)
class Found:
    """The K objects of a pair, and its images.

    Attributes:
        size: Height and width of the visible image.
        boxes_xyxy: (K, 4) float32, pixels of the visible image.
        scores: (K,) float32, [0, 1].
        classes: (K,) int64.
        shares: Mean share of the infrared camera in each box (K,), [0, 1]; None where the export does not tell it.
        share: Its mean share in the image.
        images: Makes each view that there is, (H, W, 3) uint8, B, G, R, in the size of the visible image.
        outlines: Of each mask or oriented box (P, 2), pixels of the visible image; None for upright boxes.
        keypoints: (K, points, 2 or 3), x and y in pixels, and whether it shows, [0, 1]; None for other tasks.
        probabilities: Of each class (C,), of a classifier, which finds no objects.
        temperatures: Of each object, as :meth:`Reading.record` tells them; None where the camera does not measure.
    """

    size: tuple[int, int]
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    shares: np.ndarray | None
    share: float | None
    images: dict[str, Callable[[], np.ndarray]]
    outlines: Sequence[np.ndarray] | None = None
    keypoints: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    temperatures: Sequence[dict[str, Any] | None] | None = None


class Engine(Protocol):
    """A detector of pairs."""

    names: dict[int, str]
    task: str
    thermal: Thermal
    registration: Registration | None
    together: int  # pairs that it takes at a time

    def __call__(self, pairs: Sequence[Pair]) -> list[Found]:
        """Detect on pairs of one size; a pair that cannot be used raises a `UserError`."""


def load_engine(options: Serve, lowest: float = LOWEST, threads: int = 0) -> Engine:
    """Load the model of the options, and detect once as a warm-up.

    Args:
        options: Model, rig, image size, device, largest overlap, and pairs at a time.
        lowest: Lowest score of a box.
        threads: Threads of ONNX Runtime; 0 for all cores.

    Raises:
        UserError: If the model or the data-set YAML is missing or cannot be used.
    """
    engine: Engine = (
        OnnxEngine(options, lowest, threads) if Path(options.model).suffix == ".onnx" else HostEngine(options, lowest)
    )
    if engine.task in ("semantic", "depth"):
        raise UserValueError(
            f"'model={options.model}' is for the task '{engine.task}', and only objects and classes are served, no "
            f"maps; give another model, or use metafusion predict"
        )
    rng = np.random.default_rng(0)
    heat = rng.integers(0, 1 << 14, (48, 64), np.uint16)
    if engine.thermal.unit:  # counts that no scene has are refused
        heat = engine.thermal.counts(rng.uniform(280, 310, (48, 64)) + UNITS[engine.thermal.unit]).astype(np.float32)
    engine([Pair(rng.integers(0, 256, (48, 64, 3), np.uint8), heat)])
    return engine


def found_each(engine: Engine, pairs: Sequence[Pair]) -> list[Found | Exception]:
    """Detect on pairs, those of one size together; a pair that cannot be used gives its error, and the others go on."""
    found: dict[int, Found | Exception] = {}
    for shape in dict.fromkeys(pair.visible.shape for pair in pairs):
        alike = [i for i, pair in enumerate(pairs) if pair.visible.shape == shape]
        for start in range(0, len(alike), engine.together):
            some = alike[start : start + engine.together]
            found |= zip(some, _found_alike(engine, [pairs[i] for i in some]), strict=True)
    return [found[i] for i in range(len(pairs))]


def _found_alike(engine: Engine, pairs: Sequence[Pair]) -> list[Found | Exception]:
    try:
        return [*engine(pairs)]
    except (UserError, cv2.error) as error:
        return [error] if len(pairs) == 1 else [one for pair in pairs for one in _found_alike(engine, [pair])]


class HostEngine:
    """A checkpoint, fused or stock, or any export that the host can load."""

    def __init__(self, options: Serve, lowest: float = LOWEST) -> None:
        check_host()
        from metafusion_yolo.data.rig import Rig, rig_of
        from metafusion_yolo.model import MetaFusionYOLO

        self.model = MetaFusionYOLO(options.model)
        self.together, rig = 1, Rig()  # an export has the size of its batch
        if options.model.endswith(".pt"):
            rig = Rig.of_file(options.data) if options.data else rig_of(self.model.model) or Rig()
            self.together = 1 if rig.thermal.scope == "sequence" else options.batch  # a call would be one sequence
        self.thermal, self.registration = rig.thermal, rig.registration
        given = {"imgsz": options.imgsz, "device": options.device, "data": options.data}
        self._arguments: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        self._arguments |= {"conf": lowest, "iou": options.iou, "batch": self.together, "verbose": False}
        self.names, self.task = dict(self.model.names), str(self.model.task)
        self._calls = 0  # the first one is of :func:`load_engine`

    def __call__(self, pairs: Sequence[Pair]) -> list[Found]:
        """See :class:`Engine`."""
        images = [(pair.visible, pair.infrared) for pair in pairs]
        found = [self._found(result) for result in self.model.predict(images, **self._arguments)]
        self._calls += 1
        if self._calls == 2:  # the host suppresses many boxes by torchvision once it is imported, which takes seconds
            Thread(target=import_module, args=("torchvision",), daemon=True).start()
        return found

    def _found(self, result: Any) -> Found:
        from metafusion_yolo.engine.predict.pictures import outlines

        found = result.found
        boxes = np.zeros((0, 4)) if found is None else found.xyxy.cpu().numpy()
        scores, classes = (
            np.zeros(0) if found is None else getattr(found, key).cpu().numpy() for key in ("conf", "cls")
        )
        views = [
            view
            for view in VIEWS
            if (view != "fused" or result.has_fusion) and (view != "weights" or result.has_weights)
        ]
        shares = result.box_weights
        return Found(
            result.orig_shape,
            *(boxes, scores, classes.astype(np.int64)),
            None if shares is None else shares[:, 1],
            float(result.fusion_weights[1].mean()) if result.has_weights else None,
            {view: lambda view=view: result.image(view) for view in views},  # type: ignore[misc]
            None if result.masks is None and result.obb is None else outlines(result),
            None if result.keypoints is None else result.keypoints.data.cpu().numpy(),
            None if result.probs is None else result.probs.data.cpu().numpy(),
            records(result.temperatures, result.thermogram and result.thermogram.unit),
        )


class OnnxEngine:
    """An ONNX file of `metafusion export`, by :mod:`metafusion_yolo.runtime`."""

    def __init__(self, options: Serve, lowest: float = LOWEST, threads: int = 0) -> None:
        from metafusion_yolo.runtime import Detector

        if options.device not in (None, "cpu"):
            raise UserValueError(f"'device={options.device}': an ONNX file runs on the CPU here; serve the checkpoint")
        self._detector = Detector(options.model, lowest, options.iou, threads=threads)
        if options.data:
            if not Path(options.data).is_file():
                raise MissingFileError(f"no data-set YAML '{options.data}'; give the path of an existing file")
            described = read_yaml(options.data)
            self._detector.thermal = Thermal.from_yaml(described.get("thermal"), options.data)
            self._detector.registration = Registration.from_yaml(described.get("registration"), options.data)
        self.names, self.task, self.thermal = self._detector.names, self._detector.task, self._detector.thermal
        self.registration = self._detector.registration
        self.together = options.batch if self._detector.dynamic else self._detector.batch

    def __call__(self, pairs: Sequence[Pair]) -> list[Found]:
        """See :class:`Engine`."""
        images = [(pair.visible, pair.infrared) for pair in pairs]
        found = self._detector.detect_many(images, [pair.file for pair in pairs])
        return [self._found(pair, one) for pair, one in zip(pairs, found, strict=True)]

    def _found(self, pair: Pair, found: Detections) -> Found:
        images: dict[str, Callable[[], np.ndarray]] = {"visible": lambda: pair.visible}
        fused, weights = found.fused, found.fusion_weights
        if fused is not None:
            images["fused"] = lambda: fused
        stacked = pair.visible, pair.infrared, pair.file
        images["infrared"] = lambda: np.repeat(self._detector.stack(*stacked)[..., 3:], 3, axis=2)
        if fused is not None and weights is not None:
            images["weights"] = lambda: weight_overlay(fused, weights[1])
        outlines: Any = found.corners if found.masks is None else [*map(outline_of, found.masks)]
        regions = zip(found.boxes_xyxy, outlines if outlines is not None else repeat(None), strict=False)
        shares = None if weights is None else np.array([mean_inside(weights[1], *region) for region in regions])
        share = None if weights is None else float(weights[1].mean())
        return Found(
            *(pair.visible.shape[:2], found.boxes_xyxy, found.scores, found.classes, shares, share, images),
            outlines=outlines,
            keypoints=found.keypoints,
            probabilities=found.probabilities,
            temperatures=records(found.temperatures, self.thermal.unit),
        )


def records(readings: Sequence[Reading | None] | None, unit: str | None) -> list[dict[str, Any] | None] | None:
    """Return the temperatures of objects, in their unit, as plain values; None where the camera does not measure."""
    return None if readings is None else [one and one.record(str(unit)) for one in readings]


def outline_of(mask: np.ndarray) -> np.ndarray:
    """Return the outline (P, 2) of the largest part of a mask (H, W) bool, pixels; of an empty one none."""
    parts, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max(parts, key=cv2.contourArea)[:, 0] if parts else np.zeros((0, 2))
