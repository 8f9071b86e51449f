"""Day and night by brightness, and conditions from a file."""

import cv2
import numpy as np
import pytest

from metafusion_yolo.evaluation.conditions import Conditions


@pytest.mark.parametrize(("grey", "below", "expected"), [(79, 80, "night"), (80, 80, "day"), (120, 147, "night")])
def test_night_is_below_a_brightness(tmp_path, grey, below, expected) -> None:
    file = str(tmp_path / "1.png")
    cv2.imwrite(file, np.full((20, 30, 3), grey, np.uint8))
    conditions = Conditions.of_data({}, below)
    assert conditions.of(file) == expected
    assert f"below {below} of 255" in conditions.rule


def test_a_file_names_images_and_folders(tmp_path) -> None:
    (tmp_path / "when.csv").write_text("image,condition\nset06,day\nset06/V003,dusk\nval/7.jpg,night\n8.jpg, fog \n")
    conditions = Conditions.of_data({"path": str(tmp_path), "conditions": "when.csv"})
    assert conditions.of("/data/set06/V001/1.jpg") == "day"
    assert conditions.of("/data/set06/V003/1.jpg") == "dusk"
    assert conditions.of("/data/set06/V003/8.jpg") == "fog"  # the image goes before its folders
    assert conditions.of("/data/val/7.jpg") == "night"
    assert conditions.of("/data/train/7.jpg") == "not listed"
    assert conditions.rule == "conditions as the file of the data-set YAML has them"


def test_a_wrong_file_is_refused_in_one_line(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file '.*when.csv' for 'conditions:'; give a CSV of image,cond"):
        Conditions.of_data({"path": str(tmp_path), "conditions": "when.csv"})
    (tmp_path / "when.csv").write_text("1.jpg,day\n2.jpg\n")
    with pytest.raises(ValueError, match=r"row 2 of '.*when.csv' has 1 columns; give two, image and condition"):
        Conditions.of_data({"path": str(tmp_path), "conditions": "when.csv"})
    with pytest.raises(ValueError, match=r"must name a CSV file of image,condition rows, not \{'day': 1\}"):
        Conditions.of_data({"path": str(tmp_path), "conditions": {"day": 1}})
