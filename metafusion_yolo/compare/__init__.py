"""Does fusion help detection on these pairs, and which kind? `metafusion compare`."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ultralytics.utils import LOGGER

from metafusion_yolo.compare.budget import BUDGETS, Setting, cores
from metafusion_yolo.compare.page import JUDGED, write_report
from metafusion_yolo.compare.rows import BOTH, COMPARED
from metafusion_yolo.compare.runs import Run, do_missing, read_arrays, remember
from metafusion_yolo.compare.training import (
    MATCHES,
    TRAINERS,
    evaluate,
    host_arguments,
    images_in,
    keep_untrained,
    link_fold,
    load_last,
    pairs_of,
    train_row,
)
from metafusion_yolo.compare.verdict import Table, Verdict, recommend, tabulate
from metafusion_yolo.data.description import check_description, describe
from metafusion_yolo.data.layout import part_shape
from metafusion_yolo.data.reading import image_size
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import split_pairs
from metafusion_yolo.engine.arguments import check_device
from metafusion_yolo.engine.checkpoints import find_checkpoint, load_checkpoint
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.evaluation.classes import class_order
from metafusion_yolo.nn.fusion import STRIDE
from metafusion_yolo.nn.model_yaml import load_model_yaml, task_named
from metafusion_yolo.options import Compare
from metafusion_yolo.support.errors import UserError, UserValueError
from metafusion_yolo.support.files import original
from metafusion_yolo.support.resources import find_data_yaml

__all__ = ["Table", "Verdict", "run_compare"]


def run_compare(asked: Compare) -> tuple[Verdict, Path]:
    """Train and test every row of :data:`~metafusion_yolo.compare.rows.COMPARED` alike, and report which one to use.

    Each run leaves its result in `project/name`; a second call with the same setting only does the missing runs.

    Returns:
        The verdict and the path of the HTML report; compare.json lies beside it.

    Raises:
        FileNotFoundError: If the data set, the model YAML or the checkpoint does not exist.
        TypeError: If the file given as checkpoint is not one.
        PairError: If a pair is incomplete.
        ValueError: If the model has no boxes or is of another task, the folder holds results of another setting, the
            data set has no labels or such of another task, or a run failed; its log says why.
    """
    data, folds, engine = asked.data, asked.folds, asked.engine
    chosen = BUDGETS[asked.budget]
    if folds == 1:
        raise UserValueError("folds=1 leaves nothing to train with; give 2 or more, or 0 for the data set's own split")
    model, pretrained = _start(asked.model, asked.pretrained)
    start = find_checkpoint(str(pretrained)) if pretrained else ""
    stock: Any = load_checkpoint(start)[0] if start else None
    task = task_named(model)
    if task not in MATCHES:
        raise UserValueError(f"'model={model}' is for the task '{task}', and comparisons are for {', '.join(MATCHES)}")
    if asked.task not in (None, task):
        raise UserValueError(f"'model={model}' is for the task '{task}', not '{asked.task}'; give a model of that task")
    check_device(asked.device or "")
    description = _describe(data, task)
    setting = Setting(
        data=str(Path(find_data_yaml(data)).absolute()),
        pretrained=str(Path(start).absolute()) if start else "",
        epochs=asked.epochs or chosen.epochs,
        imgsz=asked.imgsz or _image_size(description, chosen.imgsz),
        batch=asked.batch,
        folds=folds,
        model=model,
        device=None if asked.device is None else str(asked.device),
        pairs=chosen.pairs,
    )
    for fold in range(max(folds, 1)):
        pairs_of(setting, fold)  # report bad pairs now rather than in the logs of the runs
    out = Path(asked.project).absolute() / asked.name
    remember(setting, out)
    untrained = stock is not None and _can_be_tested(stock, task, description["names"])
    del stock  # the runs load their own
    rows = [row for row in COMPARED if COMPARED[row].trained or untrained]
    rows = [row for row in rows if task == "detect" or not COMPARED[row].baseline]  # a stem alone, of boxes alone
    runs = [
        Run(row, fold, seed, str(out))
        for seed in range(asked.seeds or chosen.seeds)
        for fold in range(max(folds, 1))
        for row in sorted(rows, key=lambda row: (-COMPARED[row].universal, -COMPARED[row].trained))  # the longest first
    ]
    on_gpu = torch.cuda.is_available() and asked.device != "cpu"
    LOGGER.info(f"{len(runs)} runs of {setting.epochs} epochs at {setting.imgsz} px, results in {out}")
    if not start:
        LOGGER.info("All rows start from random weights; pretrained=yolov8n.pt is a better start for real pairs")
    began = time.monotonic()
    jobs = asked.jobs or (None if engine == "ray" else 1 if on_gpu else cores())
    failed = do_missing(setting, [runs], jobs, train_and_test, LOGGER.info, engine)
    if failed:
        raise UserValueError(
            f"{len(failed)} of {len(runs)} runs failed, {failed[0].file.stem} first; see {failed[0].log}"
        )
    views = {row: read_arrays(out, row) for row in rows}
    table = tabulate(views, description["names"], chosen.resamples)
    verdict = recommend(table, started=bool(start))
    content = {
        "recommendation": asdict(verdict),
        "setting": {**asdict(setting), "budget": asked.budget},
        "judged by": JUDGED[task],
        "images": table.images,
        "seeds": table.seeds,
        "best single camera": table.single,
        "rows": {row: {m: asdict(e) for m, e in table.measures[row].items()} for row in table.ranked},
        "mAP50, one camera spoilt": {row: asdict(table.spoilt[row]) for row in table.ranked},
        "mAP50 differences": {f"{a} - {b}": asdict(e) for (a, b), e in table.between.items()},
    }
    (out / "compare.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    page = write_report(out, table, verdict, setting, asked.budget, description["names"], time.monotonic() - began)
    return verdict, page


def _start(model: str, pretrained: str | bool) -> tuple[str, str | bool]:
    """Return the model YAML and the checkpoint to start from, where the model may be given as a checkpoint."""
    if Path(model).suffix != ".pt":
        return model, pretrained
    if pretrained:
        raise UserValueError(
            f"'model={model}' is already a checkpoint to start from; leave out 'pretrained={pretrained}'"
        )
    known: Any = load_checkpoint(find_checkpoint(model))[0].yaml
    file = Path(str(known.get("yaml_file", ""))).name
    yaml = file if file.startswith("metafusion-") else f"metafusion-{file}"
    try:
        load_model_yaml(yaml)
    except UserError as error:
        raise UserValueError(
            f"'{model}' does not say which model YAML it was made from ('{file}'); give that as model=, and "
            f"pretrained={model}"
        ) from error
    return yaml, model


def train_and_test(setting: Setting, run: Run) -> dict[str, Any]:
    """Train the row of a run and return what was found in each image, by view and path."""
    row = COMPARED[run.row]
    files = run.folder / "data"
    data = link_fold(setting, run.fold, files)
    if row.trained:
        trainer = TRAINERS[row.baseline] if row.baseline else TASKS[task_named(setting.model)]["trainer"]
        checkpoint = train_row(setting, row, run.seed, run.folder, data, trainer)
    else:
        checkpoint = keep_untrained(setting, run.folder)
    model, host = load_last(checkpoint), host_arguments(setting, run.folder, data)
    found = evaluate(model, host, BOTH, corruptions=True)
    views = {BOTH: found.recorded, **found.spoilt}
    return {view: {original(files, link): image for link, image in images.items()} for view, images in views.items()}


def _describe(data: str | Path, task: str) -> dict[str, Any]:
    """Read the data-set YAML as training for a task does, and check that both splits have labels."""
    check_description(data, task)
    description = describe(data)
    for split in ("train", "val"):
        images_in(description, split)  # says if there is none
        pairs = split_pairs(description, split, Rig.from_yaml(description, str(data)))
        if not any(pairs.label_of(file).is_file() for file in pairs.partners):
            raise UserValueError(
                f"no labels for '{split}:' of '{data}'; a comparison of detectors needs labelled pairs"
            )
    return description


def _can_be_tested(start: Any, task: str, names: Mapping[int, str]) -> bool:
    """Return whether a detector is of the task and knows any class of the data set, so it can be tested untrained."""
    try:
        if start.task != task:
            raise UserValueError(
                f"the checkpoint of pretrained= is for the task '{start.task}', the model for '{task}'"
            )
        class_order(start.names, names)
    except UserValueError as error:
        LOGGER.info(f"No row 'untrained': {error}")
        return False
    return True


def _image_size(description: dict[str, Any], largest: int) -> int:
    """Return the size of the first image, rounded up to the stride, at most `largest` pixels."""
    width, height = image_size(images_in(description, "val")[0])
    longest = max(part_shape((height, width), description.get("layout")))
    return min(largest, -(-longest // STRIDE) * STRIDE)
