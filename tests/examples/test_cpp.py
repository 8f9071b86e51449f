"""The C++ example, built where OpenVINO and OpenCV are, prints the boxes of PyTorch."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.runtime import Detector
from tests.conftest import EXPORT_IMGSZ, draw_visible, real_pairs
from tests.engine.test_tasks import lively_checkpoint

pytestmark = pytest.mark.slow
SOURCE = Path(__file__).parents[2] / "examples" / "cpp"
CONF = 0.1


@pytest.fixture(scope="module")
def detect(tmp_path_factory) -> Path:
    """The program, built here."""
    openvino = pytest.importorskip("openvino")
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    build = tmp_path_factory.mktemp("build")
    package = f"-DOpenVINO_DIR={Path(openvino.__file__).parent / 'cmake'}"
    configured = subprocess.run(
        ["cmake", "-S", SOURCE, "-B", build, package, "-DCMAKE_BUILD_TYPE=Debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    if configured.returncode and "OpenCV" in configured.stderr:
        pytest.skip("no OpenCV for C++ (libopencv-dev)")
    assert configured.returncode == 0, configured.stderr
    built = subprocess.run(["cmake", "--build", build], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    subprocess.run(["cmake", "--install", build, "--prefix", build / "there"], capture_output=True, check=True)
    return build / "there" / "bin" / "detect"


def run(detect: Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([detect, *map(str, words)], capture_output=True, text=True, check=False)


def as_png(pair: tuple[Path, Path], folder: Path, deep: bool) -> tuple[Path, Path]:
    """Save a pair without loss, the infrared image with 8 or 16 bits: two JPEG decoders may differ by a level."""
    files = folder / "visible.png", folder / "infrared.png"
    infrared = cv2.imread(str(pair[1]), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(files[0]), cv2.imread(str(pair[0])))
    cv2.imwrite(str(files[1]), infrared.astype(np.uint16) * 17 + 3000 if deep else infrared)
    return files


@pytest.mark.parametrize(
    ("kwargs", "deep"),
    [({}, False), ({"inputs": "two", "fused": True}, True), ({"format": "openvino", "inputs": "two"}, False)],
)
def test_same_boxes_as_pytorch(detect, coco, export, roadscene, tmp_path, kwargs, deep):
    model = export(**kwargs)
    model = next(model.glob("*.xml")) if model.is_dir() else model
    count = 0
    for pair in real_pairs(roadscene, 4):
        visible, infrared = as_png(pair, tmp_path, deep)
        done = run(detect, model, visible, infrared, CONF)
        assert done.returncode == 0, done.stderr
        rows = [line.rsplit(" ", 5) for line in done.stdout.splitlines()]
        options = {"imgsz": EXPORT_IMGSZ, "conf": CONF, "rect": False, "verbose": False}
        boxes = coco.predict(visible, infrared=infrared, **options)[0].boxes
        assert [row[0] for row in rows] == [coco.names[int(c)] for c in boxes.cls]
        numbers = np.array([row[1:] for row in rows], float).reshape(-1, 5)
        assert np.abs(numbers[:, 0] - boxes.conf.numpy()).max(initial=0) < 0.01
        assert np.abs(numbers[:, 1:] - boxes.xyxy.numpy()).max(initial=0) < 1
        count += len(rows)
    assert count > 5


@pytest.mark.parametrize("task", ["segment", "obb"])
def test_same_masks_and_turned_boxes_as_the_runtime(detect, task, tmp_path):
    """On a model that has learned nothing, whose boxes are small enough to overlap now and then."""
    checkpoint = lively_checkpoint(tmp_path, task)
    stock = YOLO(checkpoint)
    head = stock.model.model[-1]
    for sides, scores in zip(head.cv2, head.cv3, strict=True):
        torch.nn.init.normal_(sides[-1].weight, std=0.05)
        sides[-1].bias.data = torch.linspace(2, -2, 16).repeat(4)  # near: of the distance to each side, in cells
        scores[-1].bias.data.zero_()
    stock.save(checkpoint)
    model = Path(MetaFusionYOLO(checkpoint).export(format="onnx", imgsz=[96, 128]))
    visible, infrared = draw_visible(0, 120, 200)[0], draw_visible(1, 120, 200)[0][..., 0]
    files = [tmp_path / name for name in ("visible.png", "infrared.png", "masks.png")]
    for file, image in zip(files, (visible[..., ::-1], infrared), strict=False):
        cv2.imwrite(str(file), image)
    done = run(detect, model, *files[:2], CONF, *([files[2]] if task == "segment" else []))
    assert done.returncode == 0, done.stderr
    own = Detector(model, conf=CONF)(cv2.imread(str(files[0])), infrared)
    expected, found = str(own).splitlines(), done.stdout.splitlines()
    assert 5 < len(found) == len(expected) < 200, "of 252 places, for some have a better one beside them"
    for one, other in zip(found, expected, strict=True):
        assert one.split()[0] == other.split()[0]
        np.testing.assert_allclose(*(np.array(line.split()[1:], float) for line in (one, other)), atol=0.2, rtol=1e-3)
    if task == "segment":
        numbers = cv2.imread(str(files[2]), cv2.IMREAD_UNCHANGED)
        drawn = np.zeros_like(numbers)
        for number, mask in enumerate(own.masks[:255], 1):
            drawn[mask] = number
        assert (numbers != drawn).mean() < 1e-3


def test_videos(detect, onnx, roadscene, tmp_path):
    """Each pair has what it would have alone."""
    images = [[cv2.resize(cv2.imread(str(file)), (320, 256)) for file in pair] for pair in real_pairs(roadscene, 3)]
    for k, camera in enumerate(("visible", "infrared")):
        writer = cv2.VideoWriter(str(tmp_path / f"{camera}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 256))
        for pair in images:
            writer.write(pair[k])
        writer.release()
    done = run(detect, onnx, tmp_path / "visible.avi", tmp_path / "infrared.avi", CONF)
    found = list(Detector(onnx, conf=CONF).video(tmp_path / "visible.avi", tmp_path / "infrared.avi"))
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.isdigit()] == ["000000", "000001", "000002"], done.stderr
    assert len(lines) == 3 + sum(len(one.scores) for one in found) > 5


def test_mistakes_end_in_one_line(detect, onnx, export):
    assert run(detect).stderr == "usage: detect MODEL VISIBLE INFRARED [CONF [MASKS]]\n"
    done = run(detect, onnx, "none.png", "none.png")
    assert done.returncode == 2 and re.search("error: 'none.png' cannot be read as an image or a video\n", done.stderr)
    matrix = [[1, 0, 5], [0, 1, 0], [0, 0, 1]]
    done = run(detect, export({"registration": matrix}, imgsz=64), "a.png", "b.png")
    assert "error: this model registers the cameras, which this example does not do" in done.stderr
