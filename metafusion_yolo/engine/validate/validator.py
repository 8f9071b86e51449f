"""Validation on pairs, with both cameras or with one switched off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import LOGGER
from ultralytics.utils.metrics import ConfusionMatrix

from metafusion_yolo.data.dataset import PairedYOLODataset, build_paired_dataset
from metafusion_yolo.data.description import check_description, data_error
from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.data.rig import Rig, rig_of
from metafusion_yolo.data.shown_in import ShownIn
from metafusion_yolo.engine._host import front_end, gather_list, missing_packages_named, warn_of_other_cameras
from metafusion_yolo.engine.arguments import check_classes, several
from metafusion_yolo.engine.validate.measure import (
    FusionMetrics,
    content_area,
    measure_fusion,
    picture_misses,
    record_pair,
)
from metafusion_yolo.engine.validate.spoiling import find_spoilt
from metafusion_yolo.evaluation.classes import Order, class_order, describe_order, renumber_classes, select_classes
from metafusion_yolo.evaluation.conditions import Conditions
from metafusion_yolo.evaluation.corruptions import STRENGTHS
from metafusion_yolo.evaluation.page import write_page
from metafusion_yolo.evaluation.plots import plot_curves, plot_spoilt_weights, plot_trust, plot_weights
from metafusion_yolo.evaluation.precision import Image
from metafusion_yolo.evaluation.report import PairRecord, ValidationReport
from metafusion_yolo.evaluation.robustness import AS_IS, disturbances
from metafusion_yolo.functional.metrics.accumulator import parse_metrics
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.options import Val
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.logs import info_once


def camera_off(modalities: str) -> str:
    """Return the camera that `modalities` switches off; empty for "both"."""
    return {"visible": "infrared", "infrared": "visible"}.get(modalities, "")


@contextmanager
def data_set_at_fault(validator: Any) -> Iterator[None]:
    """Turn errors about the data set into one line, and name missing packages."""
    try:
        with missing_packages_named():
            yield
    except (SyntaxError, FileNotFoundError) as error:
        if validator.device is None:  # not set yet, so the error is about the model
            raise
        raise data_error(error, validator.args.data) from error


class FusionDetectionValidator(DetectionValidator):
    """The host's detection metrics on a paired data set, and our report; plots show the fused images.

    A standalone validation, such as the one at the end of a training, makes a report; those between epochs do not.

    With one camera switched off its planes are blank, and there are no fusion metrics or weights.

    Args:
        *args: As for the host's validator.
        **kwargs: Likewise, and the fields of :class:`~metafusion_yolo.options.Val`.

    Raises:
        ValueError: If modalities or metrics are unknown, curves or corruptions come with a camera off, or night_below
            is out of range.
    """

    metrics: FusionMetrics
    metrics_class: type[FusionMetrics] = FusionMetrics
    strengths: Sequence[int] = STRENGTHS  # of the corruptions
    beside = True  # whether corruptions are also looked at with the spoilt camera alone and as the average image
    _model: Any = None
    _front_end: Any = None
    _fusion: Any = None  # of the current batch
    _hook: Any = None
    _order: Order | None = None  # of the classes, where the model numbers them otherwise

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        asked = Val.of(kwargs)
        self.off = camera_off(asked.modalities)
        if self.off and (asked.curves or asked.corruptions):
            what = "curves" if asked.curves else "corruptions"
            raise UserValueError(f"{what} switch each camera off themselves; leave out modalities={asked.modalities}")
        self.quality, self.night_below = parse_metrics(asked.metrics), asked.night_below
        self.curves, self.corruptions = asked.curves, asked.corruptions
        super().__init__(*args, **kwargs)
        self.metrics = self.metrics_class()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the validation; errors in the data set become one line.

        Raises:
            ValueError: If the data set cannot be used.
            FileNotFoundError: If a file of it does not exist.
        """
        given = kwargs.get("model")
        self._name = str(given if isinstance(given, (str, Path)) else self.args.model)
        if self.args.data and not (args or kwargs.get("trainer")):  # a trainer has already checked its data set
            self.args.data = check_description(self.args.data, self.args.task)
        try:
            with data_set_at_fault(self):
                return super().__call__(*args, **kwargs)
        finally:
            if self._hook:  # it would be saved with the checkpoint
                self._hook.remove()
            self._fusion = None

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> PairedYOLODataset:
        """Build a paired data set."""
        self.data["channels"] = NUM_CHANNELS  # for the host's warm-up of an export
        return build_paired_dataset(self.args, img_path, batch, self.data, mode=mode, stride=self.stride, off=self.off)

    def init_metrics(self, model: torch.nn.Module) -> None:
        """Hook into the front-end, and compare the cameras with those that the model was trained with."""
        super().init_metrics(model)
        self._match_classes(model.names)
        check_classes(self.args.classes, self.data["names"])
        warn_of_other_cameras(rig_of(model), Rig.from_yaml(self.data), self.args.data)
        self.metrics.report = None
        self._records: list[PairRecord] = []
        self._conditions = Conditions.of_data(self.data, self.night_below)
        self._shown_in = ShownIn(self.data.get("path", ""))
        self._model, self._front_end, self._fusion = model, front_end(model), None
        if self._front_end is not None:
            self._hook = self._front_end.register_forward_hook(self._keep_fusion)

    def _match_classes(self, names: Any) -> None:
        """Judge the classes of the data set, matched by name, such as three of a COCO detector's 80."""
        known = self.data["names"]
        if self.args.single_cls:  # all are one, whatever they are called
            return
        self._order = class_order(names, known)
        if self._order is None:
            return
        LOGGER.info(describe_order(self._order, names, known))
        self._known = len(names)
        self.names, self.nc, self.metrics.names = known, len(known), known
        self.class_map = list(range(1, len(known) + 1))
        self.confusion_matrix = ConfusionMatrix(names=known, save_matches=self.args.plots and self.args.visualize)

    def postprocess(self, preds: Any) -> list[dict[str, Tensor]]:
        """Run NMS over the classes of the data set only."""
        if self._order is None:
            return super().postprocess(preds)
        if self.end2end:
            return renumber_classes(super().postprocess(preds), self._order)
        return super().postprocess(self._judged(preds))

    def _judged(self, preds: Any) -> Any:
        """Return raw predictions with the classes of the data set; other columns stay as they are."""
        if isinstance(preds, (list, tuple)):
            return self._judged(preds[0]), *preds[1:]
        return select_classes(preds, self._order or (), self._known)

    def _keep_fusion(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        self._fusion = output

    def update_metrics(self, preds: list[dict[str, Tensor]], batch: dict[str, Any]) -> None:
        """Record detections and fusion of each pair, and the detections under disturbances if they are requested."""
        super().update_metrics(preds, batch)
        if self.training:
            return
        fusion = None if self.off or self._front_end is None else self._fusion_of(batch["img"])
        records, areas = [], []
        for i, pred in enumerate(preds):
            target = self._prepare_batch(i, batch)
            areas.append(content_area(target))
            record = record_pair(pred, target, self._conditions.of(target["im_file"]))
            record.shown_in = self._cameras_of(target, batch["lines"][i])
            if fusion is not None:
                measure_fusion(record, batch["img"][i], fusion, i, target, self.quality)
            records.append(record)
        self._find(AS_IS, preds, batch, records)

        def find(name: str, pairs: Tensor) -> None:
            self._find(name, self.postprocess(self._model(pairs)), batch, records)

        for name, pairs in disturbances(batch["img"]):
            if self.curves or (self.corruptions and self.beside and name in PLANES):
                find(name, pairs)
        if self.corruptions:
            given = batch["img"], records, areas, find, self._front_end, self._weights_of
            find_spoilt(*given, strengths=self.strengths, beside=self.beside)
        self._fusion = fusion
        self._records += records

    def _cameras_of(self, target: dict[str, Any], lines: np.ndarray) -> list[str] | None:
        """Return the camera that shows each labelled object of a pair; None if nobody has said it.

        Args:
            target: The host's labels of the pair.
            lines: Of each object in the label file; masks are in the order of their areas.
        """
        label, classes = self.dataloader.dataset.split.label_of(target["im_file"]), np.empty(len(lines), object)
        if not self.args.single_cls:
            classes[lines] = target["cls"].int().tolist()
        only = None if self.args.classes is None else [*several(self.args.classes)]
        cameras = self._shown_in.of(label, classes.tolist(), only)
        return cameras and [cameras[line] for line in lines]

    def _find(
        self, name: str, preds: list[dict[str, Tensor]], batch: dict[str, Any], records: list[PairRecord]
    ) -> None:
        """Add the matches between the detections and labels of a batch to its records."""
        for i, (pred, record) in enumerate(zip(preds, records, strict=True)):
            pred, target = self._prepare_pred(pred), self._prepare_batch(i, batch)
            scores, classes = (pred[key].float().cpu().numpy() for key in ("conf", "cls"))
            found: Image = {"conf": scores, "pred_cls": classes, "target_cls": target["cls"].cpu().numpy()}
            record.found[name] = {**found, **self._process_batch(pred, target)}

    def gather_stats(self) -> None:
        """Gather the records of all processes too."""
        super().gather_stats()
        self._records = gather_list(self._records)

    def get_stats(self) -> dict[str, Any]:
        """Compute the report, and return the host's figures."""
        if not self.training and self._records:
            self.metrics.report = ValidationReport.of(self._records, self.names, self._conditions.rule)
        return super().get_stats()

    def finalize_metrics(self) -> None:
        """Write the report into the run's folder: val.json, val.csv and, with plots, val.html."""
        super().finalize_metrics()
        report = self.metrics.report
        if report is None:
            return
        report.write_json(self.save_dir / "val.json", **self._settings(), speed_ms=self.speed)
        report.write_csv(self.save_dir / "val.csv")
        if self.args.plots:
            plots = [plot_weights(report, self.save_dir / "weights.png")] if report.histogram else []
            plots += [plot_curves(report, key, self.save_dir / f"{key}.png") for key in report.curves]
            plots += [plot_trust(report, self.save_dir / "corruptions.png")] if report.trust else []
            if report.trust and report.histogram:
                plots += [plot_spoilt_weights(report, self.save_dir / "spoilt_weights.png")]
            for plot in plots:
                self.on_plot(plot)
            misses = picture_misses(self._records, self._read, self._front_end, self.names)
            missed = sum(int(record.missed.sum()) for record in self._records)
            file = self.save_dir / "val.html"
            write_page(file, report, misses, plots, missed=missed, settings=self._settings(), speed=self.speed)
        self._records = []

    def _settings(self) -> dict[str, Any]:
        """Return the settings of this validation, for the report."""
        cameras = f"{self.off} camera off" if self.off else "both cameras"
        return {
            "model": self._name,
            "data": str(self.args.data),
            "split": self.args.split,
            "imgsz": self.args.imgsz,
            "cameras": cameras,
        }

    def print_results(self) -> None:
        """Print our figures below the host's."""
        super().print_results()
        if self.metrics.report is not None:
            lines = self.metrics.report.lines(self.args.verbose and self.nc > 1)
            file = self.save_dir / ("val.html" if self.args.plots else "val.json")
            LOGGER.info("\n".join(["", *lines]))
            info_once("\n".join(self.metrics.report.legend))
            LOGGER.info(f"Report: {file}")

    # Fused images ----------------------------------------------------------------------------------------------------
    def _fusion_of(self, pair: Tensor) -> Any:
        """Return the front-end's output for a batch (B, 4, H, W); it runs again if its last output does not fit."""
        if self._fusion is None or [4 * side for side in self._fusion.weights.shape[-2:]] != [*pair.shape[-2:]]:
            weight = next(self._front_end.parameters(), pair)  # a fixed rule has no parameters
            self._fusion = self._front_end(pair.to(weight))
        return self._fusion

    def _weights_of(self, pair: Tensor) -> np.ndarray:
        """Return the weights of both cameras (B, 2, H / 4, W / 4) for the batch (B, 4, H, W) looked at last."""
        weights: np.ndarray = self._fusion_of(pair).weights.float().cpu().numpy()
        return weights

    def _read(self, file: str) -> Tensor:
        """Return the pair (1, 4, H, W) of a visible image as the network's input, [0, 1]."""
        dataset = self.dataloader.dataset
        pair = dataset[dataset.im_files.index(file)]["img"][None]
        weight = next(self._front_end.parameters(), torch.zeros(())) if self._front_end is not None else torch.zeros(())
        return pair.to(self.device, weight.dtype) / 255

    def plot_val_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Draw the labels on fused images."""
        super().plot_val_samples(self._shown(batch), ni)

    def plot_predictions(
        self, batch: dict[str, Any], preds: list[dict[str, Tensor]], ni: int, max_det: int | None = None
    ) -> None:
        """Draw the predictions on fused images."""
        super().plot_predictions(self._shown(batch), preds, ni, max_det)

    def _shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch with fused images, or unchanged for exports, which do not output them."""
        if self._front_end is None:
            return batch
        return {**batch, "img": self._fusion_of(batch["img"]).fused}
