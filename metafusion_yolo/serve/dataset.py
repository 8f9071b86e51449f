"""The pairs of a data set with labels and predictions, and corrections of labels, over HTTP.

Pairs are named by their number: no request names a file.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock, Thread
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
from fastapi import Body, FastAPI, HTTPException, Query

from metafusion_yolo.serve.answers import (
    Box,
    Item,
    Labelled,
    Labels,
    PairsNow,
    PairView,
    answer_of,
    plain,
)
from metafusion_yolo.serve.batching import Batcher, BusyError
from metafusion_yolo.serve.engines import LOWEST, VIEWS, Found
from metafusion_yolo.serve.uploads import Pair
from metafusion_yolo.support.errors import UserError
from metafusion_yolo.support.files import replacing

if TYPE_CHECKING:
    from metafusion_yolo.labelling.pairs import Job

SURE, OVERLAP = 0.25, 0.5  # lowest score of a detection that counts, and lowest IoU with the object that it finds
PATIENCE = 0.2  # seconds before a busy detector is asked again
NONE_OPEN = "no data set is opened; start the server with data= its YAML"


@dataclass
class Seen:
    """What is known of a pair."""

    size: tuple[int, int] = (0, 0)  # width, height
    classes: list[int] = field(default_factory=list)
    shown_in: list[str] = field(default_factory=list)
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))  # corners, shares
    problem: str = ""
    condition: str | None = None
    missed: list[bool] | None = None
    wrong: list[tuple[str, float]] | None = None
    share: float | None = None


class DataSet:
    """The pairs of a data-set YAML, listed at the first request.

    Args:
        data: The YAML; None if no data set is opened.
        batcher: Detects.
        timeout: Longest time of a prediction, seconds.
    """

    def __init__(self, data: str | None, batcher: Batcher, timeout: float) -> None:
        self.data, self.running = data, ""
        self._batcher, self._timeout = batcher, timeout
        self._lock = RLock()
        self._job: Job | None = None
        self._seen: list[Seen] = []

    def open(self) -> Job:
        """Return the pairs.

        Raises:
            HTTPException: If there is no data set.
            UserError: If it cannot be used.
        """
        if self.data is None:
            raise HTTPException(404, NONE_OPEN)
        with self._lock:
            if self._job is None:
                from metafusion_yolo.data.reading import PairReader
                from metafusion_yolo.data.rig import Rig
                from metafusion_yolo.data.shown_in import ShownIn
                from metafusion_yolo.evaluation.conditions import Conditions
                from metafusion_yolo.labelling.pairs import of_yaml
                from metafusion_yolo.support.resources import read_yaml

                job = of_yaml(self.data)
                content = read_yaml(job.yaml)
                self.root = (Path(job.yaml).parent / (content.get("path") or ".")).resolve()
                self._shown_in = ShownIn(self.root)
                self.reader = PairReader(Rig.from_yaml(content, job.yaml))
                self._conditions: Callable[[str], str] = Conditions.of_data({**content, "path": str(self.root)}).of
                self.rows = [(part, pair) for part, some in job.pairs.items() for pair in some]
                self._seen = [self._look(pair) for _, pair in self.rows]
                self._job = job
        return self._job

    def _look(self, pair: Any) -> Seen:
        """Read size and labels of a pair."""
        from metafusion_yolo.data.labels import LabelError, read_labels
        from metafusion_yolo.data.reading import image_size

        seen = Seen()
        try:
            seen.size = image_size(pair.visible)
            labels = read_labels(pair.label)
            seen.classes, seen.boxes = labels.classes.tolist(), labels.boxes_xyxyn
            seen.shown_in = self._shown_in.of(pair.label, seen.classes) or [""] * len(seen.classes)
            rows = pair.label.read_text(encoding="utf-8-sig").split("\n") if pair.label.is_file() else []
            if any(len(row.split()) > 5 for row in rows):
                seen.problem = "its labels are outlines; correct them in another tool, by metafusion data label"
        except LabelError:  # which quotes the file
            seen.problem = "its label file cannot be read; metafusion data check says why"
        except (UserError, OSError) as error:
            seen.problem = str(error).splitlines()[0]
        if pair.label.is_symlink() or not pair.label.parent.resolve().is_relative_to(self.root):
            seen.problem = "its label file is a link, or outside the folder of the data set; nothing is written there"
        return seen

    def list(self) -> PairsNow:
        """Return all pairs with what is known of them."""
        job = self.open()
        items = []
        for (part, pair), seen in zip(self.rows, self._seen, strict=True):
            sides = (seen.boxes[:, 2:] - seen.boxes[:, :2]) * seen.size
            sizes = np.sqrt(np.abs(sides.prod(1))).round(1).tolist()
            missed: Sequence[bool | None] = [None] * len(sizes) if seen.missed is None else seen.missed
            objects = [*zip(seen.classes, sizes, missed, seen.shown_in, strict=True)]
            items.append(
                Item(
                    name=pair.key,
                    part=part,
                    condition=seen.condition,
                    objects=objects,
                    wrong=seen.wrong,
                    share=seen.share,
                    problem=seen.problem,
                )
            )
        return PairsNow(
            data=Path(job.yaml).name, names=job.names or self._batcher.names, pairs=items, running=self.running
        )

    def files(self, number: int) -> tuple[Any, Seen]:
        """Return a pair and what is known of it.

        Raises:
            HTTPException: If there is none of this number.
        """
        self.open()
        if not 0 <= number < len(self.rows):
            raise HTTPException(404, "there is no such pair")
        return self.rows[number][1], self._seen[number]

    def view(self, number: int) -> PairView:
        """Return a pair, with detections once the detector is loaded."""
        pair, seen = self.files(number)
        if self._batcher.engine is not None:
            answer = answer_of(self._detect(number), self._batcher.names, LOWEST, VIEWS, "jpeg")
        else:
            planes = self.reader.read(pair.visible, pair.infrared)
            answer = plain(planes[..., 2::-1], planes[..., 3])
        labels = [
            Labelled.model_validate({"class": n, "box": dict(zip(Box.model_fields, b, strict=True)), "shown_in": view})
            for n, b, view in zip(seen.classes, seen.boxes.tolist(), seen.shown_in, strict=True)
        ]
        stamp = stamp_of(pair.label, seen.shown_in)
        return PairView(name=pair.key, labels=labels, stamp=stamp, problem=seen.problem, answer=answer)

    def _detect(self, number: int) -> Found:
        """Detect on a pair, and keep what was missed and what is wrong."""
        pair, seen = self.files(number)
        visible, infrared = self.reader.parts(pair.visible, pair.infrared)
        while True:
            try:
                waiting = self._batcher.submit(Pair(cv2.cvtColor(visible, cv2.COLOR_RGB2BGR), infrared, pair.visible))
                break
            except BusyError:
                if self._batcher.engine is None:
                    raise
                sleep(PATIENCE)
        found = waiting.result(self._timeout)
        known = self._job.names if self._job and self._job.names else self._batcher.names
        height, width = found.size
        truth = [known.get(number, str(number)) for number in seen.classes]
        judged = judge(
            found, self._batcher.names, truth, seen.boxes * (width, height, width, height), {*known.values()}
        )
        seen.missed, seen.wrong = judged
        seen.share = None if found.share is None else round(found.share, 4)
        seen.condition = seen.condition or self._conditions(pair.visible)
        return found

    def review(self, part: str) -> None:
        """Start predictions on a part, unless they are running.

        Raises:
            HTTPException: If there is no such part, or predictions are being made.
        """
        if part not in self.open().pairs:
            raise HTTPException(404, "there is no such part")
        with self._lock:
            if self.running:
                raise HTTPException(409, f"predictions are being made on '{self.running}' already")
            self.running = part
        Thread(target=self._review, args=(part,), name="review", daemon=True).start()

    def _review(self, part: str) -> None:
        try:
            for number, (of, _) in enumerate(self.rows):
                if of == part and self._seen[number].missed is None:
                    try:
                        self._detect(number)
                    except (UserError, OSError) as error:
                        self._seen[number].problem = str(error).splitlines()[0]
        finally:
            self.running = ""

    def save(self, number: int, labels: Labels) -> PairView:
        """Write the labels of a pair, and keep the original ones as `.bak` beside them.

        Raises:
            HTTPException: If they are wrong, have changed since, or must not be written.
        """
        from metafusion_yolo.data.labels import label_rows

        pair, seen = self.files(number)
        if seen.problem:
            raise HTTPException(403, f"not saved: {seen.problem}")
        known = self.open().names
        boxes = np.array([[*one.box.model_dump().values()] for one in labels.labels], np.float64).reshape(-1, 4)
        near = np.isfinite(boxes).all() and (boxes >= -1).all() and (boxes <= 2).all()
        if not near or (boxes[:, 2:] <= boxes[:, :2]).any():
            raise HTTPException(422, "a box has its left upper and its right lower corner, as shares of the image")
        if unknown := {one.number for one in labels.labels} - {*known}:
            raise HTTPException(422, f"there is no class {min(unknown)}, only {min(known)} to {max(known)}")
        with self._lock:
            if stamp_of(pair.label, seen.shown_in) != labels.stamp:
                raise HTTPException(409, "these labels have changed since they were shown; look at them again")
            pair.label.parent.mkdir(parents=True, exist_ok=True)
            backup = pair.label.with_name(f"{pair.label.name}.bak")
            if pair.label.is_file() and not backup.exists():
                with replacing(backup) as part:
                    shutil.copy2(pair.label, part)
            numbers = [one.number for one in labels.labels]
            self._shown_in = shown_in = type(self._shown_in)(self.root)  # with what others have written meanwhile
            shown_in.say(pair.label, numbers, [one.shown_in for one in labels.labels])
            with replacing(pair.label, durable=True) as part:
                part.write_text(label_rows(numbers, boxes.clip(0, 1)), encoding="utf-8")
                shown_in.write()  # on a full disk neither is
            firsts = {some[0].label.parent for some in self.open().pairs.values() if some} | {pair.label.parent}
            for folder in firsts:  # the host's cache does not notice a row of the same length
                folder.with_suffix(".cache").unlink(missing_ok=True)
            for i, (_, other) in enumerate(self.rows):  # a pair may stand in two parts
                if other.label == pair.label:
                    self._seen[i] = self._look(other)
        return self.view(number)


def stamp_of(file: Path, shown_in: Sequence[str]) -> str:
    """Return what tells the content of a label file and the cameras of its rows from another; no file is like none."""
    content = (file.read_bytes() if file.is_file() else b"") + ",".join(shown_in).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def judge(
    found: Found, names: dict[int, str], truth: Sequence[str], boxes_xyxy: np.ndarray, known: set[str]
) -> tuple[list[bool], list[tuple[str, float]]]:
    """Return which objects were missed and which detections are wrong; classes are matched by name.

    Args:
        found: What the detector found.
        names: Its classes.
        truth: The class of each object.
        boxes_xyxy: The box of each object (K, 4), pixels.
        known: Classes of the data set; detections of others are not wrong.
    """
    from supervision import box_iou_batch

    missed = [True] * len(truth)
    wrong = []
    overlaps = box_iou_batch(found.boxes_xyxy.astype(np.float64), boxes_xyxy)
    for i in np.argsort(-found.scores):
        name = names[int(found.classes[i])]
        if found.scores[i] < SURE or name not in known:
            continue
        free = [k for k, of in enumerate(truth) if of == name and missed[k] and overlaps[i, k] >= OVERLAP]
        if free:
            missed[max(free, key=lambda k, i=i: overlaps[i, k])] = False  # type: ignore[misc]
        else:
            wrong.append((name, round(float(found.scores[i]), 3)))
    return missed, wrong


def add_dataset(app: FastAPI, data: DataSet) -> None:
    """Add the addresses of the data set to a server."""

    @app.get("/pairs", response_model=PairsNow, summary="The pairs of the opened data set")
    def pairs() -> PairsNow:
        return data.list()

    @app.post("/pairs/review", status_code=202, summary="Make predictions on all pairs of a part")
    def review(part: Annotated[str, Query(max_length=20)] = "val") -> dict[str, str]:
        data.review(part)
        return {"running": part}

    @app.get("/pairs/{number}", response_model=PairView, summary="A pair with labels, predictions and views")
    def pair(number: int) -> PairView:
        return data.view(number)

    @app.put("/pairs/{number}/labels", response_model=PairView, summary="Correct the labels of a pair")
    def save(number: int, labels: Annotated[Labels, Body()]) -> PairView:
        return data.save(number, labels)
