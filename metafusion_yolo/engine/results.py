"""The host's results with both cameras, the fused image and the reasons for it."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

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
        fusion: What the front-end predicted at a quarter of the network's size (h, w): `infrared_weight`
            (1, h / 4, w / 4) and `coefficients` (3, h / 4, w / 4) of :class:`~metafusion_yolo.nn.fusion.FusionOutput`;
            None where the model is an export that does not give them.
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
        if self._fusion is None:
            return None
        infrared = self._at_image_size("infrared_weight")[0, 0]
        return torch.stack((1 - infrared, infrared)).numpy()

    @cached_property
    def fused(self) -> np.ndarray | None:
        """Fused image (H, W, 3) uint8, RGB, in the size of the visible image; None for exports without it.

        It is composed at the native size from the coefficients, so it is as sharp as the sources.
        """
        if self._fusion is None:
            return None
        rgb = torch.from_numpy(self.orig_img[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        infrared = torch.from_numpy(self.infrared)[None, None].float() / 255
        luminance = rgb_to_luminance(rgb)
        visible_factor, infrared_factor, offset = self._at_image_size("coefficients").split(1, 1)
        fused_luminance = (visible_factor * luminance + infrared_factor * infrared + offset).clamp(0, 1)
        fused = replace_luminance(rgb, fused_luminance, luminance)
        return (fused[0].permute(1, 2, 0) * 255).round().byte().numpy()

    def _at_image_size(self, key: str) -> Tensor:
        """Bring maps to the network's size, take the letterbox off, and resize them to (1, C, H, W)."""
        maps = self._fusion[key][None].float()  # type: ignore[index]
        maps = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
        return scale_masks(maps, self.orig_shape)

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
    """Return what :class:`FusionResults` needs of the i-th pair of a batch, small enough to keep many."""
    maps = {"infrared_weight": output["weights"][i, 1:2], "coefficients": output["coefficients"][i]}
    return {name: map_.half().cpu() for name, map_ in maps.items()}
