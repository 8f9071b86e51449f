"""Prediction on pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.utils import ops

from metafusion_yolo.data.loaders import load_pairs
from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.engine._host import front_end, rig_of, warn_of_other_cameras
from metafusion_yolo.engine.results import FusionResults, pack_fusion


class FusionDetectionPredictor(DetectionPredictor):
    """Read pairs where the host reads images, and hand the fused image on with the detections.

    Attributes:
        save_fused: Whether to write the fused image of every pair to `fused/` in the run's folder.
        view: What the detections are drawn on.
    """

    save_fused = False
    view = "fused"

    def setup_model(self, model: Any, verbose: bool = True) -> None:
        """Listen to the front-end, whose output would otherwise stay inside the model."""
        super().setup_model(model, verbose)
        self.model.prefetch = True  # read ahead in a thread, as the host does where there is a GPU
        self._fusion: Any = None
        self._trained_with = rig_of(self.model)
        fusion = front_end(self.model)
        if fusion is not None:
            fusion.register_forward_hook(self._keep_fusion)

    def _keep_fusion(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        self._fusion = output

    def setup_source(self, source: Any, stride: int | None = None) -> None:
        """Load pairs; the host sets up the rest."""
        source = source if isinstance(source, PairedSource) else PairedSource(source)
        self.save_fused, self.view = source.save_fused, source.view
        rig = self._trained_with or Rig()
        if source.data:
            rig = Rig.of_file(source.data)
            warn_of_other_cameras(self._trained_with, rig, source.data)
        super().setup_source(load_pairs(source, rig, self.args.batch, self.args.vid_stride), stride)
        if self.save_fused:
            (self.save_dir / "fused").mkdir(parents=True, exist_ok=True)
            self._written: Counter[str] = Counter()

    def pre_transform(self, im: list[np.ndarray]) -> list[np.ndarray]:
        """Letterbox as the host does, but leave no grey border around a camera that shows nothing."""
        boxed = super().pre_transform(im)
        for pair, out in zip(im, boxed, strict=True):
            for planes in PLANES.values():
                samples = pair[::8, ::8, planes]
                if samples.max() == samples.min():
                    out[..., planes] = 0
        return boxed

    def inference(self, im: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Forget the fusion of the batch before."""
        self._fusion = None
        return super().inference(im, *args, **kwargs)

    def postprocess(self, preds: Any, img: torch.Tensor, orig_imgs: Any, **kwargs: Any) -> list[FusionResults]:
        """Keep the channel order of tensors, which the host would reverse."""
        if not isinstance(orig_imgs, list):
            orig_imgs = list(ops.convert_torch2numpy_batch(orig_imgs))
        return super().postprocess(preds, img, orig_imgs, **kwargs)

    def construct_results(
        self, preds: list[torch.Tensor], img: torch.Tensor, orig_imgs: list[np.ndarray]
    ) -> list[FusionResults]:
        """Put the pair and its fusion beside the boxes."""
        results = []
        for i, (pred, pair, path) in enumerate(zip(preds, orig_imgs, self.batch[0], strict=True)):
            pred[:, :4] = ops.scale_boxes(img.shape[2:], pred[:, :4], pair.shape)
            fusion = None if self._fusion is None else pack_fusion(self._fusion, i)
            result = FusionResults(pair, fusion, self.view, path=path, names=self.model.names, boxes=pred[:, :6])
            if self.save_fused and fusion is not None:
                self._write_fused(result)
            results.append(result)
        return results

    def _write_fused(self, result: FusionResults) -> None:
        """Write a fused image under the name of its visible image, numbered where names repeat."""
        stem = Path(result.path).stem
        if self.dataset.mode == "video":
            stem = f"{stem}_{self.dataset.frame}"
        self._written[stem] += 1
        if self._written[stem] > 1:
            stem = f"{stem}-{self._written[stem]}"
        result.fused_path = self.save_dir / "fused" / f"{stem}.png"
        cv2.imwrite(str(result.fused_path), result.image("fused"))
