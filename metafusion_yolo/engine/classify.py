"""Training, validation and prediction of the task classify, whose classes are those of whole pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.engine.results import Results
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.classify import ClassificationValidator
from ultralytics.utils import DEFAULT_CFG
from ultralytics.utils.ops import convert_torch2numpy_batch
from ultralytics.utils.plotting import plot_images

from metafusion_yolo.data.class_folders import PairedClassDataset
from metafusion_yolo.data.planes import central
from metafusion_yolo.engine._host import class_folders_described
from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.validate.plain import PlainValidator
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.front_end import FrontEndAhead

IMGSZ = 224  # pixels, as in the host


class FusionClassificationValidator(PlainValidator, ClassificationValidator):
    """Accuracies on pairs."""

    def build_dataset(self, img_path: str) -> PairedClassDataset:
        """Build a data set of pairs in class folders, numbered as the model numbers its classes."""
        self.data["channels"] = NUM_CHANNELS
        return PairedClassDataset(self.args, img_path, self.data, self.names, off=self.off)

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Bring pairs to [0, 1]."""
        batch = super().preprocess(batch)
        return {**batch, "img": batch["img"] / 255}


class FusionClassificationTrainer(FusionDetectionTrainer):
    """Classes of whole pairs."""

    validator_class: Any = FusionClassificationValidator

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        given = {key: value for key, value in (overrides or {}).items() if value is not None}
        super().__init__(cfg, {"imgsz": IMGSZ, **given, "multi_scale": 0.0, "task": "classify"}, _callbacks)

    def get_dataset(self) -> dict[str, Any]:
        """Read a data-set YAML, where the host would take a folder."""
        with class_folders_described():
            return super().get_dataset()

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> FrontEndAhead:
        """Build the fused classifier, with the requested drop-out."""
        model = super().get_model(cfg, weights, verbose)
        for module in model.modules():
            if isinstance(module, nn.Dropout) and self.args.dropout:
                module.p = self.args.dropout
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Build a data set of pairs in class folders."""
        given = self.args, img_path, self.data, self.data["names"], mode
        return PairedClassDataset(*given, photometric=self.augmentation)

    def auto_batch(self) -> Any:
        """Estimate the batch size from the images only, as there are no boxes."""
        return BaseTrainer.auto_batch(self)

    def plot_training_labels(self) -> None:
        """Plot nothing: there are no boxes."""

    def plot_training_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Plot visible, infrared and fused image of each sample side by side, under its class."""
        panels = self.panels(batch["img"])
        labels = {"img": panels, "cls": batch["cls"].cpu(), "batch_idx": torch.arange(len(panels))}
        file = self.save_dir / f"train_batch{ni}.jpg"
        plot_images(labels, names=self.data["names"], fname=file, on_plot=self.on_plot, max_subplots=9)


class FusionClassificationPredictor(FusionDetectionPredictor):
    """Classes of whole pairs, as `probs`; the network sees the centre, and the fusion is extended to the rest."""

    def pre_transform(self, im: list[np.ndarray]) -> list[np.ndarray]:
        """Return the middle of each pair, as in training."""
        return [central(pair, max(self.imgsz)) for pair in im]

    def postprocess(self, preds: Any, img: torch.Tensor, orig_imgs: Any, **kwargs: Any) -> list[FusionResults]:
        """Return results with the probability of each class."""
        if not isinstance(orig_imgs, list):
            orig_imgs = list(convert_torch2numpy_batch(orig_imgs))
        probs = (preds[0] if isinstance(preds, (list, tuple)) else preds).clone()
        paths: list[str] = [str(Path(path)) for path in self.batch[0]]
        names = self.model.names
        rows = zip(orig_imgs, paths, probs, strict=True)
        hosts = [Results(pair[..., :3], path=path, names=names, probs=prob) for pair, path, prob in rows]
        return self.paired(hosts, orig_imgs)

    def fusion_of(self, i: int, shape: tuple[int, ...]) -> dict[str, torch.Tensor] | None:
        """Return the fusion of a pair of the batch, extended to the whole pair."""
        fusion = super().fusion_of(i, shape)
        return None if fusion is None else {key: widened(plane, shape) for key, plane in fusion.items()}


def widened(plane: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Extend a map (C, S, S) of the middle of an image to all of it, by repeating its border.

    Args:
        plane: The map; one that is not square covers the whole image already, and stays as it is.
        shape: Height and width of the image.
    """
    size, shorter = plane.shape[-1], min(shape[:2])
    if plane.shape[-2] != size:
        return plane
    more = [max(0, round(size * side / shorter) - size) for side in (shape[1], shape[0])]
    sides = [part for extra in more for part in (extra // 2, extra - extra // 2)]
    return nn.functional.pad(plane[None].float(), sides, mode="replicate")[0]
