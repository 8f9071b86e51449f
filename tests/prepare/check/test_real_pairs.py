"""What is found, and not found, in real pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.prepare.check.images import Measurements
from metafusion_yolo.prepare.check.report import CheckReport
from metafusion_yolo.prepare.check.sequences import PairSequence, find_black_hot, find_polarity_flips
from tests.conftest import linked_roads


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> CheckReport:
    """What the check says about the road pairs as they are."""
    return check_dataset(linked_roads(tmp_path_factory.mktemp("roads")) / "data.yaml")


def test_registered_road_pairs_are_clean(report, roadscene):
    assert len(report.measured) == sum(len(list((roadscene / "images" / s).iterdir())) for s in ("train", "val"))
    assert {finding.kind.name for finding in report.findings if finding.kind.severity != "note"} == set()
    medians = [sequence.median_shift for sequence in report.sequences]
    assert np.abs(medians).max() < 0.005


@pytest.mark.parametrize(("x", "y"), [(-0.02, 0.025), (0.0, -0.05)])
def test_shifted_road_pairs_are_found_and_measured(roadscene, x, y):
    for file in (roadscene / "infrared/train").iterdir():
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        matrix = np.array([[1.0, 0, x * image.shape[1]], [0, 1, y * image.shape[1]]])
        file.unlink()  # a link to the original
        cv2.imwrite(str(file), cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
    report = check_dataset(roadscene / "data.yaml")
    found = {finding.kind.name: finding.cases for finding in report.findings if finding.kind.severity != "note"}
    assert {*found} == {"misregistered"}
    assert [report.short(case.file) for case in found["misregistered"]] == ["images/train/FLIR_"]
    shifts = {report.short(sequence.name): sequence.median_shift for sequence in report.sequences}
    np.testing.assert_allclose(shifts["images/train/FLIR_"], (x, y), atol=0.005)
    np.testing.assert_allclose(shifts["images/val/FLIR_"], (0, 0), atol=0.005)


def test_neighbouring_frames_in_another_split_are_found(roadscene):
    with (roadscene / "data.yaml").open("a") as file:
        file.write("test: images/unlabelled\n")  # frames of the same drives, none beside a labelled one
    original = sorted((roadscene / "images/val").iterdir())[0]
    for part in ("images", "infrared"):  # the next frame: 1 % further
        image = cv2.imread(str(next((roadscene / part / "val").glob(f"{original.stem}.*"))))
        step = image.shape[1] // 100
        cv2.imwrite(str(roadscene / part / "unlabelled" / "next.png"), np.roll(image, step, axis=1))
    report = check_dataset(roadscene / "data.yaml")
    near = [finding for finding in report.findings if finding.kind.name == "near-duplicate"]
    twins = {report.short(case.pair[0]): report.short(case.twin[0]) for finding in near for case in finding.cases}
    assert twins == {"images/unlabelled/next.png": f"images/val/{original.name}"}


def inverted(pair: Measurements) -> Measurements:
    return replace(pair, thumbnail=255 - pair.thumbnail, polarity=-pair.polarity, box_contrasts=-pair.box_contrasts)


def test_black_hot_pairs_are_found_without_labels(report):
    names = {0: "person"}
    for known, witness in ((report.sequences, "boxes"), ([unlabelled(s) for s in report.sequences], "images")):
        assert [*find_black_hot(known, names)] == []
        turned = [replace(s, pairs=tuple(map(inverted, s.pairs))) for s in known]
        assert [case.detail.rpartition(" ")[2] for case in find_black_hot(turned, names)] == [witness]


def unlabelled(sequence: PairSequence) -> PairSequence:
    return replace(
        sequence, pairs=tuple(replace(pair, box_contrasts=pair.box_contrasts * np.nan) for pair in sequence.pairs)
    )


@pytest.mark.parametrize("length", [8, 13, 26])
@pytest.mark.parametrize("labelled", [True, False])
def test_inverted_sequences_of_road_pairs_are_found(report, length, labelled):
    pairs = sorted(report.measured, key=lambda pair: Path(pair.files.visible).name)
    if not labelled:
        pairs = [replace(pair, box_contrasts=pair.box_contrasts * np.nan) for pair in pairs]
    blocks = [pairs[i : i + length] for i in range(0, len(pairs) - length + 1, length)]
    assert flipped(blocks) == []
    found = 0
    for wrong in range(len(blocks)):
        changed = [[inverted(p) for p in block] if i == wrong else block for i, block in enumerate(blocks)]
        assert {*flipped(changed)} <= {str(wrong)}  # never another
        found += flipped(changed) == [str(wrong)]
    assert found >= 0.8 * len(blocks)


def flipped(blocks: list[list[Measurements]]) -> list[str]:
    sequences = [PairSequence(str(i), tuple(block)) for i, block in enumerate(blocks)]
    return [case.file for case in find_polarity_flips(sequences)]


def test_camouflage_and_smoke_give_no_false_alarm_about_the_images(tno):
    (tno / "data.yaml").write_text(f"path: {tno}\ntrain: images\nval: images\nnames: [person]\n")
    kinds = {finding.kind.name for finding in check_dataset(tno / "data.yaml").findings}
    assert kinds <= {"no-labels", "split-leak", "grey-visible"}  # TNO has grey visible images and no labels
