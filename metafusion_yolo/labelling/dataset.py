"""`metafusion data label`: the pairs of a data set, labelled by a detector or by people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER
from ultralytics.utils.files import increment_path

from metafusion_yolo.data.shown_in import ShownIn
from metafusion_yolo.data.unlabelled import UNNAMED
from metafusion_yolo.engine.tasks import WHOLE
from metafusion_yolo.labelling.corrections import by_pair, read_export
from metafusion_yolo.labelling.found import CAMERAS, Found, Pair, Sheet, rows_of
from metafusion_yolo.labelling.ledger import PERSON, Ledger
from metafusion_yolo.labelling.machine import classes_of, find
from metafusion_yolo.labelling.pairs import PARTS, Job, of_yaml
from metafusion_yolo.labelling.tools import coco, cvat, fiftyone, label_studio
from metafusion_yolo.model import MetaFusionYOLO
from metafusion_yolo.options import Init, Label
from metafusion_yolo.options.scale import Cluster
from metafusion_yolo.prepare.draft import draft, one_way
from metafusion_yolo.prepare.register.yaml_section import write_section
from metafusion_yolo.support.cluster import each, in_blocks, share
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.resources import read_yaml
from metafusion_yolo.support.words import nearest

TOOLS = {"coco": coco.write, "cvat": cvat.write, "label-studio": label_studio.write, "fiftyone": fiftyone.write}


@dataclass
class LabelReport:
    """Result of labelling.

    Attributes:
        pairs: Pairs that were labelled.
        kept: Pairs whose labels by people were kept.
        boxes: Boxes by class name.
        shows_in: Boxes by the camera that shows them.
        files: What was written beside the labels.
    """

    pairs: int = 0
    kept: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    shows_in: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)

    def add(self, found: Sequence[Found]) -> None:
        """Count a pair."""
        self.pairs += 1
        self.boxes.update(one.name for one in found)
        self.shows_in.update(one.shows_in for one in found)

    def __str__(self) -> str:
        """Return the report in a few lines."""
        classes = ", ".join(f"{name} {count}" for name, count in self.boxes.most_common()) or "none"
        cameras = ", ".join(f"{camera} {self.shows_in[camera]}" for camera in CAMERAS)
        lines = [f"{self.pairs} pairs labelled, {self.boxes.total()} boxes: {classes}", f"shown in: {cameras}"]
        if self.kept:
            lines.append(f"{self.kept} pairs keep the labels that people gave them; overwrite=True replaces these too")
        return "\n".join([*lines, *(f"written: {file}" for file in self.files)])


def label_pairs(asked: Label, cluster: Cluster | None = None) -> LabelReport:
    """Label pairs by a detector, or take over what people corrected.

    The labels are YOLO files where training looks for them; scores are in the ledger beside them
    (:mod:`metafusion_yolo.labelling.ledger`), the camera that shows each object in the data set's
    :mod:`shown_in.csv <metafusion_yolo.data.shown_in>`, and both in the files for other tools.

    Args:
        asked: What to label, by what, and where to write.
        cluster: Who does it; workers must see the files.

    Raises:
        FileNotFoundError: If a file or folder does not exist.
        PairError: If an image has no partner, or cannot be read.
        UserValueError: For arguments that do not go together, unknown classes, or an export of other pairs.
        MissingPackageError: If `ensemble-boxes` is not installed.
    """
    data, model, corrected, overwrite = asked.data, asked.model, asked.corrected, asked.overwrite
    cluster = cluster or Cluster()
    if (model is None) == (corrected is None):
        raise UserValueError(
            "give either model=, a detector that labels, or corrected=, the labels that people corrected"
        )
    one_way(data, asked.visible, asked.infrared)
    writers, parts = _writers(asked.tasks), [asked.split] if asked.split else PARTS
    ledger, report = Ledger(), LabelReport()
    if corrected is not None:
        if data is None:
            raise UserValueError("corrected= needs the class numbers of the labels: give data=, a YAML with 'names:'")
        job = of_yaml(data, parts)
        return _take_over(corrected, job, _once(job), ledger, overwrite, report)
    detector = MetaFusionYOLO(str(model))
    if detector.task in WHOLE:
        raise UserValueError(
            f"'model={model}' is for the task '{detector.task}', and only objects are labelled; give one for "
            f"detect, segment, pose or obb"
        )
    if detector.task != "detect" and writers:
        LOGGER.warning(
            f"files for people hold boxes only, and '{model}' is for the task '{detector.task}': none written"
        )
        writers = []
    folder = increment_path(Path(asked.project) / asked.name, exist_ok=asked.exist_ok).absolute()
    if data is None:
        looked_for = classes_of(detector.names, {}, asked.classes).values()
        drafted = draft(folder, Init(str(asked.visible), asked.infrared, names=[*looked_for]))
        LOGGER.info(drafted.pairing.summary())
        data = str(drafted.yaml)
        report.files.append(drafted.yaml)
    job = of_yaml(data, parts)
    _check_keypoints(job.yaml, detector)
    pairs = share(_once(job), cluster.part)
    open_ = [pair for pair in pairs if overwrite or not ledger.of_person(pair.label)]
    report.kept = len(pairs) - len(open_)
    if not open_:
        return report
    nameless = job.names in ({}, UNNAMED) and not report.kept
    wanted = classes_of(detector.names, {} if nameless else job.names, asked.classes)
    names = dict(enumerate(wanted.values())) if nameless else job.names
    folder.mkdir(parents=True, exist_ok=True)
    shown_in = ShownIn(job.root)
    sheets: dict[int, list[Sheet]] = {}
    arguments = {"data": job.yaml, "conf": asked.conf, "imgsz": asked.imgsz, "batch": asked.batch}
    make = partial(_Labeller, str(model), detector if cluster.engine == "local" else None, wanted, folder / "pictures")
    blocks = in_blocks(open_) if cluster.engine == "ray" else [open_]
    for number, labelled in each(
        partial(make, arguments, asked.device), blocks, cluster.engine, cluster.workers, asked.device != "cpu"
    ):
        for pair, sheet in labelled:
            ledger.write(pair.label, rows_of(sheet.found, names), str(model), sheet.found)
            _say(shown_in, pair, sheet.found, names)
            report.add(sheet.found)
            sheets.setdefault(number, []).append(sheet)
    shown_in.write(add=cluster.part is not None)
    in_order = [sheet for number in sorted(sheets) for sheet in sheets[number]]
    report.files += [write(folder, in_order, names) for write in writers]
    if nameless:
        write_section(job.yaml, "names", names)
        report.files.append(Path(job.yaml))
    return report


def _check_keypoints(file: Any, detector: Any) -> None:
    """Reject a YAML whose labels have other keypoints than the model; training would misread them.

    Raises:
        UserValueError: If they differ.
    """
    told = read_yaml(file).get("kpt_shape")
    own = [*getattr(detector.model, "kpt_shape", ())] if detector.task == "pose" else None
    if told != own:
        raise UserValueError(f"'kpt_shape: {told}' of '{file}', and the model finds {own}; write that into the YAML")


class _Labeller:
    """Labels blocks of pairs; on a cluster each has its own detector."""

    def __init__(
        self,
        model: str,
        detector: MetaFusionYOLO | None,
        classes: Mapping[int, str],
        pictures: Path,
        arguments: dict[str, Any],
        asked: str | int | None,
        device: str | int | None,
    ) -> None:
        self._far = detector is None
        device = asked if device is None else device
        self._find: Any = partial(
            find, detector or MetaFusionYOLO(model), classes=classes, pictures=pictures, device=device, **arguments
        )

    def __call__(self, pairs: Sequence[Pair]) -> Iterable[tuple[Pair, Sheet]]:
        labelled = self._find(pairs)
        return [*labelled] if self._far else labelled  # here, each is written as it is done


def _say(shown_in: ShownIn, pair: Pair, found: Sequence[Found], names: Mapping[int, str]) -> None:
    """Take in the camera that shows each object of a pair."""
    numbers = {name: number for number, name in names.items()}
    shown_in.say(pair.label, [numbers[one.name] for one in found], [one.shows_in for one in found])


def _once(job: Job) -> list[Pair]:
    """Return the pairs of all parts, each once."""
    return [*{pair.label: pair for part in job.pairs.values() for pair in part}.values()]


def _writers(tasks: str | None) -> list[Any]:
    """Return the functions that write tasks.

    Raises:
        UserValueError: For the name of an unknown tool.
    """
    chosen = [] if tasks in (None, "none") else [tool.strip() for tool in str(tasks).split(",")]
    for tool in chosen:
        if tool not in TOOLS:
            raise UserValueError(f"'tasks={tasks}': unknown tool '{tool}', {nearest(tool, [*TOOLS, 'none'])}")
    return [TOOLS[tool] for tool in chosen]


def _take_over(
    corrected: str, job: Job, pairs: Sequence[Pair], ledger: Ledger, overwrite: bool, report: LabelReport
) -> LabelReport:
    """Write the labels by people: all of them, or none if the export has a mistake."""
    if not job.names:
        raise UserValueError(f"corrected= needs the class numbers of the labels: add 'names:' to '{job.yaml}'")
    found = by_pair(read_export(corrected), pairs, corrected)
    rows = {pair: rows_of(objects, job.names) for pair, objects in found.items()}
    shown_in = ShownIn(job.root)
    for pair, objects in found.items():
        if ledger.of_person(pair.label) and not overwrite:
            report.kept += 1
            continue
        ledger.write(pair.label, rows[pair], PERSON, objects)
        _say(shown_in, pair, objects, job.names)
        report.add(objects)
    shown_in.write()
    return report
