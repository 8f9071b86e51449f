"""Training on unlabelled pairs too, which a detector labels: `metafusion train unlabelled=`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from ultralytics.cfg import get_cfg, get_save_dir
from ultralytics.utils import LOGGER

from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.labelling.found import rows_of
from metafusion_yolo.labelling.ledger import Ledger
from metafusion_yolo.labelling.machine import classes_of, find
from metafusion_yolo.labelling.pairs import UNLABELLED, of_yaml
from metafusion_yolo.options import Label
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import below, link_below
from metafusion_yolo.support.resources import read_yaml

SELF = "self"
REFUSED = {"resume": "the run has its labels already", "fusion_only": "no label is read"}


def label_more(model: Any, teacher: str, arguments: Mapping[str, Any]) -> str:
    """Label the pairs of `unlabelled:` for a training, into the folder `NAME-unlabelled` beside that of its run.

    Args:
        model: The :class:`~metafusion_yolo.MetaFusionYOLO` to train.
        teacher: The checkpoint that labels; "self" for the model itself, trained on the labelled pairs first.
        arguments: Of the training.

    Returns:
        A data-set YAML whose `train:` has these pairs too.

    Raises:
        UserValueError: If the data set names no such pairs, nothing is found in them, or arguments contradict it.
    """
    for key, reason in REFUSED.items():
        if arguments.get(key):
            raise UserValueError(f"'{key}={arguments[key]}' and 'unlabelled={teacher}': {reason}; leave one out")
    data = str(arguments.get("data"))
    _pairs_of(data)
    run = get_cfg(overrides={key: arguments[key] for key in ("project", "name", "exist_ok") if key in arguments})
    run.task, run.mode = "detect", "train"
    if teacher == SELF:
        LOGGER.info("unlabelled: the model is trained on the labelled pairs first, then labels the others")
        labeller = deepcopy(model)
        labeller.train(**{**arguments, "name": f"{run.name or 'train'}-{SELF}"})
    else:
        labeller = type(model)(teacher)
    folder = get_save_dir(run, f"{run.name or 'train'}-{UNLABELLED}")
    looks: dict[str, Any] = {key: arguments.get(key) for key in ("imgsz", "device")}
    return str(with_machine_labels(data, labeller, folder, **looks))


def with_machine_labels(data: str, labeller: Any, folder: Path, conf: float = Label.conf, **looks: Any) -> Path:
    """Label the pairs of `unlabelled:` of a data set in a folder of links; the data set itself stays as it is.

    Pairs of `train:`, `val:` and `test:` are left out, and those in which nothing is found; labels by people
    replace detections.

    Args:
        data: The data-set YAML.
        labeller: A :class:`~metafusion_yolo.MetaFusionYOLO`.
        folder: The folder to write.
        conf: Least score of a box.
        **looks: Further arguments of prediction.

    Returns:
        A YAML in the folder, whose `train:` has these pairs too.

    Raises:
        UserValueError: If the data set names no such pairs, or nothing is found in them.
    """
    job = _pairs_of(data)
    listed = {pair.visible for part in SPLITS for pair in job.pairs.get(part, ())}
    pairs = [pair for pair in job.pairs[UNLABELLED] if pair.visible not in listed]
    if not pairs:
        raise UserValueError(f"every pair of 'unlabelled:' in '{data}' is in another split too; name others there")
    ledger, boxes = Ledger(), 0
    taken: list[list[Path]] = []
    looks |= {"conf": conf, "data": job.yaml}
    for pair, sheet in find(labeller, pairs, classes_of(labeller.names, job.names, None), **looks):
        by_person = ledger.of_person(pair.label)
        if not (sheet.found or by_person):
            continue
        files = [Path(pair.visible), Path(pair.infrared), pair.label]
        for file in files[: 3 if by_person else 2]:
            link_below(folder, file)
        taken.append([below(folder, file) for file in files])
        if not by_person:
            ledger.write(taken[-1][2], rows_of(sheet.found, job.names), "unlabelled=", sheet.found)
            boxes += len(sheet.found)
    if not taken:
        raise UserValueError(f"nothing was found in {len(pairs)} pairs of 'unlabelled:' in '{data}'; try another model")
    LOGGER.info(
        f"unlabelled: {len(taken)} pairs with {boxes} boxes join {len(job.pairs.get('train', ()))} with labels; left "
        f"out: {len(pairs) - len(taken)} in which nothing was found, {len(job.pairs[UNLABELLED]) - len(pairs)} that "
        f"another split has; labels: '{folder}'"
    )
    return _describe(str(job.yaml), folder, taken)


def _pairs_of(data: str) -> Any:
    job = of_yaml(data)
    if UNLABELLED not in job.pairs:
        raise UserValueError(f"'{data}' names no pairs without labels; add 'unlabelled:', their folder, to it")
    return job


def _describe(data: str, folder: Path, taken: list[list[Path]]) -> Path:
    """Write the YAML of a data set with more pairs to train with: visible image, infrared image, label file."""
    content = read_yaml(data)
    root = (Path(data).parent / (content.get("path") or ".")).absolute()
    with (folder / "unlabelled.csv").open("w", encoding="utf-8", newline="") as listing:
        csv.writer(listing).writerows(taken)
    entries = content["train"] if isinstance(content["train"], list) else [content["train"]]
    train = [*(str(root / entry) for entry in entries), str(folder / "unlabelled.csv")]
    file = folder / "pairs.yaml"
    file.write_text(yaml.safe_dump({**content, "path": str(root), "train": train}), encoding="utf-8")
    return file
