"""The figures of a validation from records made by hand, and what is written of them."""

import csv
import json
from itertools import pairwise

import numpy as np
import pytest

from metafusion_yolo.evaluation.misses import hardest_misses
from metafusion_yolo.evaluation.report import PairRecord, ValidationReport
from metafusion_yolo.evaluation.robustness import SHIFTS
from metafusion_yolo.evaluation.weights import weigh_boxes

NAMES = {0: "person", 1: "car"}


def found(hit: bool, cls: int) -> dict[str, np.ndarray]:
    """Return one object, and a detection of it if it was found."""
    tp, conf = np.ones((int(hit), 10), bool), np.full(int(hit), 0.9)
    return {"tp": tp, "conf": conf, "pred_cls": np.full(int(hit), cls), "target_cls": np.array([cls])}


def record(file: str, condition: str = "day", score: float = 0.9, cls: int = 0, side: float = 8) -> PairRecord:
    boxes = np.array([[0.0, 0.0, side, side]])
    seen = PairRecord(file, condition, {"both": found(score > 0, cls)}, boxes, np.array([score]), np.zeros((0, 6)))
    seen.quality = {"EN": 4.0 if condition == "day" else 2.0}
    seen.weights = weigh_boxes(np.full((8, 8), 0.75 if condition == "day" else 0.25), boxes, (0, 0, 32, 32))
    return seen


RECORDS = [record("1"), record("2"), record("3", "night", score=0), record("4", "night", cls=1)]


@pytest.fixture
def report() -> ValidationReport:
    return ValidationReport.of(RECORDS, NAMES, "night: by hand")


def test_rows_are_all_then_classes_then_conditions(report) -> None:
    rows = {row.name: row for row in report.rows}
    assert [*rows] == ["all", "person", "car", "day", "night"]
    assert [(row.images, row.instances) for row in report.rows] == [(4, 4), (3, 3), (1, 1), (2, 2), (2, 2)]
    assert rows["day"].detection["mAP50"] == pytest.approx(0.995)  # the host's interpolation ends just below 1
    assert rows["night"].detection["mAP50"] == pytest.approx(0.995 / 2)
    assert rows["person"].detection["MR-2"] == pytest.approx(1 / 3)
    assert rows["all"].detection["MR-2"] == pytest.approx((1 / 3 + 1e-10) / 2)
    assert rows["night"].detection["MR-2"] == pytest.approx(0.5)
    assert (rows["all"].quality["EN"], rows["night"].quality["EN"]) == (3, 2)
    assert (rows["day"].weights["inside"], rows["all"].weights["outside"]) == (0.75, 0.5)
    assert rows["car"].weights == {"inside": 0.25, "outside": None}


def test_pairs_without_objects_have_no_figures_of_detection() -> None:
    empty = {key: np.zeros((0, 10) if key == "tp" else 0) for key in ("tp", "conf", "pred_cls", "target_cls")}
    report = ValidationReport.of(
        [PairRecord("1", "day", {"both": empty}, np.zeros((0, 4)), np.zeros(0), np.zeros((0, 6)))], {}, ""
    )
    assert report.rows[0].detection == {"mAP50": None, "mAP50-95": None, "MR-2": None}
    assert report.results_dict == {}
    assert "-" in report.lines(classes=True)[1]


def test_flat_names(report) -> None:
    results = report.results_dict
    assert results["metrics/MR-2(B)"] == report.rows[0].detection["MR-2"]
    assert (results["fusion/EN"], results["weights/inside"]) == (3, 0.5)
    assert results["night/mAP50"] == report.rows[-1].detection["mAP50"]
    assert all(isinstance(value, float) for value in results.values())


def test_files_hold_the_figures(report, tmp_path) -> None:
    report.write_json(tmp_path / "val.json", model="best.pt")
    written = json.loads((tmp_path / "val.json").read_text())
    assert written["model"] == "best.pt"
    assert written["rows"][0]["detection"] == report.rows[0].detection
    assert sum(written["histogram"]["inside"]) == sum(r.weights.inside_counts.sum() for r in RECORDS)
    report.write_csv(tmp_path / "val.csv")
    rows = list(csv.DictReader((tmp_path / "val.csv").open()))
    assert [row["name"] for row in rows] == [row.name for row in report.rows]
    assert float(rows[0]["EN"]) == 3
    assert (rows[1]["EN"], rows[1]["weight_outside"]) in (("", ""), (None, ""))  # not measured by class


def test_curves_mix_what_was_found_with_each_camera() -> None:
    records = []
    for i in range(4):
        seen = record(str(i))
        seen.found |= {"visible": found(False, 0), "infrared": found(True, 0)}
        seen.found |= {f"shift-{pixels}": found(pixels <= 4, 0) for pixels in SHIFTS}
        records.append(seen)
    curves = ValidationReport.of(records, NAMES, "").curves
    assert [x for x, _ in curves["missing"]["infrared missing"]] == [0, 0.25, 0.5, 0.75, 1]
    assert [y for _, y in curves["missing"]["visible missing"]] == pytest.approx([0.995] * 5)
    infrared = [y for _, y in curves["missing"]["infrared missing"]]
    assert infrared[0] == pytest.approx(0.995)
    assert infrared[-1] == 0
    assert all(before > after for before, after in pairwise(infrared))
    assert curves["missing"]["either missing"][-1][1] == pytest.approx(0.5, abs=0.02)
    assert [y > 0.9 for _, y in curves["shift"]["infrared shifted"]] == [True, True, True, False, False]


def test_the_lowest_score_is_the_hardest_miss_then_the_largest() -> None:
    scored = [record("found", score=0.25), record("low", score=0.1), record("small", score=0), record("x", score=0.2)]
    misses = hardest_misses([*scored, record("large", score=0, side=20)])
    assert [miss.record.file for miss in misses] == ["large", "small", "low", "x"]
    assert [miss.record.file for miss in hardest_misses(scored, shown=2)] == ["small", "low"]


def test_one_pair_does_not_fill_the_page() -> None:
    crowd = record("crowd", score=0)
    crowd.boxes_xyxy, crowd.best_scores = np.tile(crowd.boxes_xyxy, (9, 1)), np.zeros(9)
    assert [miss.record.file for miss in hardest_misses([crowd, record("x", score=0.2)])] == ["crowd"] * 3 + ["x"]
