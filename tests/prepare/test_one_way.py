"""What training lists the check lists too, and what a conversion keeps together the check does not call a leak."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.data.description import describe
from metafusion_yolo.data.listing import list_images, split_images
from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.prepare.check.files import read_source
from metafusion_yolo.prepare.convert import convert
from tests.prepare.convert.miniatures import image

LISTS = {
    "folder": "images/train",
    "several folders": ["images/train", "images/more"],
    "above nested folders": "images",
    "glob": "images/*/*.png",
    "list": ("images/train/0.png\n# a comment\n\n  images/more/1.png  \n"),
    "list of Windows": ("images\\train\\0.png\r\nimages\\more\\1.png\r\n"),
    "list relative to itself": "./images/train/0.png\n./images/more/deep/2.png\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_training_and_check_list_the_same_files(tmp_path, name) -> None:
    for i, folder in enumerate(("train", "more", "more/deep")):
        for kind in ("images", "infrared"):
            image(tmp_path / kind / folder / f"{i}.png", i, grey=kind == "infrared")
    entry = LISTS[name]
    if isinstance(entry, str) and "\n" in entry:
        (tmp_path / "train.txt").write_text(entry, encoding="utf-8")
        entry = "train.txt"
    file = tmp_path / "data.yaml"
    file.write_text(yaml.safe_dump({"path": str(tmp_path), "train": entry, "val": "images/train", "names": ["car"]}))
    if name == "glob":  # which the host refuses in a YAML
        assert len(list_images(tmp_path / entry)) == 2
        return
    trained = split_images(describe(file), "train")
    assert trained and [*read_source(file).splits["train"].partners] == trained
    assert {Path(f).name for f in trained} <= {"0.png", "1.png", "2.png"}


def test_a_fixed_camera_is_split_as_the_check_wants_it(tmp_path) -> None:
    """Eight drives of six frames, in each of which the camera stands still while something moves."""
    rng, src = np.random.default_rng(0), tmp_path / "src"
    for scene in range(8):
        views = {k: cv2.imread(str(image(tmp_path / f"{k}.png", scene + s))) for k, s in (("visible", 0), ("ir", 99))}
        for frame in range(6):
            for camera, view in views.items():
                moved = view.copy()
                height, width = moved.shape[:2]
                moved[height // 2 : height // 2 + 4, frame * width // 8 :][:, :4] = 255
                noisy = cv2.add(moved, rng.integers(0, 6, moved.shape, np.uint8))
                target = src / camera / f"{scene}{frame}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(target), noisy)
    (src / "classes.txt").write_text("car\n")
    report = convert("yolo", src, tmp_path / "dst")
    assert {f.kind.name for f in check_dataset(report.yaml).findings}.isdisjoint({"near-duplicate", "split-leak"})
    # and the other way round: a frame put on the other side is a near duplicate again
    for folder in ("images", "infrared", "labels"):
        file = min((tmp_path / "dst" / folder / "train").iterdir())
        shutil.move(file, tmp_path / "dst" / folder / "val" / file.name)
    assert "near-duplicate" in {finding.kind.name for finding in check_dataset(report.yaml).findings}
