"""The host's results with both cameras, the fused image and its weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from ultralytics.engine.results import Results
from ultralytics.utils.ops import scale_masks

from metafusion_yolo.data.planes import cameras_on, mean_inside
from metafusion_yolo.data.temperatures import Reading, Thermogram
from metafusion_yolo.engine.predict.pictures import (
    draw,
    draw_on,
    outlines,
    show_inline,
    style_of,
    to_html,
    to_supervision,
)
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import FusionOutput, compose
from metafusion_yolo.options import VIEWS
from metafusion_yolo.support.drawing import to_uint8, weight_overlay
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest

if TYPE_CHECKING:
    from supervision import Detections

CAMERAS = ("visible", "infrared", "fused")  # images in a panel and in crops
MODALITIES = {
    frozenset(("visible", "infrared")): "both",
    frozenset(("visible",)): "visible",
    frozenset(("infrared",)): "infrared",
    frozenset(()): "none",
}


class FusionResults(Results):
    """Detections of one pair.

    Attributes:
        orig_img: Visible image (H, W, 3) uint8, B, G, R, as in the host's results.
        infrared: Infrared image (H, W) uint8, in the size of the visible one.
        view: Image that :meth:`plot` draws on by default.
        modalities: Cameras that show anything: "both", "visible", "infrared" or "none". A missing camera is blank.
        infrared_path: File of the infrared image or video, None if it has none.
        frame: Number of the frame in its video, from 1; None for an image.
        time: Seconds from the start of the video or live run; None for an image.
        fused_path: File of the fused image or video, None if it was not written.
        thermogram: What the infrared camera measured; None if its counts have no unit.
        shows_temperatures: Whether :meth:`plot` draws temperatures by default.
        shows_in: The camera that shows each box, "visible", "infrared" or "both", if an ensemble found them; else None.

    Args:
        pair: (H, W, 4) uint8, R, G, B, IR.
        fusion: Output of the front-end at a quarter of the network's size (h, w): `infrared_weight` (1, h / 4, w / 4)
            and `coefficients` (4, h / 4, w / 4) of :class:`~metafusion_yolo.nn.fusion.FusionOutput`; or that of an
            export: `fused` (3, h, w) and, if it has it, `infrared_weight` (1, h, w); None for neither.
        view: See above.
        **kwargs: As for the host's results.
    """

    def __init__(
        self, pair: np.ndarray, fusion: dict[str, Tensor] | None = None, view: str = "fused", **kwargs: Any
    ) -> None:
        super().__init__(np.ascontiguousarray(pair[..., 2::-1]), **kwargs)
        self.infrared = np.ascontiguousarray(pair[..., 3])
        self.view = view
        self.modalities = MODALITIES[frozenset(cameras_on(pair))]
        self.infrared_path: str | None = None
        self.frame: int | None = None
        self.time: float | None = None
        self.fused_path: Path | None = None
        self.shows_in: list[str] | None = None
        self.thermogram: Thermogram | None = None
        self.shows_temperatures = False
        self._fusion = fusion

    @property
    def has_fusion(self) -> bool:
        """Whether there is a fused image; plain exports have none."""
        return self._fusion is not None

    @property
    def has_weights(self) -> bool:
        """Whether there are weights of the cameras; exports have them with `fusion_weights=True`."""
        return self._fusion is not None and "infrared_weight" in self._fusion

    def new(self) -> FusionResults:
        """Return an empty result of the same pair, which shares its images."""
        result = copy(self)
        for key in self._keys:
            setattr(result, key, None)
        return result

    @cached_property
    def fusion_weights(self) -> np.ndarray | None:
        """Share of each camera at each pixel, (2, H, W) float32, [0, 1], visible first; None for exports without it."""
        if not self.has_weights:
            return None
        infrared = self._at_image_size("infrared_weight")[0, 0]
        return torch.stack((1 - infrared, infrared)).numpy()

    @cached_property
    def fused(self) -> np.ndarray | None:
        """Fused image (H, W, 3) uint8, RGB, in the size of the visible image; None for exports without it.

        It is composed at native size from the coefficients, so it is as sharp as the sources; that of an export is
        resized from the network's size.
        """
        if self._fusion is None:
            return None
        if "fused" in self._fusion:  # of an export, at the network's size
            return to_uint8(self._at_image_size("fused")[0])
        pair = torch.from_numpy(np.dstack((self.orig_img[..., ::-1], self.infrared))).permute(2, 0, 1)[None]
        return compose_fused(pair.float() / 255, self._at_image_size("coefficients"))

    @property
    def found(self) -> Any:
        """The boxes, oriented if the model finds those; the host has two attributes, of which one is None."""
        return self.boxes if self.obb is None else self.obb

    @property
    def box_weights(self) -> np.ndarray | None:
        """Mean share of each camera in each box, (K, 2) float32, [0, 1], visible first; None for exports without it.

        With masks it is the share in each mask, with oriented boxes the share in what these cover.
        """
        if not self.has_weights or self.found is None:
            return None
        infrared = self._at_image_size("infrared_weight")[0, 0].numpy()
        boxes, upright = self.found.cpu().numpy().xyxy, self.masks is None and self.obb is None
        regions = zip(boxes, [None] * len(boxes) if upright else outlines(self), strict=True)
        shares = [mean_inside(infrared, box, outline) for box, outline in regions]
        return np.array([(1 - share, share) for share in shares], np.float32).reshape(-1, 2)

    @property
    def temperatures(self) -> list[Reading | None] | None:
        """The temperatures of each box, oriented box or mask; None where there is no measurement."""
        if self.thermogram is None:
            return None
        return [self.thermogram.under(outline) for outline in outlines(self)]

    def _at_image_size(self, key: str) -> Tensor:
        """Bring maps to the network's size, remove the letterbox, and resize them to (1, C, H, W)."""
        fusion = cast(dict[str, Tensor], self._fusion)
        maps = fusion[key][None].float()
        if "coefficients" in fusion:  # from the front-end; maps of an export have the network's size
            maps = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
        return scale_masks(maps, self.orig_shape)

    def image(self, view: str) -> np.ndarray:
        """Return one of the views without boxes as (H, W, 3) uint8, B, G, R.

        The visible image replaces a missing fused image, the fused image missing weights.

        Raises:
            ValueError: If the view is unknown.
        """
        if view not in VIEWS:
            raise UserValueError(f"unknown view '{view}', {nearest(view, VIEWS)}")
        if view == "panel":
            return draw(self.new(), view, style_of())
        if view == "infrared":
            return cv2.cvtColor(self.infrared, cv2.COLOR_GRAY2BGR)
        if view == "visible" or self.fused is None:
            return self.orig_img
        fused = np.ascontiguousarray(self.fused[..., ::-1])
        if view == "fused" or self.fusion_weights is None:
            return fused
        return weight_overlay(fused, self.fusion_weights[1])

    def _cameras(self) -> list[str]:
        """Return the available images: the two cameras, and the fused image if there is one."""
        return [name for name in CAMERAS if name != "fused" or self.has_fusion]

    def plot(self, *args: Any, view: str | None = None, temperatures: bool | None = None, **kwargs: Any) -> Any:
        """Draw the detections on one of the images, or on all.

        Args:
            view: "fused", "visible", "infrared"; "weights" for the fused image coloured by the share of each camera;
                "panel" for all of them together; None for the `view` of the result. The visible image replaces a
                missing fused image.
            temperatures: Whether to mark the hottest spot of each object with its temperature, to show the infrared
                image in colours, and to add a colour bar in the unit; None for the `shows_temperatures` of the result.
            *args: As for the host's plot.
            **kwargs: As for the host's plot.

        Raises:
            ValueError: If the view is unknown, or the temperatures were not measured.
        """
        style = style_of(*args, **kwargs)
        if temperatures and self.thermogram is None:
            raise UserValueError("no temperatures in this result; they need 'thermal: unit:' in the data-set YAML")
        style["temperatures"] = self.shows_temperatures if temperatures is None else temperatures
        given, last = style["img"], {key: style.pop(key) for key in ("pil", "show", "save", "filename")}
        view = view or self.view
        picture = draw(self, view, style) if given is None else draw_on(self, given, style)
        if last["show"] and show_inline(picture):
            last["show"] = False
        return Results.plot(self.new(), img=picture, **last)

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows."""
        return cv2.imencode(".png", self.plot())[1].tobytes()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the picture, and a line and a table of what is on it."""
        return to_html(self)

    def __repr__(self) -> str:
        """Return one line, for lists of results; `str` gives the host's list of attributes."""
        height, width = self.orig_shape
        return f"<{type(self).__name__} {Path(self.path).name} {width}x{height}: {self.verbose().rstrip(', ')}>"

    def to_supervision(self) -> Detections:
        """Return the detections for `supervision`, with the images of the pair in `metadata`.

        These are `visible`, `infrared` (H, W) and, if there is one, `fused`, colours in B, G, R as supervision has
        them; `data["infrared_weight"]` is the share of the infrared camera in each box.

        Raises:
            ModuleNotFoundError: If supervision is not installed.
        """
        return to_supervision(self)

    def save_crop(self, save_dir: str | Path, file_name: str | Path = Path("im.jpg")) -> None:
        """Save crops of the boxes, as the host does, in `visible/`, `infrared/` and `fused/` of the folder.

        The host names folders after the classes of a checkpoint, so separators and dots in class names are replaced.
        """
        for name in self._cameras():
            result = copy(self)
            result.names = {i: re.sub(r"[/\\]|^\.*$", "_", str(cls)) for i, cls in self.names.items()}
            result.orig_img = self.image(name)
            Results.save_crop(result, Path(save_dir) / name, file_name)

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
        """Add `infrared_weight`, the mean share of the infrared camera in each box, [0, 1], to the host's summary.

        Where the infrared camera measures, `temperature` is added too.
        """
        rows = super().summary(normalize, decimals)
        weights = self.box_weights
        if self.thermogram is not None:
            size = self.orig_shape[::-1] if normalize else (1, 1)
            for row, reading in zip(rows, self.temperatures or (), strict=False):
                row["temperature"] = reading and reading.record(self.thermogram.unit, size)
        if self.probs is not None and self.fusion_weights is not None:  # a class is one of the whole image
            weights = np.tile(self.fusion_weights.mean((1, 2)), (len(rows), 1))
        if self.semantic_mask is not None and self.fusion_weights is not None:
            found = self.semantic_mask.cpu().numpy().data
            only = len(self.names) == 1  # then 0 is the background, and the class 1
            weights = np.array([self.fusion_weights[:, found == row["class"] + only].mean(1) for row in rows])
        for i, row in enumerate(rows):
            row["infrared_weight"] = None if weights is None else round(float(weights[i, 1]), decimals)
        return rows


def compose_fused(pair: Tensor, coefficients: Tensor) -> np.ndarray:
    """Apply the front-end's coefficients to the pixels of a pair of any size.

    Args:
        pair: (1, 4, H, W), R, G, B, IR in [0, 1].
        coefficients: (1, 4, H, W), see :func:`~metafusion_yolo.nn.fusion.compose`.

    Returns:
        Fused image (H, W, 3) uint8, R, G, B.
    """
    visible, infrared = pair[:, :3], pair[:, 3:]
    luminance = rgb_to_luminance(visible)
    fused = compose(coefficients.split(1, 1), visible, luminance, infrared)
    return to_uint8(fused[0])


@contextmanager
def showing_fused(results: list[FusionResults]) -> Iterator[None]:
    """Set `orig_img` of each result to the fused image or, without one, to a camera that is on."""
    dark = [result.modalities == "infrared" and result.fused is None for result in results]
    images = [result.image("infrared" if blind else "fused") for result, blind in zip(results, dark, strict=True)]
    visible = [(result, result.orig_img) for result in results]
    try:
        for result, image in zip(results, images, strict=True):
            result.orig_img = image
        yield
    finally:
        for result, image in visible:
            result.orig_img = image
        for result, (_, image) in zip(results, visible, strict=True):  # results that a tracker put in their place
            result.orig_img = image


def pack_fusion(output: FusionOutput | dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Return the maps that :class:`FusionResults` needs of a pair in a batch, in half precision on the CPU.

    Args:
        output: Output of the front-end, or the additional outputs of an export by name.
        i: Index of the pair.
    """
    if isinstance(output, FusionOutput):
        maps = {"coefficients": output.coefficients[i], "infrared_weight": output.weights[i, 1:2]}
    else:
        maps = {"fused": output["fused"][i]}
        if "fusion_weights" in output:
            maps["infrared_weight"] = output["fusion_weights"][i, 1:2]
    return {name: map_.half().cpu() for name, map_ in maps.items()}
