"""One run of a comparison: link a fold, train a row on it, and evaluate the last checkpoint image by image.

The best checkpoint would have been chosen on the same images that judge it, so the last one counts.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from ultralytics.nn.tasks import load_checkpoint

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.early import EarlyFusionTrainer
from metafusion_yolo.compare.folds import folds_of
from metafusion_yolo.compare.rows import Row
from metafusion_yolo.config import merged
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.listing import as_written, split_images
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import Split, find_pairs
from metafusion_yolo.engine._host import quiet_start
from metafusion_yolo.engine.checkpoints import load_fusion_checkpoint
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.train.universal import UniversalFusionTrainer
from metafusion_yolo.engine.validate.measure import upright
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from metafusion_yolo.evaluation.precision import Image
from metafusion_yolo.evaluation.robustness import AS_IS
from metafusion_yolo.nn.model_yaml import read_own
from metafusion_yolo.nn.tasks import task_of
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import below, link_below
from metafusion_yolo.support.resources import split_scale
from metafusion_yolo.support.sampling import evenly

TRAINERS: Mapping[str, type[FusionDetectionTrainer]] = {"": FusionDetectionTrainer, "early": EarlyFusionTrainer}
SHOWN = 0.25  # lowest score of a box that is drawn
EVALUATED = "conf", "pred_cls", "target_cls"
MATCHES = {"detect": "tp", "segment": "tp_m", "pose": "tp_p", "obb": "tp"}  # of the host, by which a task is judged


class Recorder(FusionDetectionValidator):
    """Keep the matches of every image by its path, and the boxes with a score of at least `SHOWN`.

    The matches are those of the task, of masks, say. It is mixed in before the validator of the task.

    Attributes:
        recorded: What was found, by image.
        spoilt: What was found with one camera spoilt, by corruption and image, if `corruptions` are requested.
    """

    strengths = (2,)
    beside = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recorded: dict[str, dict[str, Any]] = {}
        self.spoilt: dict[str, dict[str, dict[str, Any]]] = {}
        self._boxes: list[list[list[float]]] = []

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        """Keep the boxes in pixels of the visible image, x y x y, with score and class."""
        super().update_metrics(preds, batch)
        for i, pred in enumerate(preds):
            found = self.scale_preds(self._prepare_pred(pred), self._prepare_batch(i, batch))
            rows = torch.cat((upright(found["bboxes"]), found["conf"][:, None], found["cls"][:, None].float()), 1)
            self._boxes.append([[round(float(v), 2) for v in row] for row in rows[rows[:, 4] >= SHOWN]])

    def get_stats(self) -> dict[str, Any]:
        """Keep the matches before the host pools and clears them."""
        for i, file in enumerate(self.dataloader.dataset.im_files):
            found = {key: self.metrics.stats[key][i] for key in EVALUATED}
            found["tp"] = self.metrics.stats[MATCHES[self.args.task]][i]
            self.recorded[file] = {**as_lists(found), "boxes": self._boxes[i]}
        for record in self._records:
            for view, found in record.found.items():
                if view != AS_IS:
                    judged = {**found, "tp": found[MATCHES[self.args.task]]}
                    self.spoilt.setdefault(view, {})[record.file] = as_lists(judged)
        return super().get_stats()


def as_lists(image: Image) -> dict[str, Any]:
    """Return the evaluation of an image ready for JSON."""
    return {
        "tp": image["tp"].astype(int).tolist(),
        "conf": [round(float(c), 5) for c in image["conf"]],
        "pred_cls": [int(c) for c in image["pred_cls"]],
        "target_cls": [int(c) for c in image["target_cls"]],
    }


def train_row(
    setting: Setting, row: Row, seed: int, folder: Path, data: Path, trainer: type[FusionDetectionTrainer], **extra: Any
) -> Path:
    """Train a row and return its last checkpoint.

    Args:
        setting: The setting that all rows share.
        row: The row to train.
        seed: Seed of the training.
        folder: Folder of the run.
        data: The data-set YAML of the fold.
        trainer: The trainer class.
        **extra: Additional arguments of the host.
    """
    file = folder / (row.model or Path(setting.model).name)
    file.write_text(yaml.safe_dump(model_yaml(row.model or setting.model, row.fusion)))
    args = {
        **host_arguments(setting, folder, data),
        "model": str(file),
        "pretrained": setting.pretrained or False,
        "epochs": setting.epochs,
        "nbs": setting.nbs or setting.batch,
        "seed": seed,
        "val": False,
        "cache": "ram",
        "verbose": False,
        **optimizer(setting.lr0),
        **extra,
    }
    if row.universal:
        args["pretrained"] = str(_train(UniversalFusionTrainer, {**args, "name": "universal"}, setting.bfloat16))
    return _train(trainer, {**args, "name": "train"}, setting.bfloat16)


def keep_untrained(setting: Setting, folder: Path) -> Path:
    """Save the checkpoint that all rows start from as if it were the last one of a training; return the file."""
    model, _ = load_fusion_checkpoint(setting.pretrained)
    file = folder / "train" / "weights" / "last.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "train_args": dict(model.args), "epoch": -1, "optimizer": None}, file)
    return file


def _train(trainer: type[FusionDetectionTrainer], args: dict[str, Any], bfloat16: bool) -> Path:
    with quiet_start():
        training = trainer(overrides=args)
        if bfloat16:
            training.add_callback("on_train_start", in_bfloat16)
        training.train()
    return Path(args["project"]) / args["name"] / "weights" / "last.pt"


def host_arguments(setting: Setting, folder: Path, data: Path) -> dict[str, Any]:
    """Return the host's arguments that training and evaluation share."""
    return {
        "data": str(data),
        "imgsz": setting.imgsz,
        "batch": setting.batch,
        "device": setting.device,
        "workers": 0,
        "plots": False,
        "project": str(folder),
        "exist_ok": True,
    }


def optimizer(lr0: float | None) -> dict[str, Any]:
    """Return the arguments of AdamW, the host's choice for short trainings, at rate `lr0`; without a rate, none."""
    return {"optimizer": "AdamW", "lr0": lr0, "momentum": 0.9, "warmup_bias_lr": 0.0} if lr0 else {}


def in_bfloat16(trainer: Any) -> None:
    """Train in bfloat16 and channels-last, as `amp` does on a GPU; some CPUs then take half the time."""
    model = trainer.model.to(memory_format=torch.channels_last)
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)


def evaluate(
    model: nn.Module, host: dict[str, Any], modalities: str, recorder: type[Recorder] = Recorder, **kwargs: Any
) -> Recorder:
    """Validate, and return the validator with what was found in every image."""
    task = task_of(model)
    args = {**host, "name": "val", "rect": True, "mode": "val", "task": task}
    judge = type(recorder.__name__, (recorder, TASKS[task]["validator"]), {})
    validator: Recorder = judge(args=args, modalities=modalities, metrics="none", **kwargs)
    validator(model=model)
    return validator


def load_last(checkpoint: Path) -> nn.Module:
    """Load a checkpoint for evaluation."""
    return load_checkpoint(str(checkpoint))[0]


def model_yaml(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shipped model YAML with changes to its `fusion:` section."""
    shipped = read_own(name)[1]
    scale = split_scale(Path(name).name)[1]
    return {**shipped, **({"scale": scale} if scale else {}), "fusion": merged(shipped.get("fusion") or {}, changes)}


def pairs_of(setting: Setting, fold: int) -> tuple[dict[str, Any], Rig, dict[str, dict[str, str]]]:
    """Return the description of a data set, its cameras, and the pairs of a fold by split, infrared by visible file.

    Raises:
        PairError: If a pair is incomplete.
        ValueError: If a split is missing, or there are fewer blocks of pairs than folds.
    """
    data = describe(setting.data)
    rig = Rig.from_yaml(data, setting.data)
    splits = {split: [Path(f).absolute() for f in images_in(data, split)] for split in ("train", "val")}
    whole = all_pairs(data, rig)
    if setting.folds:
        classes = setting.classes or sorted(data["names"])
        label_of, shape = whole.label_of, data.get("kpt_shape")
        folds = folds_of([*{*splits["train"], *splits["val"]}], setting.folds, classes, label_of, kpt_shape=shape)
        if not all(folds):
            raise UserValueError(
                f"'{setting.data}' has too few blocks of neighbouring frames for folds={setting.folds}; give fewer, "
                f"or 0 for its own split"
            )
        splits = {"train": [p for i, f in enumerate(folds) if i != fold for p in f], "val": folds[fold]}
    chosen = {}
    for split, images in splits.items():
        files = [str(p) for p in images if str(p) in whole.partners]
        chosen[split] = {file: whole.partners[file] for file in evenly(files, setting.pairs or len(files))}
    return data, rig, chosen


def all_pairs(data: dict[str, Any], rig: Rig) -> Split:
    """Return the pairs that a comparison may train or test with, by absolute paths.

    Raises:
        PairError: If a pair is incomplete.
    """
    sources = [as_written(data[split], data) for split in ("train", "val")]
    entries = [str(Path(e).absolute()) for part in sources for e in (part if isinstance(part, list) else [part])]
    return find_pairs(entries, rig).complete(str(data["yaml_file"]))


def link_fold(setting: Setting, fold: int, folder: Path) -> Path:
    """Link the pairs of a fold into a folder where the host can write its caches; return the YAML of the fold.

    The links repeat the absolute paths of their files below `folder`, so that pairing rule, registration and labels
    still apply. Raises the errors of :func:`pairs_of`.
    """
    data, rig, splits = pairs_of(setting, fold)
    whole = all_pairs(data, rig)
    ending = "txt" if rig.layout else "csv"
    for split, pairs in splits.items():
        rows = []
        for file, partner in pairs.items():
            kept = [Path(path) for path in (file, partner, whole.label_of(file)) if path]
            for path in kept:
                link_below(folder, path)
            rows.append([str(below(folder, path)) for path in kept[: 1 if rig.layout else 3]])
        with (folder / f"{split}.{ending}").open("w", encoding="utf-8", newline="") as listing:
            csv.writer(listing).writerows(rows)
    names = {"path": str(folder), "train": f"train.{ending}", "val": f"val.{ending}", "names": data["names"]}
    names |= {key: data[key] for key in ("kpt_shape", "flip_idx", "kpt_names") if key in data}
    (folder / "pairs.yaml").write_text(yaml.safe_dump({**names, **rig.to_yaml()}), encoding="utf-8")
    return folder / "pairs.yaml"


def images_in(data: dict[str, Any], split: str) -> list[str]:
    """Return the visible images of a split, sorted, with paths as written in the YAML.

    Raises:
        ValueError: If the data set does not have the split.
    """
    if not data.get(split):
        raise UserValueError(f"the data set has no '{split}:'; a comparison trains on 'train:' and tests on 'val:'")
    return split_images(data, split)
