"""Training, validation and prediction of the tasks semantic and depth, whose answer is a map of the whole image."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.data.utils import add_polygon_background
from ultralytics.engine.predictor import BasePredictor
from ultralytics.models.yolo.depth import DepthPredictor, DepthTrainer, DepthValidator
from ultralytics.models.yolo.depth.calibrate import calibrate_checkpoint
from ultralytics.models.yolo.semantic import (
    SemanticSegmentationPredictor,
    SemanticSegmentationTrainer,
    SemanticSegmentationValidator,
)
from ultralytics.utils import RANK
from ultralytics.utils.ops import convert_torch2numpy_batch
from ultralytics.utils.plotting import plot_images

from metafusion_yolo.data.dataset import PairedYOLODataset, build_paired_dataset
from metafusion_yolo.data.maps import IGNORED, data_set_of
from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.validate.plain import PlainValidator
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.support.errors import UserValueError


class MapTrainer(FusionDetectionTrainer):
    """Trains for maps. Mixed in before the host's trainer; the map is `key` of a batch, `blank` where there is none."""

    key = ""
    blank = 0

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> PairedYOLODataset:
        """Build a data set of pairs with maps."""
        self.dataset_class = data_set_of(self.args.task, self.data)
        return super().build_dataset(img_path, mode, batch)

    def plot_training_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Plot visible, infrared and fused image of each sample side by side, the map on the fused one."""
        panels = self.panels(batch["img"])
        maps = F.pad(batch[self.key].cpu(), (2 * batch["img"].shape[-1], 0), value=self.blank)
        file, names = self.save_dir / f"train_batch{ni}.jpg", self.data["names"]
        labels = {"img": panels, self.key: maps}
        plot_images(labels, paths=batch["im_file"], names=names, fname=file, on_plot=self.on_plot, max_subplots=9)


class MapValidator(PlainValidator):
    """Validates maps. Mixed in before the host's validator."""

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> PairedYOLODataset:
        """Build a data set of pairs with maps."""
        self.data["channels"] = NUM_CHANNELS
        kind = data_set_of(self.args.task, self.data)
        given = self.args, img_path, batch, self.data
        return build_paired_dataset(*given, mode=mode, stride=self.stride, off=self.off, kind=kind)


class MapPredictor(FusionDetectionPredictor):
    """Predicts maps. Mixed in before the host's predictor, which is also `host`."""

    host: type[BasePredictor]

    def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **kwargs: Any) -> list[FusionResults]:
        """Return results with the map of the host."""
        pairs = orig_imgs if isinstance(orig_imgs, list) else list(convert_torch2numpy_batch(orig_imgs))
        return self.paired(self.host.postprocess(self, preds, img, [pair[..., :3] for pair in pairs]), pairs)


class FusionSemanticSegmentationPredictor(MapPredictor, SemanticSegmentationPredictor):
    """The class of each pixel, as `semantic_mask`."""

    host = SemanticSegmentationPredictor


class FusionSemanticSegmentationValidator(MapValidator, SemanticSegmentationValidator):
    """The class of each pixel."""

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> PairedYOLODataset:
        """Count the background among the classes, where these are drawn from polygons."""
        add_polygon_background(self.data)
        return super().build_dataset(img_path, mode, batch)

    def init_metrics(self, model: nn.Module) -> None:
        """Check that model and data set number the same classes.

        Raises:
            ValueError: If they do not.
        """
        known, named = cast(dict[int, str], model.names), add_polygon_background(self.data)["names"]
        if len(known) != len(named):
            raise UserValueError(
                f"the model knows {len(known)} classes of pixels, and '{self.args.data}' has {len(named)}, background "
                f"included; give the data set that it was trained with, or train it on this one"
            )
        super().init_metrics(model)


class FusionSemanticSegmentationTrainer(MapTrainer, SemanticSegmentationTrainer):
    """The class of each pixel."""

    validator_class: Any = FusionSemanticSegmentationValidator
    key, blank = "semantic_mask", IGNORED


class FusionDepthPredictor(MapPredictor, DepthPredictor):
    """The distance of each pixel in metres, as `depth`; the network sees the pair stretched to its size."""

    host = DepthPredictor

    def fusion_of(self, i: int, shape: tuple[int, ...]) -> dict[str, Tensor] | None:
        """Return the fusion of a pair of the batch in the proportions of its image."""
        fusion = super().fusion_of(i, shape)
        return None if fusion is None else {key: unstretched(plane, shape) for key, plane in fusion.items()}


class FusionDepthValidator(MapValidator, DepthValidator):
    """The distance of each pixel."""

    def postprocess(self, preds: Any) -> Tensor:
        """Return the distances without the fused image, which an export may add."""
        return cast(Tensor, super().postprocess(preds[0] if isinstance(preds, (list, tuple)) else preds))


class FusionDepthTrainer(MapTrainer, DepthTrainer):
    """The distance of each pixel."""

    validator_class: Any = FusionDepthValidator
    key = "depth"

    def final_eval(self) -> None:
        """Fit the scale of the depths on the validation pairs, as the host does, before the last validation."""
        for file in (self.best, self.last) if RANK in {-1, 0} else ():
            if file.exists():
                calibrate_checkpoint(file, self.test_loader, self.device, max_depth=self.data.get("max_depth") or 100.0)
        super().final_eval()


def unstretched(plane: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Resize a map (C, h, w) of a stretched image to the aspect ratio of that image (H, W, ...), within h and w."""
    zoom = min(side / whole for side, whole in zip(plane.shape[-2:], shape, strict=False))
    size = [max(1, round(side * zoom)) for side in shape[:2]]
    return F.interpolate(plane[None].float(), size, mode="bilinear", align_corners=False)[0].to(torch.float16)
