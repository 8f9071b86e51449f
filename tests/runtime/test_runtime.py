"""The runtime without PyTorch finds the boxes that PyTorch finds."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.reading import PairReader, read_visible
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.runtime import Detections, Detector, read_counts, select
from metafusion_yolo.runtime import read_visible as read_bgr
from metafusion_yolo.runtime.__main__ import main
from metafusion_yolo.runtime.heads import outlines
from metafusion_yolo.runtime.moving import live
from metafusion_yolo.runtime.reading import frames
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from tests.conftest import EXPORT_IMGSZ as IMGSZ
from tests.conftest import real_pairs as pairs
from tests.processes import without_pytorch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from mjpeg import MjpegCamera

CAMERAS = {
    "thermal": {"normalize": "fixed", "range": [7000, 7243], "invert": True},
    "registration": {"matrix": [[1.45, 0.02, 3.0], [-0.02, 1.4, 2.0], [0.0003, 0, 1]]},
}


def same(found: Detections, result, pixels: float = 0.02, score: float = 1e-4) -> None:
    """Check that the runtime and the host found the same."""
    boxes = result.boxes
    assert len(found.scores) == len(boxes)
    if len(boxes):
        assert np.array_equal(found.classes, boxes.cls.numpy())
        assert np.abs(found.boxes_xyxy - boxes.xyxy.numpy()).max() < pixels
        assert np.abs(found.scores - boxes.conf.numpy()).max() < score


@pytest.mark.parametrize("arguments", [{}, {"dynamic": True}, {"nms": True, "conf": 0.1}, {"imgsz": (192, 320)}])
def test_same_boxes_as_pytorch_on_real_pairs(coco, export, roadscene, arguments):
    detector = Detector(export(**arguments), conf=0.1, threads=1)
    options = {"imgsz": arguments.get("imgsz", IMGSZ), "conf": 0.1, "rect": "dynamic" in arguments, "verbose": False}
    count = 0
    for visible, infrared in pairs(roadscene):
        found = detector(read_bgr(visible), read_counts(infrared), visible)
        expected = coco.predict(visible, infrared=infrared, **options)[0]
        same(found, expected, pixels=0.1 if "dynamic" in arguments else 0.02)
        count += len(found.scores)
    assert count > 10


@pytest.mark.parametrize("dtype", [np.uint16, np.uint8])
@pytest.mark.parametrize("cameras", [{}, CAMERAS, {"thermal": {"normalize": "clahe"}}])
def test_pairs_are_stacked_as_in_training(export, untrained, tmp_path, cameras, dtype):
    if cameras is CAMERAS and dtype is np.uint8:
        pytest.skip("counts of the fixed range need 16 bits")
    rng = np.random.default_rng(0)
    visible, infrared = tmp_path / "v.png", tmp_path / "i.png"
    cv2.imwrite(str(visible), rng.integers(0, 255, (48, 64, 3), np.uint8))
    counts = rng.integers(7000, 7250, (36, 48)) if dtype is np.uint16 else rng.integers(0, 255, (36, 48))
    cv2.imwrite(str(infrared), counts.astype(dtype))
    detector = Detector(export(cameras, of=untrained, imgsz=64))
    pair = detector.stack(read_bgr(visible), read_counts(infrared), visible)
    reader = PairReader(Rig.from_yaml(cameras))
    assert np.array_equal(pair, reader.read(visible, infrared))
    assert np.array_equal(detector.stack(read_bgr(visible), None, visible), reader.stack(read_visible(visible), None))


@pytest.mark.parametrize("arguments", [{"dynamic": True}, {"batch": 2}])
def test_many_pairs_at_once_give_what_each_gives_alone(export, roadscene, arguments):
    detector = Detector(export(**arguments), conf=0.1, threads=1)
    images = [(read_bgr(visible), read_counts(infrared)) for visible, infrared in pairs(roadscene, 3)]
    images = [images[0], (images[0][0][::-1].copy(), None), *images[1:]]  # sizes alike and different, one camera alone
    runs, session = [], detector.session
    detector.session = SimpleNamespace(get_inputs=session.get_inputs, run=lambda *x: runs.append(x) or session.run(*x))
    many = detector.detect_many(images)
    assert len(runs) < len(images) <= sum(len(feed["images"]) for _, feed in runs)
    for found, (visible, infrared) in zip(many, images, strict=True):
        alone = detector(visible, infrared)
        assert np.array_equal(found.classes, alone.classes)
        assert np.allclose(found.boxes_xyxy, alone.boxes_xyxy, atol=0.01) and np.allclose(found.scores, alone.scores)
    assert sum(len(found.scores) for found in many) and detector.detect_many([]) == []


def test_video_pairs_by_frame(coco, onnx, roadscene, tmp_path):
    videos = []
    for camera, column in (("visible", 0), ("infrared", 1)):
        videos.append(tmp_path / f"{camera}.avi")
        writer = cv2.VideoWriter(str(videos[-1]), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 256))
        for pair in pairs(roadscene, 3):
            writer.write(cv2.resize(read_bgr(pair[column]), (320, 256)))
        writer.release()
    found = list(Detector(onnx, conf=0.1).video(*videos))
    options = {"imgsz": IMGSZ, "conf": 0.1, "rect": False, "verbose": False}
    expected = coco.predict(videos[0], infrared=videos[1], **options)
    assert len(found) == len(expected) == 3
    for first, second in zip(found, expected, strict=True):
        same(first, second)


def test_one_camera_alone(coco, onnx, roadscene):
    visible, _ = pairs(roadscene, 1)[0]
    expected = coco.predict(visible, infrared=None, imgsz=IMGSZ, rect=False, verbose=False)[0]
    same(Detector(onnx)(read_bgr(visible), None), expected)


def test_it_runs_where_there_is_no_pytorch(onnx, roadscene, tmp_path):
    visible, infrared = pairs(roadscene, 1)[0]
    code = without_pytorch("metafusion_yolo.runtime.__main__")
    words = [onnx, visible, infrared, "--conf", "0.1", "--save", tmp_path / "drawn"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = Detector(onnx, conf=0.1)(read_bgr(visible), read_counts(infrared))
    assert done.stdout == f"{visible}\n{expected}\n" and len(expected.scores)
    drawn = cv2.imread(str(tmp_path / "drawn" / f"{visible.stem}.jpg"))
    assert drawn.shape == read_bgr(visible).shape


def test_tracks_lines_of_json_and_a_film_without_pytorch(onnx, roadscene, tmp_path):
    pytest.importorskip("trackers", reason="no trackers")
    [pair] = pairs(roadscene, 1)
    for camera, file in zip(("visible", "infrared"), pair, strict=True):
        writer = cv2.VideoWriter(str(tmp_path / f"{camera}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 256))
        for _ in range(4):
            writer.write(cv2.resize(read_bgr(file), (320, 256)))
        writer.release()
    code = without_pytorch("metafusion_yolo.runtime.__main__")
    film = tmp_path / "film.mp4"
    words = [onnx, tmp_path / "visible.avi", tmp_path / "infrared.avi", "--track", "--json", "--film", film]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == [f"visible-{i:06}" for i in range(4)]
    first, last = ({one.get("track_id"): one for one in row["detections"]} for row in rows[2:])
    assert first.keys() - {None} and first.keys() == last.keys(), "each keeps its number"
    number = next(iter(first.keys() - {None}))
    assert first[number]["box"].keys() == {"x1", "y1", "x2", "y2"} and first[number]["name"] == last[number]["name"]
    assert [len(frame) for frame in frames(film)] == [256] * 4


def test_live_cameras(onnx, roadscene):
    """Frames of two cameras; then one of them dies, and the other goes on alone."""
    images = [cv2.resize(read_bgr(file), (320, 256)) for file in pairs(roadscene, 1)[0]]
    cameras = [MjpegCamera(lambda i, image=image: image, 10) for image in images]
    results = live(Detector(onnx, conf=0.1), *(camera.url for camera in cameras))
    found = next(results)
    expected = Detector(onnx, conf=0.1)(images[0], cv2.cvtColor(images[1], cv2.COLOR_BGR2GRAY))
    assert abs(len(found.scores) - len(expected.scores)) <= 1, "they were sent as JPEG"
    cameras[1].kill()
    alone = Detector(onnx, conf=0.1)(images[0], None)
    end = time.monotonic() + 20
    while abs(next(results).scores.sum() - alone.scores.sum()) > 0.2:
        assert time.monotonic() < end
    results.close()
    cameras[0].kill()


@pytest.mark.parametrize(
    ("visible", "infrared", "says"),
    [
        (np.zeros((40, 60, 3), np.uint8), np.zeros((40, 40), np.uint8), r"sizes \(60x40 and 40x40\) and shapes; reg"),
        (np.zeros((40, 60, 3)), None, r"a visible image must .*, not an array \(40, 60, 3\) float64"),
        (np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), bool), r"an infrared image must .* bool"),
    ],
)
def test_images_that_are_no_pair_are_refused_as_by_the_package(onnx, visible, infrared, says):
    with pytest.raises((UserTypeError, UserValueError), match=says):
        Detector(onnx)(visible, infrared)


def test_infrared_images_of_three_equal_channels_are_grey(export):
    detector, rng = Detector(export(imgsz=64), conf=0.001), np.random.default_rng(0)
    visible, infrared = rng.integers(0, 255, (60, 80, 3), np.uint8), rng.integers(0, 255, (60, 80), np.uint8)
    found = [detector(visible, one).boxes_xyxy.tolist() for one in (infrared, np.dstack([infrared] * 3))]
    assert found[0] == found[1] != []


def test_folders_pair_by_name(onnx, roadscene, capsys):
    assert main([str(onnx), str(roadscene / "images" / "val"), str(roadscene / "infrared" / "val")]) == 0
    lines = capsys.readouterr().out.splitlines()
    files = [line for line in lines if line.endswith(".jpg")]
    assert files == [str(file) for file, _ in pairs(roadscene, count=1000)]


def test_folders_may_hold_other_files_but_not_half_a_pair(onnx, tmp_path, capsys):
    visible, infrared = tmp_path / "v", tmp_path / "i"
    assert main([str(onnx), str(tmp_path), str(infrared)]) == 2 and "no images in" in capsys.readouterr().err
    for file in (visible / "1.png", visible / "2.png", infrared / "1.png"):
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), np.zeros((32, 32), np.uint8))
    (visible / "sub").mkdir()
    for file in (visible / "Thumbs.db", infrared / "1.txt"):
        file.write_text("0 0.5 0.5 0.1 0.1")
    words = [str(onnx), str(visible), str(infrared)]
    assert main(words) == 2 and "2.png' has no partner of its name in" in capsys.readouterr().err
    np.save(infrared / "2.npy", np.zeros((32, 32), np.uint16))
    assert main(words) == 0 and capsys.readouterr().out == f"{visible / '1.png'}\n{visible / '2.png'}\n"
    np.save(infrared / "1.npy", np.zeros((32, 32), np.uint16))
    assert main(words) == 2 and "1.png' are of one name; leave one of them" in capsys.readouterr().err


def test_boxes_are_drawn():
    image = np.zeros((50, 60, 3), np.uint8)
    found = Detections(np.float32([[10, 20, 40, 45]]), np.float32([0.5]), np.array([0]), {0: "car"}, image)
    drawn = found.draw()
    assert drawn[20, 10:41].any(1).all() and drawn[20:46, 40].any(1).all() and not image.any()
    assert str(found) == "car 0.500 10.0 20.0 40.0 45.0"


def test_overlapping_boxes_of_a_class_are_joined_and_of_two_are_not():
    output = np.float32([[10, 10, 10], [10, 10, 10], [8, 8, 8], [8, 8, 8], [0.9, 0.8, 0.0], [0.1, 0.0, 0.7]])
    rows = select(output, conf=0.25, iou=0.5, max_det=10, raw=True)
    np.testing.assert_allclose(rows, [[6, 6, 14, 14, 0.9, 0], [6, 6, 14, 14, 0.7, 1]], rtol=1e-6)
    assert len(select(output, conf=0.95, iou=0.5, max_det=10, raw=True)) == 0
    assert len(select(output, conf=0.25, iou=0.5, max_det=1, raw=True)) == 1


MISTAKES = {
    "model": (["none.onnx", "a", "b"], "no model 'none.onnx'; give an ONNX file written by metafusion export"),
    "visible": (["{onnx}", "a.png", "{image}"], "'a.png' cannot be read as an image; give a visible image"),
    "infrared": (["{onnx}", "{image}", "b.png"], "'b.png' cannot be read as an image; give the infrared partner"),
    "conf": (["{onnx}", "{image}", "{image}", "--conf", "25"], "'conf=25.0' is invalid, expected at least 0 and at"),
    "video": (["{onnx}", "a.mp4", "b.mp4"], "'a.mp4' cannot be opened as a video"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_end_in_one_line(onnx, name, tmp_path, capsys):
    image = tmp_path / "i.png"
    cv2.imwrite(str(image), np.zeros((32, 32), np.uint8))
    words, message = MISTAKES[name]
    assert main([word.format(onnx=onnx, image=image) for word in words]) == 2
    assert message in capsys.readouterr().err


def test_a_stock_export_is_refused(yolov8n, tmp_path):
    from ultralytics import YOLO

    stock = tmp_path / "stock.pt"
    stock.write_bytes(yolov8n.read_bytes())
    file = YOLO(stock).export(format="onnx", imgsz=64)
    with pytest.raises(ValueError, match="does not say how it reads pairs; export it by metafusion export"):
        Detector(file)


def test_exports_are_read_by_the_package_too(onnx, roadscene):
    visible, infrared = pairs(roadscene, 1)[0]
    result = MetaFusionYOLO(onnx).predict(visible, infrared=infrared, imgsz=IMGSZ, verbose=False)[0]
    same(Detector(onnx)(read_bgr(visible), read_counts(infrared)), result)


def test_threads_share_a_detector(export):
    detector, rng = Detector(export(imgsz=64), conf=0.001, threads=1), np.random.default_rng(0)
    images = [(rng.integers(0, 255, (60, 80, 3), np.uint8), rng.integers(0, 255, (60, 80), np.uint8)) for _ in range(8)]
    wanted = [detector(*pair).boxes_xyxy.tolist() for pair in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: detector(*pair).boxes_xyxy.tolist(), images * 5))
    assert any(wanted) and found == wanted * 5


def test_a_pickled_detector_finds_the_same(onnx, roadscene):
    detector = Detector(onnx, conf=0.3, threads=1)
    detector.conf = 0.1  # as it is now, not as it was made
    copy = pickle.loads(pickle.dumps(detector))
    visible, infrared = pairs(roadscene, 1)[0]
    expected, found = (one(read_bgr(visible), read_counts(infrared), visible) for one in (detector, copy))
    assert len(found.scores) and np.array_equal(found.boxes_xyxy, expected.boxes_xyxy)


def test_heat_is_read_within_masks_and_oriented_boxes():
    boxes, mask = np.float32([[2, 2, 12, 9]]), np.zeros((1, 12, 14), bool)
    mask[0, 3:6, 4:9] = True
    assert [*outlines(boxes, masks=mask)[0].min(0), *outlines(boxes, masks=mask)[0].max(0)] == [4, 3, 8, 5]
    assert outlines(boxes, masks=np.zeros_like(mask))[0].tolist() == [[2, 2], [12, 2], [12, 9], [2, 9]]
    turned = np.float32([[[7, 2], [12, 5], [7, 9], [2, 5]]])
    assert outlines(boxes, corners=turned)[0].tolist() == turned[0].tolist()
