"""Prediction by an ensemble of views of a pair: the fused image and each camera alone, as they are and mirrored.

A detector behind our front-end sees one camera alone where the other is blank, so one model gives all views. The boxes
of the views are joined by weighted boxes fusion, which averages what they agree on instead of keeping the best box.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils.metrics import batch_probiou, box_iou

from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.evaluation.robustness import alone
from metafusion_yolo.options import MODALITIES
from metafusion_yolo.support.errors import MissingPackageError, UserTypeError

SAME = 0.55  # IoU from which boxes of one class in two views are one object; the default of ensemble-boxes
BOTH, VISIBLE, INFRARED = MODALITIES


@dataclass(frozen=True)
class View:
    """One way to look at a pair.

    Attributes:
        camera: The camera that is on: "both", "visible" or "infrared".
        mirrored: Whether left and right are exchanged.
    """

    camera: str
    mirrored: bool

    def of(self, pairs: Tensor) -> Tensor:
        """Return a batch of pairs (B, 4, H, W) as this view shows it."""
        pairs = pairs if self.camera == BOTH else alone(pairs, self.camera)
        return pairs.flip(3) if self.mirrored else pairs

    def back(self, boxes: Tensor, width: int) -> Tensor:
        """Return boxes (K, 6) found in this view, x1, y1, x2, y2, score, class, in the coordinates of the pair."""
        if self.mirrored:
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        return boxes


VIEWS = tuple(View(camera, mirrored) for camera in (BOTH, VISIBLE, INFRARED) for mirrored in (False, True))


class EnsemblePredictor(FusionDetectionPredictor):
    """Detect in every view, and join the boxes of all.

    Attributes:
        views: The views; the first is that of the pair as it is.
        least: Lowest score of the boxes of a view that take part.
    """

    views: tuple[View, ...] = VIEWS
    least = 0.05

    def setup_model(self, model: Any, verbose: bool = True) -> None:
        """Check that the package that joins boxes is installed, before anything slow starts.

        Raises:
            MissingPackageError: If it is not installed.
            TypeError: If the model finds more than boxes along the axes of the image.
        """
        if self.args.task != "detect":
            raise UserTypeError(f"the views are joined as boxes, and this model is for the task '{self.args.task}'")
        if find_spec("ensemble_boxes") is None:
            raise MissingPackageError(
                "labelling needs the package 'ensemble-boxes', which is not installed: pip install ensemble-boxes"
            )
        super().setup_model(model, verbose)

    def inference(self, im: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Keep what is found in each view, and the fusion of the pair as it is."""
        self._conf, self.args.conf = self.args.conf, min(self.least, self.args.conf)
        try:
            preds = super().inference(im, *args, **kwargs)
            fusion = self._fusion
            self._found = []
            for view in self.views:
                found = self._boxes(self._first(self.model(view.of(im))))
                self._found.append([view.back(boxes[:, :6], im.shape[3]) for boxes in found])
            self._fusion = fusion
        finally:
            self.args.conf = self._conf
        return preds

    def construct_results(
        self, preds: list[Tensor], img: Tensor, orig_imgs: list[np.ndarray], **kwargs: Any
    ) -> list[FusionResults]:
        """Replace the boxes by the joined ones, and note which camera shows each."""
        height, width = img.shape[2:]
        shows = []
        for i, pred in enumerate(preds):
            by_view = {view: boxes[i] for view, boxes in zip(self.views, self._found, strict=True)}
            joined = join([*by_view.values()], height, width)
            joined = joined[joined[:, 4] >= self.args.conf][: self.args.max_det]
            shows.append(shown_in(joined, by_view, self.args.conf))
            preds[i] = joined.to(pred)
        results = super().construct_results(preds, img, orig_imgs, **kwargs)
        for result, cameras in zip(results, shows, strict=True):
            result.shows_in = cameras
        return results


class SurestViewPredictor(FusionDetectionPredictor):
    """Detect in the fused image and in each camera alone, and keep each object from the view with the best score.

    Masks, keypoints and oriented boxes have no mean, so nothing is averaged. Mixed in before the predictor of a task.
    """

    views = tuple(view for view in VIEWS if not view.mirrored)

    def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **kwargs: Any) -> list[FusionResults]:
        """Return what any view finds in each pair, once per object, with the camera that shows it."""
        own, fusion = super().postprocess(preds, img, orig_imgs, **kwargs), self._fusion
        found = {self.views[0]: own}
        for view in self.views[1:]:
            seen = self._first(self.model(view.of(img)))
            found[view] = super().postprocess(seen, img, orig_imgs, **kwargs)
        self._fusion = fusion
        for i, result in enumerate(own):
            by_view = {view: results[i] for view, results in found.items()}
            boxes = {view: _rows(one.found) for view, one in by_view.items()}
            kept = surest([one.found for one in by_view.values()])
            for key in result._keys:
                parts = [getattr(one, key) for one in by_view.values() if getattr(one, key) is not None]
                if parts:
                    data = torch.cat([torch.as_tensor(part.data).to(parts[0].data) for part in parts])[kept]
                    setattr(result, key, type(parts[0])(data, result.orig_shape))
            result.shows_in = shown_in(_rows(result.found), boxes, self.args.conf)
        return own


def _rows(found: Any) -> Tensor:
    """Return boxes or oriented boxes as (K, 6): x1, y1, x2, y2, score, class."""
    return torch.cat((found.xyxy, found.conf[:, None], found.cls[:, None]), 1).cpu().float()


def surest(views: list[Any], same: float = SAME) -> Tensor:
    """Return the objects of several views that no better-scored object of their class overlaps.

    Args:
        views: The host's boxes or oriented boxes of each view.
        same: Overlap from which two are one object.

    Returns:
        Their indices, the surest first.
    """
    rows = torch.cat([_rows(found) for found in views])
    order = rows[:, 4].argsort(descending=True, stable=True)
    if hasattr(views[0], "xywhr"):
        turned = torch.cat([found.xywhr.cpu().float() for found in views])[order]
        overlap = batch_probiou(turned, turned)
    else:
        overlap = box_iou(rows[order, :4], rows[order, :4])
    classes = rows[order, 5]
    double = ((overlap >= same) & (classes[:, None] == classes[None])).triu(1).any(0)
    return order[~double]


def join(views: list[Tensor], height: int, width: int, same: float = SAME) -> Tensor:
    """Join the boxes of several views of an image.

    A joined box is the mean of the boxes that overlap, weighted by their scores; its score is their mean, less the
    share of the views that found nothing there.

    Args:
        views: Boxes (K, 6) of each view, in pixels: x1, y1, x2, y2, score, class.
        height: Of the image, pixels.
        width: Of the image, pixels.
        same: IoU from which boxes are one object.

    Returns:
        (at most the sum of all K, 6), by descending score.

    Source:
        R. Solovyev et al., "Weighted boxes fusion: Ensembling boxes from different object detection models", Image and
        Vision Computing, 2021; computed by its authors' package.
    """
    from ensemble_boxes import weighted_boxes_fusion  # compiles parts of itself: not before it is needed

    size = torch.tensor([width, height, width, height])
    arrays = [view.cpu().double() for view in views]
    boxes, scores, classes = weighted_boxes_fusion(
        [(array[:, :4] / size).clamp(0, 1).numpy() for array in arrays],
        [array[:, 4].numpy() for array in arrays],
        [array[:, 5].numpy() for array in arrays],
        iou_thr=same,
    )
    joined = np.column_stack((np.reshape(boxes, (-1, 4)) * size.numpy(), scores, classes))
    return torch.from_numpy(joined).float()


def shown_in(joined: Tensor, views: dict[View, Tensor], least: float) -> list[str]:
    """Return for each box the camera that shows its object: "visible", "infrared" or "both".

    A camera shows it if a view of that camera alone has a box of its class there, with a score of at least `least`, or
    else if its box there has the higher score. An object that neither shows alone needs both.

    Args:
        joined: (K, 6): x1, y1, x2, y2, score, class.
        views: Boxes of each view, of the same form.
        least: Score from which a box counts.
    """
    best = torch.stack([_best(joined, views, camera) for camera in (VISIBLE, INFRARED)], 1)  # (K, 2)
    shows = best >= least
    alone = ~shows.any(1, keepdim=True) & (best > best.flip(1))
    return [
        VISIBLE if visible and not infrared else INFRARED if infrared and not visible else BOTH
        for visible, infrared in (shows | alone).tolist()
    ]


def _best(joined: Tensor, views: dict[View, Tensor], camera: str) -> Tensor:
    """Return the highest score (K,) of a camera's own boxes that overlap each joined box, 0 where none does."""
    own = [boxes.cpu().float() for view, boxes in views.items() if view.camera == camera and len(boxes)]
    if not own or not len(joined):
        return torch.zeros(len(joined))
    found = torch.cat(own)
    fits = (box_iou(joined[:, :4], found[:, :4]) >= SAME) & (joined[:, None, 5] == found[None, :, 5])
    return (fits * found[:, 4]).amax(1)
