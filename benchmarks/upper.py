"""How much is there to get from two cameras? What would be found if labels chose the better camera for every box.

Of every labelled box the detection of either camera counts that has the higher score; what is no labelled box counts
only where the detectors of both cameras see one. It reads the detectors of the rows "visible" and "infrared" that
`accuracy.py` has trained, and looks at the pairs that they were not trained with.

    python benchmarks/upper.py --runs runs/accuracy --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from results import RESULTS, figure, save
from torch import Tensor
from torchvision.ops import box_iou
from trained import Views, draw, estimate
from training import last

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.rows import BOTH
from metafusion_yolo.compare.runs import Run
from metafusion_yolo.compare.training import Recorder, evaluate, host_arguments, link_fold, load_last
from metafusion_yolo.data.description import describe
from metafusion_yolo.evaluation.precision import Image
from metafusion_yolo.support.files import original

SAME = 0.5  # IoU from which two boxes are of one object, as in mAP50


class Boxes(NamedTuple):
    """Boxes of one class in an image: corners (N, 4), pixels, and scores (N,), by descending score."""

    corners: Tensor
    scores: Tensor


class BoxRecorder(Recorder):
    """Keeps all boxes of every image: those found, and those labelled, whose score is 1."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.found: list[dict[int, Boxes]] = []
        self.labelled: list[dict[int, Boxes]] = []

    def update_metrics(self, preds: list[dict[str, Tensor]], batch: dict[str, Any]) -> None:
        """Keep the boxes in pixels of the network's input."""
        super().update_metrics(preds, batch)
        for i, pred in enumerate(preds):
            true = self._prepare_batch(i, batch)
            self.found.append(by_class(pred["bboxes"], pred["conf"], pred["cls"]))
            self.labelled.append(by_class(true["bboxes"], torch.ones(len(true["cls"])), true["cls"]))


def by_class(corners: Tensor, scores: Tensor, classes: Tensor) -> dict[int, Boxes]:
    """Return the boxes of an image by their class."""
    order = scores.argsort(descending=True, stable=True)
    corners, scores, classes = corners[order], scores[order], classes[order]
    return {int(c): Boxes(corners[classes == c], scores[classes == c]) for c in classes.unique()}


def main() -> None:
    """Look through either camera, choose, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="folder of the results of accuracy.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--single", action="store_true", help="every pair is a scene of its own, as synthetic ones are")
    parser.add_argument("--json", type=Path, default=RESULTS / "upper.json")
    args = parser.parse_args()
    out = args.runs.resolve()
    setting = Setting(**json.loads((out / "setting.json").read_text()))
    names = {c: n for c, n in describe(setting.data)["names"].items() if c in setting.classes}
    found: Views = {}
    for seed in args.seeds:
        for fold in range(max(setting.folds, 1)):
            for file, ways in look(setting, fold, seed, str(out)).items():
                for way, image in ways.items():
                    found.setdefault(way, {}).setdefault(file, []).append(image)
    drawn = draw(found, {way: way for way in found}, names, args.resamples, args.single)
    table = {way: {"mAP50": estimate(values)} for way, values in drawn.items()}
    print(*(f"{way}: {figure(cells['mAP50'], 1)}" for way, cells in table.items()), sep="\n")
    scenes = "pairs" if args.single else "blocks of neighbouring frames"
    save(args.json, table, f"95 % interval, bootstrap over {scenes}", first="the detector")


def look(setting: Setting, fold: int, seed: int, out: str) -> dict[str, dict[str, Image]]:
    """Return for every image of a fold what either camera finds, and what the labels would choose."""
    seen = {}
    for camera in ("visible", "infrared"):
        run = Run(camera, fold, seed, out)
        files = run.folder / "data"
        data = link_fold(setting, fold, files)
        judge = evaluate(load_last(last(run)), host_arguments(setting, run.folder, data), BOTH, BoxRecorder)
        images = zip(judge.recorded.values(), judge.found, judge.labelled, strict=True)
        seen[camera] = {original(files, file): image for file, image in zip(judge.recorded, images, strict=True)}
    result = {}
    for file, (visible, found, labelled) in seen["visible"].items():
        infrared, others, _ = seen["infrared"][file]
        both = choose(found, others, labelled)
        ways = {"visible": visible, "infrared": infrared, "the better camera for every box": both}
        result[file] = {way: {key: np.array(values) for key, values in image.items()} for way, image in ways.items()}
    return result


def choose(visible: dict[int, Boxes], infrared: dict[int, Boxes], labelled: dict[int, Boxes]) -> dict[str, list[Any]]:
    """Return the image as it would be judged if the labels chose the better camera for every box."""
    rows, targets = [], []
    nothing = Boxes(torch.zeros(0, 4), torch.zeros(0))
    for c in {*visible, *infrared, *labelled}:
        true = labelled.get(c, nothing).corners
        sides = [hits(boxes.get(c, nothing), true) for boxes in (visible, infrared)]
        rows += [(True, score, c) for score in torch.maximum(sides[0][0], sides[1][0]).tolist() if score > 0]
        rows += [(False, score, c) for score in agreed(sides[0][1], sides[1][1])]
        targets += [c] * len(true)
    return {
        "tp": [[right] * 10 for right, _, _ in rows] or np.zeros((0, 10), bool),
        "conf": [score for _, score, _ in rows],
        "pred_cls": [c for _, _, c in rows],
        "target_cls": targets,
    }


def hits(found: Boxes, true: Tensor) -> tuple[Tensor, Boxes]:
    """Return for each labelled box the score of its detection, 0 without one, and the detections that hit none."""
    scores, rest = torch.zeros(len(true)), []
    overlaps = box_iou(found.corners, true)
    for i, score in enumerate(found.scores):
        free = overlaps[i] * (scores == 0)
        if len(true) and free.max() >= SAME:
            scores[free.argmax()] = score
        else:
            rest.append(i)
    return scores, Boxes(found.corners[rest], found.scores[rest])


def agreed(one: Boxes, other: Boxes) -> list[float]:
    """Return the scores of detections that both cameras have, the lower score of the two."""
    overlaps, scores = box_iou(one.corners, other.corners), []
    for i, score in enumerate(one.scores):
        if len(other.scores) and overlaps[i].max() >= SAME:
            j = overlaps[i].argmax()
            scores.append(float(torch.minimum(score, other.scores[j])))
            overlaps[:, j] = 0
    return scores


if __name__ == "__main__":
    main()
