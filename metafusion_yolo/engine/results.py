"""The host's results with both cameras, the fused image and the reasons for it."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from ultralytics.engine.results import Results
from ultralytics.utils.ops import scale_masks

from metafusion_yolo.color import replace_luminance, rgb_to_luminance
from metafusion_yolo.config import nearest

VIEWS = ("fused", "visible", "infrared")


class FusionResults(Results):
    """Detections of one pair.

    Attributes:
        orig_img: Visible image (H, W, 3) uint8, B, G, R, as in the host's results.
        infrared: Infrared image (H, W) uint8, in the size of the visible one.
        view: Image that :meth:`plot` draws on: "fused", "visible" or "infrared".
        fused_path: Where the fused image was written, None if it was not.

    Args:
        pair: (H, W, 4) uint8, R, G, B, IR.
        fusion: `infrared_weight` (1, h / 4, w / 4) and `detail` (1, h, w) of the front-end at the network's size, or
            those of an export: `fused` (3, h, w) and perhaps `infrared_weight` (1, h, w); None where there is neither.
        view: See above.
        **kwargs: As for the host's results.
    """

    def __init__(
        self, pair: np.ndarray, fusion: dict[str, Tensor] | None = None, view: str = "fused", **kwargs: Any
    ) -> None:
        super().__init__(np.ascontiguousarray(pair[..., 2::-1]), **kwargs)
        self.infrared = np.ascontiguousarray(pair[..., 3])
        self.view = view
        self.fused_path: Path | None = None
        self._fusion = fusion

    def new(self) -> FusionResults:
        """Return an empty result of the same pair, which shares its images."""
        result = copy(self)
        for key in self._keys:
            setattr(result, key, None)
        return result

    @cached_property
    def fusion_weights(self) -> np.ndarray | None:
        """Share of each camera at each pixel, (2, H, W) float32 in [0, 1], visible first; None for plain exports."""
        if self._fusion is None or "infrared_weight" not in self._fusion:
            return None
        infrared = self._at_image_size(self._fusion, "infrared_weight")[0, 0]
        return torch.stack((1 - infrared, infrared)).numpy()

    @cached_property
    def fused(self) -> np.ndarray | None:
        """Fused image (H, W, 3) uint8, RGB, in the size of the visible image; None for exports without it.

        It is composed at the native size from the weights and the detail term, so it is as sharp as the sources;
        that of an export is enlarged from the network's size.
        """
        if self._fusion is None:
            return None
        if "fused" in self._fusion:  # of an export, at the network's size
            planes = self._at_image_size(self._fusion, "fused")
            return (planes[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
        rgb = torch.from_numpy(self.orig_img[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        infrared = torch.from_numpy(self.infrared)[None, None].float() / 255
        luminance = rgb_to_luminance(rgb)
        weight = torch.from_numpy(cast(np.ndarray, self.fusion_weights)[1:])[None]
        detail = self._at_image_size(self._fusion, "detail")
        fused = replace_luminance(rgb, (luminance + weight * (infrared - luminance) + detail).clamp(0, 1), luminance)
        return (fused[0].permute(1, 2, 0) * 255).round().byte().numpy()

    def _at_image_size(self, fusion: dict[str, Tensor], key: str) -> Tensor:
        """Bring a plane to the network's size, take the letterbox off, and resize it to (1, C, H, W)."""
        network_size = fusion["fused" if "fused" in fusion else "detail"].shape[-2:]
        plane = F.interpolate(fusion[key][None].float(), size=network_size, mode="bilinear", align_corners=False)
        return scale_masks(plane, self.orig_shape)

    def image(self, view: str) -> np.ndarray:
        """Return one of the views as (H, W, 3) uint8, B, G, R, as OpenCV draws and writes.

        Raises:
            ValueError: For an unknown view.
        """
        if view not in VIEWS:
            raise ValueError(f"unknown view '{view}', {nearest(view, VIEWS)}")
        if view == "infrared":
            return cv2.cvtColor(self.infrared, cv2.COLOR_GRAY2BGR)
        if view == "fused" and self.fused is not None:
            return np.ascontiguousarray(self.fused[..., ::-1])
        return self.orig_img

    def plot(self, *args: Any, view: str | None = None, **kwargs: Any) -> Any:
        """Draw the detections on the fused image, or on either source.

        Args:
            view: "fused" (the visible image where there is no fused one), "visible" or "infrared"; None for
                the result's own `view`.
            *args: As for the host's plot.
            **kwargs: As for the host's plot.
        """
        if kwargs.get("img") is None:
            kwargs["img"] = self.image(view or self.view)
        return super().plot(*args, **kwargs)


def pack_fusion(output: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """Return what :class:`FusionResults` needs of the i-th pair of a batch, small enough to keep many.

    Args:
        output: Of the front-end, or the extra outputs of an export by name.
        i: Index of the pair.
    """
    base, weights = ("detail", "weights") if "detail" in output else ("fused", "fusion_weights")
    planes = {base: output[base][i]}
    if weights in output:
        planes["infrared_weight"] = output[weights][i, 1:2]
    return {key: plane.half().cpu() for key, plane in planes.items()}
