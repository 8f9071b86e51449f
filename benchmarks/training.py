"""One run of the accuracy table: links a fold, trains a row on it, and evaluates the last checkpoint image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from baselines import EarlyFusionTrainer, LateFusionModel, MidFusionTrainer
from folds import folds_of
from rows import ROWS
from torch import nn
from torch.nn import functional as F
from ultralytics.data.utils import check_det_dataset
from ultralytics.nn.tasks import load_checkpoint

from metafusion_yolo.data.pairs import expected_by_rule, find_partners, parse_rule
from metafusion_yolo.engine.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.validator import FusionDetectionValidator
from metafusion_yolo.resources import find_data_yaml, find_model_yaml

TRAINERS = {"": FusionDetectionTrainer, "early": EarlyFusionTrainer, "mid": MidFusionTrainer}
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


class Recorder(FusionDetectionValidator):
    """Keeps the matches of every image, and shifts the infrared image if asked.

    Args:
        shift: Pixels of the network's input by which the infrared image lies further right.
    """

    def __init__(self, *args: Any, shift: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shift = shift
        self.recorded: dict[str, dict[str, Any]] = {}

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Shift, with the border repeated."""
        batch = super().preprocess(batch)
        if self.shift:
            infrared = batch["img"][:, 3:]
            batch["img"][:, 3:] = F.pad(infrared, (self.shift, 0, 0, 0), mode="replicate")[..., : -self.shift]
        return batch

    def get_stats(self) -> dict[str, Any]:
        """Keep the matches before the host pools and forgets them."""
        names = [Path(file).stem for file in self.dataloader.dataset.im_files]
        keys = ("tp", "conf", "pred_cls", "target_cls")
        for i, name in enumerate(names):
            image = {key: self.metrics.stats[key][i] for key in keys}
            self.recorded[name] = {
                "tp": image["tp"].astype(int).tolist(),
                "conf": [round(float(c), 5) for c in image["conf"]],
                "pred_cls": [int(c) for c in image["pred_cls"]],
                "target_cls": [int(c) for c in image["target_cls"]],
            }
        return super().get_stats()


def train_and_evaluate(setting: Any, run: Any) -> dict[str, Any]:
    """Do one run and return for each view the matches by image name."""
    row = ROWS[run.row]
    folder = Path(run.out) / "runs" / run.file.stem
    data = link_fold(setting, run.fold, folder / "data")
    host = {
        "data": str(data),
        "imgsz": setting.imgsz,
        "batch": setting.batch,
        "device": setting.device,
        "workers": 0,
        "plots": False,
        "project": str(folder),
        "exist_ok": True,
    }
    needed = [last(folder.with_name(run.file.stem.replace(run.row, name, 1))) for name in row.needs]
    if row.baseline == "late":
        model: nn.Module = LateFusionModel(*(load_checkpoint(file)[0] for file in needed))
    else:
        (folder / "metafusion-yolov8n.yaml").write_text(yaml.safe_dump(model_yaml(row.model, row.fusion)))
        args = {
            **host,
            "model": str(folder / "metafusion-yolov8n.yaml"),
            "pretrained": setting.pretrained,
            "epochs": setting.epochs,
            "nbs": setting.nbs,
            "seed": run.seed,
            "val": False,
            "cache": "ram",
            "name": "train",
            **optimizer(setting.lr0),
            **({"distill_model": needed[0]} if needed else {}),
        }
        trainer = TRAINERS[row.baseline](overrides=args)
        if setting.bfloat16:
            trainer.add_callback("on_train_start", in_bfloat16)
        trainer.train()
        model = load_checkpoint(last(folder))[0]
    return {view: evaluate(model, host, view) for view in row.views}


def optimizer(lr0: float | None) -> dict[str, Any]:
    """Return the host's automatic optimizer of a short training at another learning rate, or leave all to the host."""
    return {"optimizer": "AdamW", "lr0": lr0, "momentum": 0.9, "warmup_bias_lr": 0.0} if lr0 else {}


def in_bfloat16(trainer: Any) -> None:
    """Convolve in bfloat16 and channels last, as the host does on a GPU by `amp`; some CPUs take half the time then."""
    model = trainer.model.to(memory_format=torch.channels_last)
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)


def last(folder: Path) -> str:
    """Return the last checkpoint of a run."""
    return str(folder / "train" / "weights" / "last.pt")


def evaluate(model: nn.Module, host: dict[str, Any], view: str) -> dict[str, Any]:
    """Return the matches by image name of one view, see :class:`rows.Row`."""
    shift = int(view.removeprefix("shift-")) if view.startswith("shift-") else 0
    validator = Recorder(
        args={**host, "name": "val", "rect": True, "mode": "val", "task": "detect"},
        modalities="both" if shift else view,
        shift=shift,
    )
    validator(model=model)
    return validator.recorded


def model_yaml(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return a shipped model YAML with changes to its `fusion:` section."""
    shipped = yaml.safe_load(find_model_yaml(name).read_text())
    return {**shipped, "fusion": merged(shipped["fusion"], changes)}


def merged(section: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a section with changes, key by key at every depth."""
    result = dict(section)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def link_fold(setting: Any, fold: int, folder: Path) -> Path:
    """Link the pairs of a fold into a data set of its own, where the host may write its caches; return its YAML."""
    data = check_det_dataset(find_data_yaml(setting.data), autodownload=False)
    splits = {split: images_in(data[split]) for split in ("train", "val")}
    if setting.folds:
        folds = folds_of(splits["train"] + splits["val"], setting.folds, setting.classes)
        splits = {"train": [p for i, f in enumerate(folds) if i != fold for p in f], "val": folds[fold]}
    rule = parse_rule(data.get("infrared"), setting.data)
    for split, images in splits.items():
        partners, problems = find_partners([str(p) for p in images], expected_by_rule(rule), False)
        if problems:
            raise SystemExit(str(problems))
        for image in images:
            partner = Path(partners[str(image)])
            label = Path(*("labels" if part == "images" else part for part in image.parts)).with_suffix(".txt")
            for kind, file in (("images", image), ("infrared", partner), ("labels", label)):
                link = folder / kind / split / (image.stem + file.suffix)
                link.parent.mkdir(parents=True, exist_ok=True)
                if file.exists() and not link.is_symlink():
                    link.symlink_to(file)
    names = {"path": str(folder), "train": "images/train", "val": "images/val", "names": data["names"]}
    (folder / "pairs.yaml").write_text(yaml.safe_dump({**names, "infrared": "infrared"}))
    return folder / "pairs.yaml"


def images_in(folder: str) -> list[Path]:
    """Return the images of a folder."""
    return sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
