from __future__ import annotations

import cv2
import pytest

from metafusion_yolo.cli.demo import run_demo
from metafusion_yolo.options import Demo


@pytest.mark.slow
def test_the_demo_does_the_whole_main_job(tmp_path, capsys):
    outcome = run_demo(Demo(epochs=1, imgsz=64, train=8, val=4, batch=4, project=tmp_path, name="d"))
    assert set(outcome["mAP50"]) == {"both cameras", "visible only", "infrared only"}
    assert outcome["box_px"] < 1 and outcome["score"] < 0.01
    height, width = cv2.imread(str(outcome["picture"])).shape[:2]
    assert width > 4 * height  # four views side by side
    assert (tmp_path / "d" / "predict").is_dir() and outcome["export"].endswith(".onnx")
