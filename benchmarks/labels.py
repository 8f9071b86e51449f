"""How good are the labels of `metafusion data label`, and a detector that is trained on them alone?

Precision and recall at IoU 0.5 of single views of each pair and of their ensemble, each at the score with the highest
mean F1 on the other of two folds of whole blocks; then, with --train, mAP50 of detectors that are trained on the
ensemble's labels, on those of people, and not at all. Intervals, 95 %, resample blocks of neighbouring frames.

    python benchmarks/labels.py --data roadscene.yaml --model yolov8n.pt --out runs/labels --train
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import RESULTS, figure, save
from torchvision.ops import box_iou
from ultralytics.utils.ops import scale_boxes

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.folds import blocks_of, folds_of
from metafusion_yolo.compare.rows import COMPARED, GUIDED
from metafusion_yolo.compare.runs import Run, as_arrays, do_missing, read_results, remember
from metafusion_yolo.compare.training import evaluate, host_arguments, keep_untrained, link_fold, load_last, train_row
from metafusion_yolo.data.labels import label_file, label_rows, read_labels
from metafusion_yolo.data.listing import read_pair_rows
from metafusion_yolo.engine.predict.ensemble import EnsemblePredictor, join
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.evaluation.precision import average_precision, interval, resampled
from metafusion_yolo.labelling.machine import classes_of
from metafusion_yolo.labelling.pairs import of_yaml
from metafusion_yolo.options import Label
from metafusion_yolo.support.files import original

ROWS = {
    "visible alone": ["visible"],
    "infrared alone": ["infrared"],
    "fused alone": ["both"],
    "ensemble": ["both", "both mirrored", "visible", "visible mirrored", "infrared", "infrared mirrored"],
}
LABELLED_BY = {"untrained": "nothing", "machine": "labels of the machine", "people": "labels of people"}
TRAININGS = tuple(LABELLED_BY)
SPREAD = "95 % interval, bootstrap over blocks of neighbouring frames"
SCORES = np.arange(0.05, 0.951, 0.025)
Counts = np.ndarray  # (classes, scores, 3): boxes found and right, found, there


class Recorder(EnsemblePredictor):
    """Keep the boxes of every view, in pixels of the pair."""

    recorded: dict[str, Any] = {}  # noqa: RUF012 - the host makes the predictor

    def construct_results(self, preds: list[torch.Tensor], img: torch.Tensor, orig_imgs: list[np.ndarray]) -> Any:
        """Record the boxes of a batch."""
        for i, pair in enumerate(orig_imgs):
            rows = {}
            for view, found in zip(self.views, self._found, strict=True):
                boxes = found[i].clone()
                boxes[:, :4] = scale_boxes(img.shape[2:], boxes[:, :4], pair.shape)
                name = f"{view.camera}{' mirrored' * view.mirrored}"
                rows[name] = [[round(float(value), 4) for value in row] for row in boxes]
            self.recorded[self.batch[0][i]] = {"size": pair.shape[:2], "views": rows}
        return super().construct_results(preds, img, orig_imgs)


def record(data: str, model: str, imgsz: int, file: Path) -> dict[str, Any]:
    """Return the boxes of every view of the pairs of `train:` and `val:`, from a file if it is there."""
    if not file.is_file():
        pairs = [pair for part in of_yaml(data, ("train", "val")).pairs.values() for pair in part]
        detector = MetaFusionYOLO(model)
        wanted = sorted(classes_of(detector.names, of_yaml(data).names, None))
        source = [(pair.visible, pair.infrared) for pair in pairs]
        asked = {"imgsz": imgsz, "classes": wanted, "batch": 4, "data": data, "verbose": False}
        for _ in detector.predict(source, predictor=Recorder, stream=True, **asked):
            pass
        file.write_text(json.dumps(Recorder.recorded))
    return dict(json.loads(file.read_text()))


def joined(image: dict[str, Any], views: Sequence[str]) -> torch.Tensor:
    """Return the boxes of an image in some of its views: those of one as they are, those of several joined."""
    found = [torch.tensor(image["views"][view]).reshape(-1, 6) for view in views]
    found = [boxes[boxes[:, 4] >= EnsemblePredictor.least] for boxes in found]
    return join(found, *image["size"]) if len(found) > 1 else found[0]


def count(boxes: torch.Tensor, file: str, size: tuple[int, int], classes: dict[int, int]) -> Counts:
    """Return the counts of an image; the highest score takes its box first, so lower limits only add to them."""
    labels, (height, width) = read_labels(label_file(file)), size
    there = torch.from_numpy(labels.boxes_xyxyn * [width, height, width, height]).float()
    counts = np.zeros((len(classes), len(SCORES), 3), int)
    for k, (number, of_model) in enumerate(classes.items()):
        mine, theirs = boxes[boxes[:, 5] == of_model], there[torch.from_numpy(labels.classes == number)]
        mine = mine[mine[:, 4].argsort(descending=True)]
        overlap, right = box_iou(mine[:, :4], theirs).numpy(), np.zeros(len(mine), bool)
        for i in range(len(mine)):
            if len(theirs) and overlap[i].max() >= 0.5:
                right[i] = True
                overlap[:, overlap[i].argmax()] = -1
        found = mine[:, 4].numpy()[:, None] >= SCORES[None]
        counts[k] = np.stack((right.astype(int) @ found, found.sum(0), np.full(len(SCORES), len(theirs))), 1)
    return counts


def f1(counts: Counts) -> np.ndarray:
    """Return the F1 score of counts (..., 3)."""
    return np.asarray(2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1))


def precision_and_recall(
    views: dict[str, Any], classes: dict[int, tuple[int, str]], resamples: int, file: Path
) -> None:
    """Print the table and write it to a file."""
    files = sorted(views)
    folds = [{*map(str, fold)} for fold in folds_of([Path(file) for file in files], 2, [*classes])]
    blocks = [[files.index(str(image)) for image in block] for block in blocks_of([Path(file) for file in files])]
    numbers = {number: of_model for number, (of_model, _) in classes.items()}
    measures = [f"{name}: {share}" for _, name in classes.values() for share in ("precision", "recall")]
    found = {}
    print(f"| labels | score | {' | '.join(measures)} |")
    for row, chosen in ROWS.items():
        boxes = {file: joined(image, chosen) for file, image in views.items()}
        counts = np.stack([count(boxes[file], file, views[file]["size"], numbers) for file in files])
        best = []
        for fold in folds:
            others = counts[[i for i, file in enumerate(files) if file not in fold]].sum(0)
            best.append(int(f1(others).mean(0).argmax()))
        at = [best[next(k for k, fold in enumerate(folds) if file in fold)] for file in files]
        taken = np.stack([counts[i, :, score] for i, score in enumerate(at)])  # (images, classes, 3)
        rng = np.random.default_rng(0)
        draws = rng.integers(len(blocks), size=(resamples, len(blocks)))
        sums = np.stack([taken[[i for b in draw for i in blocks[b]]].sum(0) for draw in draws])
        cells = []
        for k in range(len(classes)):
            for share in (1, 2):
                value = 100 * taken[:, k, 0].sum() / taken[:, k, share].sum()
                low, high = interval(100 * sums[:, k, 0] / np.maximum(sums[:, k, share], 1))
                cells.append({"value": float(value), "interval": [low, high]})
        scores = ", ".join(f"{SCORES[i]:.3f}" for i in best)
        found[row] = {"score, by fold": scores, **dict(zip(measures, cells, strict=True))}
        print(f"| {row} | {scores} | {' | '.join(figure(cell, 1) for cell in cells)} |", flush=True)
    save(file, found, SPREAD, first="labels", ours=[*ROWS][-1])


def train_and_evaluate(setting: Setting, run: Run, views: dict[str, Any], classes: dict[int, str]) -> dict[str, Any]:
    """Do one training, and return what it finds in the test pairs of its fold."""
    files = run.folder / "data"
    data = link_fold(setting, run.fold, files)
    if run.row == "machine":
        for image, _, _ in read_pair_rows(files / "train.csv"):
            label, boxes = label_file(image), joined(views[original(files, image)], ROWS["ensemble"])
            boxes, (height, width) = (
                boxes[boxes[:, 4] >= Label.conf].double().numpy(),
                views[original(files, image)]["size"],
            )
            label.unlink()  # the link to that of people
            label.write_text(label_rows([classes[int(n)] for n in boxes[:, 5]], boxes[:, :4] / ([width, height] * 2)))
    if run.row == "untrained":
        checkpoint = keep_untrained(setting, run.folder)
    else:
        checkpoint = train_row(setting, COMPARED[GUIDED], run.seed, run.folder, data, FusionDetectionTrainer)
    found = evaluate(load_last(checkpoint), host_arguments(setting, run.folder, data), "both")
    return {"both": {original(files, link): image for link, image in found.recorded.items()}}


def trainings(setting: Setting, out: Path, names: dict[int, str], resamples: int, file: Path) -> None:
    """Print mAP50 of each training, and its difference to that on the labels of people, and write them to a file."""
    results = {row: read_results(out, row)["both"] for row in TRAININGS}
    files = sorted(results["people"])
    blocks = [[str(image) for image in block] for block in blocks_of([Path(file) for file in files])]
    values, draws = {}, {}
    for row, images in results.items():
        kept = [[as_arrays(image) for file in block for image in images[file]] for block in blocks]
        values[row] = average_precision([image for block in kept for image in block], names)
        draws[row] = resampled(kept, names, resamples)
    measures = [*names.values(), "mAP50"]
    found = {}
    for row in TRAININGS:
        cells = {m: {"value": float(values[row][m]), "interval": interval(draws[row][m])} for m in measures}
        gap = float(values[row]["mAP50"] - values["people"]["mAP50"])
        over = {"value": gap, "interval": interval(draws[row]["mAP50"] - draws["people"]["mAP50"])}
        found[LABELLED_BY[row]] = {**cells, "mAP50 minus people": over if row != "people" else ""}
        print(row, *(figure(cell, 1) for cell in [*cells.values(), over]), sep=" | ")
    save(file, found, SPREAD, first="trained on")


def main() -> None:
    """Record, judge and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="roadscene.yaml", help="paired data set with labels of people")
    parser.add_argument("--model", default="yolov8n.pt", help="the detector that labels, and where trainings start")
    parser.add_argument("--out", default="runs/labels", help="folder of the results")
    parser.add_argument("--classes", nargs="+", default=["person", "car"], help="classes that count, by name")
    parser.add_argument("--label-imgsz", type=int, default=Label.imgsz)
    parser.add_argument("--train", action="store_true", help="train too")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--json", type=Path, default=RESULTS / "labels.json")
    args = parser.parse_args()
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    views = record(
        args.data, args.model, args.label_imgsz, out / f"views-{Path(args.model).stem}-{args.label_imgsz}.json"
    )
    names = of_yaml(args.data).names
    of_model = {name: number for number, name in classes_of(MetaFusionYOLO(args.model).names, names, None).items()}
    chosen = {number: (of_model[name], name) for number, name in names.items() if name in args.classes}
    precision_and_recall(views, chosen, args.resamples, args.json)
    if args.train:
        setting = Setting(args.data, args.model, args.epochs, args.imgsz, 8, args.folds, tuple(chosen))
        remember(setting, out)
        runs = [
            Run(row, fold, seed, str(out)) for seed in args.seeds for fold in range(args.folds) for row in TRAININGS
        ]
        numbers = {of_model[name]: number for number, name in names.items() if name in of_model}
        work = partial(train_and_evaluate, views=views, classes=numbers)
        do_missing(setting, [runs], args.jobs, work, partial(print, flush=True))
        kept = args.json.with_stem(f"{args.json.stem}-trained")
        trainings(setting, out, {number: name for number, (_, name) in chosen.items()}, args.resamples, kept)


if __name__ == "__main__":
    main()
