"""The figures of a validation over all pairs, by class and by condition, as text, JSON and CSV."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metafusion_yolo.data.shown_in import UNSAID
from metafusion_yolo.evaluation.miss_rate import log_average_miss_rate
from metafusion_yolo.evaluation.precision import Image, average_precision
from metafusion_yolo.evaluation.robustness import AS_IS, SHIFTS, Curve, robustness_curves
from metafusion_yolo.evaluation.trust import (
    FUSED,
    MEASURED,
    Trust,
    WeightChange,
    clean_figures,
    judge_trust,
    trust_lines,
)
from metafusion_yolo.evaluation.weights import EDGES, PairWeights
from metafusion_yolo.options import MODALITIES

ALL, CLASS, CONDITION = "all", "class", "condition"
DETECTION = ("mAP50", "mAP50-95", "MR-2")
WEIGHTS = ("inside", "outside")
CURVES = {"missing": "share of pairs without a camera", "shift": "infrared shifted by, pixels"}
SURE = 0.25  # lowest score of a confident detection, the host's default in prediction
OVERLAP = 0.5  # lowest IoU of a detection and the object that it finds


@dataclass
class PairRecord:
    """A pair and what was found in it.

    Attributes:
        file: The visible image.
        condition: Such as "night".
        found: Detections and their matches with the labels, undisturbed ("both") and under each disturbance.
        boxes_xyxy: Labelled boxes (K, 4), pixels of the network's input.
        best_scores: Highest score of a detection of the same class that overlaps each labelled box (K,), 0 for none.
        detections: Detections with a score of at least `SURE` (D, 6): x, y, x, y, score, class.
        quality: Fusion metrics.
        weights: Weights of the infrared camera; None for exports, which do not output them.
        changes: Weights of a camera that is spoilt, by corruption.
        shown_in: The camera that shows each labelled box, see :class:`~metafusion_yolo.data.shown_in.ShownIn`; None if
            nobody has said it.
    """

    file: str
    condition: str
    found: dict[str, Image]
    boxes_xyxy: np.ndarray
    best_scores: np.ndarray
    detections: np.ndarray
    quality: dict[str, float] = field(default_factory=dict)
    weights: PairWeights | None = None
    changes: dict[str, WeightChange] = field(default_factory=dict)
    shown_in: list[str] | None = None

    @property
    def missed(self) -> np.ndarray:
        """Whether each labelled box was missed (K,), bool."""
        return self.best_scores < SURE


@dataclass(frozen=True)
class Row:
    """Figures of some pairs, or of one class; None where there is nothing to measure.

    Attributes:
        kind: "all", "class" or "condition".
        name: Name of the class or condition.
        images: Number of pairs; for a class, of pairs that contain it.
        instances: Number of labelled objects.
        detection: mAP50, mAP50-95 and MR-2 (log-average miss rate), each [0, 1], means over the classes that occur.
        weights: Weight of the infrared camera, [0, 1]: mean over the boxes, and over the pairs outside the boxes.
        quality: Mean of each fusion metric over the pairs.
    """

    kind: str
    name: str
    images: int
    instances: int
    detection: Mapping[str, float | None]
    weights: Mapping[str, float | None]
    quality: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationReport:
    """All figures of a validation.

    Attributes:
        rows: All pairs first, then every class that occurs, then every condition.
        rule: How conditions are determined.
        histogram: Edges and counts of the infrared weight inside and outside boxes; empty without weights.
        curves: mAP50 under disturbance, see :func:`~metafusion_yolo.evaluation.robustness.robustness_curves`; empty
            unless requested.
        trust: Figures with one camera spoilt, of every kind and strength; empty unless requested.
        clean: mAP50 by view with both cameras well, [0, 1], to compare them with; empty likewise.
        shown_in: Objects found, and all objects, by the camera that shows them; empty if the data set does not say it.
    """

    rows: list[Row]
    rule: str
    histogram: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    trust: list[Trust] = field(default_factory=list)
    clean: dict[str, float] = field(default_factory=dict)
    shown_in: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[PairRecord], names: dict[int, str], rule: str) -> "ValidationReport":
        """Compute the figures.

        Args:
            records: What was found in every pair.
            names: Class names.
            rule: How conditions are determined.
        """
        rows = [summarise(ALL, ALL, records, names)]
        present = np.unique(np.concatenate([record.found[AS_IS]["target_cls"] for record in records])).astype(int)
        rows += [summarise_class(records, c, names[c]) for c in present.tolist()]
        for name in sorted({record.condition for record in records}):
            rows.append(summarise(CONDITION, name, [r for r in records if r.condition == name], names))
        weighed = [record.weights for record in records if record.weights]
        histogram = {}
        if weighed:
            counts = {where: np.sum([getattr(w, f"{where}_counts") for w in weighed], 0) for where in WEIGHTS}
            histogram = {"edges": EDGES.tolist(), **{where: values.tolist() for where, values in counts.items()}}
        found = {view: [record.found[view] for record in records] for view in records[0].found}
        changes = {view: [record.changes[view] for record in records] for view in records[0].changes}
        classes = {c: names[c] for c in present.tolist()}
        curves = robustness_curves(found, classes) if classes and f"shift-{SHIFTS[0]}" in found else {}
        spoilt = bool(classes) and MEASURED in found
        trust = judge_trust(found, changes, classes) if spoilt else []
        clean = clean_figures(found, classes) if spoilt else {}
        return cls(rows, rule, histogram, curves, trust, clean, found_by_camera(records))

    @property
    def results_dict(self) -> dict[str, float]:
        """Figures by flat names such as `metrics/MR-2(B)`, `fusion/EN`, `weights/inside` and `night/mAP50`."""
        total = self.rows[0]
        results = {"metrics/MR-2(B)": total.detection["MR-2"]}
        results |= {f"weights/{where}": total.weights[where] for where in WEIGHTS}
        results |= {f"fusion/{name}": value for name, value in total.quality.items()}
        for row in self.rows:
            if row.kind == CONDITION:
                results |= {f"{row.name}/{name}": value for name, value in row.detection.items()}
        results |= {f"shown_in/{camera}": found / objects for camera, (found, objects) in self.shown_in.items()}
        return {name: value for name, value in results.items() if value is not None}

    def write_json(self, file: Path, **more: Any) -> None:
        """Write all figures and the additional values."""
        file.write_text(json.dumps({**more, **asdict(self)}, indent=2), encoding="utf-8")

    def write_csv(self, file: Path) -> None:
        """Write the rows, one column per figure."""
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            weights = [f"weight_{where}" for where in WEIGHTS]
            writer.writerow(["kind", "name", "images", "instances", *DETECTION, *weights, *self.rows[0].quality])
            for row in self.rows:
                figures = [*row.detection.values(), *row.weights.values(), *row.quality.values()]
                cells = ["" if value is None else f"{value:.6g}" for value in figures]
                writer.writerow([row.kind, row.name, row.images, row.instances, *cells])

    @property
    def legend(self) -> list[str]:
        """Meaning of the columns that the host's table lacks, and how night is defined."""
        notes = ["MR-2: log-average miss rate at IoU 0.5, less is better"]
        notes += ["IR: mean weight of the infrared camera inside and outside labelled boxes"] if self.histogram else []
        return [*notes, self.rule]

    @property
    def by_camera(self) -> str:
        """How many objects were found by the camera that shows them, in words; empty if the data set does not say."""
        told = [f"{camera} {found} of {objects}" for camera, (found, objects) in self.shown_in.items()]
        return f"Found with a score of {SURE} or more, by the camera that shows it: {', '.join(told)}" if told else ""

    def lines(self, classes: bool) -> list[str]:
        """Return the figures as lines of text, in the columns of the host's table.

        Args:
            classes: Whether to include a line for every class.
        """
        heads = ["", "Images", "Instances", *DETECTION] + (["IR inside", "IR outside"] if self.histogram else [])
        lines = [f"{heads[0]:>22}" + "".join(f"{head:>11}" for head in heads[1:])]
        for row in self.rows:
            if row.kind != CLASS or classes:
                figures = [*row.detection.values(), *(row.weights.values() if self.histogram else ())]
                cells = "".join(f"{'-' if value is None else f'{value:.3g}':>11}" for value in figures)
                lines.append(f"{row.name:>22}{row.images:>11}{row.instances:>11}{cells}")
        if self.rows[0].quality:
            lines.append("Fusion: " + "  ".join(f"{name} {value:.4g}" for name, value in self.rows[0].quality.items()))
        lines += [self.by_camera] if self.shown_in else []
        for key, title in CURVES.items():
            curves = self.curves.get(key, {})
            for x in [[point[0] for point in curve] for curve in curves.values()][:1]:
                lines.append(f"{title:>33}" + "".join(f"{value:>11g}" for value in x))
            for name, curve in curves.items():
                lines.append(f"{f'mAP50, {name}':>33}" + "".join(f"{y:>11.3g}" for _, y in curve))
        return lines + (trust_lines(self.trust, self.clean[FUSED]) if self.trust else [])


def found_by_camera(records: Sequence[PairRecord]) -> dict[str, tuple[int, int]]:
    """Return how many objects were found, and how many there are, by the camera that shows them."""
    if all(record.shown_in is None for record in records):
        return {}
    shown = [
        (camera or UNSAID, not missed)
        for record in records
        for camera, missed in zip(record.shown_in or [""] * len(record.missed), record.missed, strict=True)
    ]
    there, found = Counter(camera for camera, _ in shown), Counter(camera for camera, seen in shown if seen)
    return {camera: (found[camera], there[camera]) for camera in (*MODALITIES, UNSAID) if there[camera]}


def summarise(kind: str, name: str, records: Sequence[PairRecord], names: dict[int, str]) -> Row:
    """Return the figures of some pairs."""
    images = [record.found[AS_IS] for record in records]
    targets = np.concatenate([image["target_cls"] for image in images])
    present = np.unique(targets).astype(int).tolist()
    detection: Mapping[str, float | None] = dict.fromkeys(DETECTION)
    if present:
        precision = average_precision(images, {c: names[c] for c in present})
        rates = [miss_rate(records, c) for c in present]
        detection = {key: precision[key] / 100 for key in DETECTION[:2]} | {"MR-2": float(np.mean(rates))}
    weighed = [record.weights for record in records if record.weights]
    weights = {
        "inside": mean(np.concatenate([w.boxes for w in weighed])) if weighed else None,
        "outside": mean(np.array([w.outside for w in weighed])),
    }
    measured = [record.quality for record in records if record.quality]
    quality = {key: float(np.mean([values[key] for values in measured])) for key in (measured[0] if measured else ())}
    return Row(kind, name, len(records), len(targets), detection, weights, quality)


def summarise_class(records: Sequence[PairRecord], c: int, name: str) -> Row:
    """Return the figures of a class, over all pairs."""
    images = [record.found[AS_IS] for record in records]
    precision = average_precision(images, {c: name})
    detection = {key: precision[key] / 100 for key in DETECTION[:2]} | {"MR-2": miss_rate(records, c)}
    own = [image["target_cls"] == c for image in images]
    weights = [r.weights.boxes[mine] for r, mine in zip(records, own, strict=True) if r.weights]
    inside = mean(np.concatenate(weights)) if weights else None
    holding = sum(bool(mine.any()) for mine in own)
    return Row(CLASS, name, holding, int(sum(m.sum() for m in own)), detection, {"inside": inside, "outside": None})


def miss_rate(records: Sequence[PairRecord], c: int) -> float:
    """Return the log-average miss rate of a class that occurs in some of the pairs."""
    images = [record.found[AS_IS] for record in records]
    own = [image["pred_cls"] == c for image in images]
    hits = np.concatenate([image["tp"][mine, 0] for image, mine in zip(images, own, strict=True)])
    scores = np.concatenate([image["conf"][mine] for image, mine in zip(images, own, strict=True)])
    objects = sum(int((image["target_cls"] == c).sum()) for image in images)
    return log_average_miss_rate(hits, scores, objects, len(images))


def mean(values: np.ndarray) -> float | None:
    """Return the mean of the values that are not NaN, None if there are none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None
