"""One run of the accuracy table: a row of it trained on a fold, and looked at in every view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from late import LateFusionModel
from pseudo import with_pseudo_labels
from rows import ROWS, SELF_TRAINED
from torch import nn

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.runs import Run
from metafusion_yolo.compare.training import (
    TRAINERS,
    Recorder,
    evaluate,
    host_arguments,
    link_fold,
    load_last,
    train_row,
)
from metafusion_yolo.evaluation.robustness import shift_infrared
from metafusion_yolo.support.files import original


class ShiftedRecorder(Recorder):
    """Shifts the infrared image before it is looked at.

    Args:
        shift: Pixels of the network's input by which the infrared image lies further right.
    """

    def __init__(self, *args: Any, shift: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shift = shift

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Shift, with the border repeated."""
        batch = super().preprocess(batch)
        return {**batch, "img": shift_infrared(batch["img"], self.shift)}


def train_and_evaluate(setting: Setting, run: Run) -> dict[str, Any]:
    """Do one run and return for each view what was found, by image."""
    row = ROWS[run.row]
    files = run.folder / "data"
    data = link_fold(setting, run.fold, files)
    needed = [last(Run(name, run.fold, run.seed, run.out)) for name in row.needs]
    if row.baseline == "late":
        model: nn.Module = LateFusionModel(*map(load_last, needed))
    else:
        teacher = {}
        if run.row in SELF_TRAINED:
            data = with_pseudo_labels(setting, data, load_last(needed[0]), host_arguments(setting, run.folder, data))
        elif needed:
            teacher["distill_model"] = str(needed[0])
        model = load_last(train_row(setting, row, run.seed, run.folder, data, TRAINERS[row.baseline], **teacher))
    host = host_arguments(setting, run.folder, data)
    views = {view: look(model, host, view) for view in row.views if view != "both"}
    found = evaluate(model, host, "both", corruptions=True)
    views = {"both": found.recorded, **views, **found.spoilt}
    return {view: {original(files, link): found for link, found in images.items()} for view, images in views.items()}


def look(model: nn.Module, host: dict[str, Any], view: str) -> dict[str, Any]:
    """Return what was found in one view: cameras that are on, or "shift-n"."""
    if view.startswith("shift-"):
        return evaluate(model, host, "both", ShiftedRecorder, shift=int(view.removeprefix("shift-"))).recorded
    return evaluate(model, host, view).recorded


def last(run: Run) -> Path:
    """Return the last checkpoint of a run."""
    return run.folder / "train" / "weights" / "last.pt"
