"""Slices of large pairs: their geometry, the merging of their boxes, and small objects that the whole pair hides."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import box_iou
from ultralytics.utils.checks import check_yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.predict.slicing import Slicing, cut, merge, place
from tests.conftest import EXPORT_IMGSZ
from tests.engine.conftest import IMGSZ
from tests.engine.predict.test_outputs import write_videos

TILE = (264, 152)  # width and height of a RoadScene pair in the mosaic


# Geometry ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(100, 100), (480, 1000), (641, 640), (64, 900), (1999, 333)])
@pytest.mark.parametrize(("side", "overlap"), [(64, 0.2), (64, 0), (100, 0.5), (320, 0.9)])
def test_slices_cover_the_pair_and_overlap_enough(size, side, overlap):
    height, width = size
    windows = Slicing(side, overlap).windows(height, width)
    if max(size) <= side:
        assert windows == []
        return
    seen = np.zeros(size, int)
    for left, top, right, bottom in windows:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == min(side, width) and bottom - top == min(side, height)
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1
    for starts in (sorted({w[0] for w in windows}), sorted({w[1] for w in windows})):
        assert all(second - first <= round(side * (1 - overlap)) + 1 for first, second in pairwise(starts))


def test_no_slices_unless_asked_for():
    assert Slicing().windows(5000, 5000) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 8}, "'slice=8' is invalid, expected at least 32, or 0"),
        ({"size": -640}, "'slice=-640' is invalid"),
        ({"size": 640, "overlap": 1}, "'overlap=1' is invalid, expected at least 0 and below 1"),
        ({"size": 640, "overlap": -0.1}, r"'overlap=-0\.1' is invalid"),
    ],
)
def test_wrong_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Slicing(**arguments)


def test_both_cameras_are_cut_alike():
    pair = np.random.default_rng(0).integers(0, 256, (90, 120, 4), dtype=np.uint8)
    pair[..., 3] = pair[..., 0]
    part = cut(pair, (30, 20, 94, 84))
    assert part.shape == (64, 64, 4) and np.array_equal(part[..., 3], part[..., 0])
    assert np.array_equal(part, pair[20:84, 30:94])


# Boxes ---------------------------------------------------------------------------------------------------------------
def test_boxes_come_to_their_place_unless_an_inner_edge_cuts_them():
    boxes = torch.tensor(
        [
            [10, 10, 30, 30, 0.9, 0],  # whole
            [0, 20, 15, 40, 0.8, 0],  # cut on the left
            [50, 20, 99, 40, 0.8, 0],  # cut on the right
            [20, 0, 40, 15, 0.7, 1],  # at the upper border of the pair, so it is whole
        ]
    )
    placed = place(boxes, (100, 0, 200, 100), height=300, width=300)
    assert placed.tolist() == [pytest.approx([110, 10, 130, 30, 0.9, 0]), pytest.approx([120, 0, 140, 15, 0.7, 1])]
    assert len(place(boxes, (0, 0, 100, 100), height=100, width=100)) == 4  # no inner edges
    assert torch.equal(boxes[0, :4], torch.tensor([10.0, 10, 30, 30]))  # not changed in place


def test_each_object_is_kept_once_and_the_surest_box_of_it():
    boxes = torch.tensor(
        [[0, 0, 10, 10, 0.6, 0], [1, 0, 11, 10, 0.9, 0], [0, 0, 10, 10, 0.5, 1], [50, 50, 60, 60, 0.7, 0]]
    )
    assert merge(boxes, iou=0.7, max_det=300)[:, 4].tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert merge(boxes, iou=0.7, max_det=300, agnostic=True)[:, 4].tolist() == pytest.approx([0.9, 0.7])
    assert merge(boxes, iou=0.7, max_det=1)[:, 4].tolist() == pytest.approx([0.9])
    assert merge(boxes[:0], iou=0.7, max_det=1).shape == (0, 6)


# Prediction ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def mosaic(roadscene) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """A large pair of 4 x 4 small ones: visible (H, W, 3) B, G, R, infrared (H, W), boxes (K, 5) class, xyxy."""
    visible, infrared, boxes = [], [], []
    for i, file in enumerate(sorted((roadscene / "images" / "train").iterdir())[:16]):
        partner = next((roadscene / "infrared" / "train").glob(f"{file.stem}.*"))
        visible.append(cv2.resize(cv2.imread(str(file)), TILE))
        infrared.append(cv2.resize(cv2.imread(str(partner), cv2.IMREAD_GRAYSCALE), TILE))
        for row in (roadscene / "labels" / "train" / f"{file.stem}.txt").read_text().splitlines():
            cls, *xywh = map(float, row.split())
            x, y, w, h = np.array(xywh) * [*TILE, *TILE]
            x, y = x + i % 4 * TILE[0], y + i // 4 * TILE[1]
            boxes.append((cls, x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    rows = [np.concatenate([np.hstack(part[i : i + 4]) for i in range(0, 16, 4)]) for part in (visible, infrared)]
    return rows[0], rows[1], torch.tensor(boxes)


def found(result, boxes: torch.Tensor) -> int:
    """Return how many of the labelled boxes (K, 5) have a detection of their class with an IoU of 0.5 or more."""
    alike = (boxes[:, :1] == result.boxes.cls) & (box_iou(boxes[:, 1:], result.boxes.xyxy) >= 0.5)
    return int(alike.any(1).sum())


def test_slices_find_small_objects_that_the_whole_pair_hides(coco, mosaic):
    visible, infrared, boxes = mosaic
    options = {"source": visible, "infrared": infrared, "imgsz": 320, "verbose": False}
    [whole], [sliced] = coco.predict(**options), coco.predict(**options, slice=200)
    assert found(sliced, boxes) > 3 * max(1, found(whole, boxes))
    assert sliced.fused.shape == visible.shape and len(sliced.box_weights) == len(sliced)
    overlaps = box_iou(sliced.boxes.xyxy, sliced.boxes.xyxy).fill_diagonal_(0)
    assert overlaps[sliced.boxes.cls[:, None] == sliced.boxes.cls].max() < 0.5  # each object once
    assert len(coco.predict(**options, slice=200, max_det=3)[0]) == 3
    [again] = coco.predict(**options)  # the slices of a call are not those of the next
    assert torch.equal(again.boxes.data, whole.boxes.data)


def test_slices_do_not_depend_on_the_batch_or_the_format(coco, onnx, mosaic):
    visible, infrared, _ = (part[:400, :600] for part in mosaic)
    options = {"source": visible, "infrared": infrared, "imgsz": EXPORT_IMGSZ, "rect": False, "slice": 200}
    [one], [batched] = coco.predict(**options), coco.predict(**options, batch=5)
    assert len(one) == len(batched) > 5
    assert torch.allclose(one.boxes.data, batched.boxes.data, atol=1e-2)
    [exported] = MetaFusionYOLO(onnx).predict(**options)
    assert len(one) == len(exported)
    assert torch.allclose(one.boxes.data, exported.boxes.data, atol=1e-2)


def test_small_pairs_are_not_sliced(coco, mosaic):
    options = {"source": mosaic[0][:150, :150], "infrared": mosaic[1][:150, :150], "imgsz": 160, "verbose": False}
    [whole], [sliced] = coco.predict(**options), coco.predict(**options, slice=160)
    assert torch.equal(whole.boxes.data, sliced.boxes.data)


@pytest.mark.parametrize("mode", ["predict", "track"])
def test_videos_are_sliced_frame_by_frame(run, tmp_path, mode):
    videos = write_videos(tmp_path, frames=3)
    model = MetaFusionYOLO(run.best)
    results = getattr(model, mode)(**videos, slice=40, conf=0.0005, imgsz=IMGSZ, verbose=False)
    assert len(results) == 3
    for result in results:
        assert result.boxes.xyxy.min() >= 0 and result.boxes.xyxy.max() <= 64 if len(result) else True


def test_tensors_can_be_sliced(run):
    tensor = torch.rand(2, 4, 64, 96, generator=torch.Generator().manual_seed(0))
    results = MetaFusionYOLO(run.best).predict(tensor, slice=48, conf=0.0005, verbose=False)
    assert [len(result) > 0 for result in results] == [True, True]


def test_trackers_that_need_features_of_the_network_say_so(run, tmp_path):
    tracker = tmp_path / "reid.yaml"
    tracker.write_text(Path(check_yaml("botsort.yaml")).read_text().replace("with_reid: False", "with_reid: True"))
    videos = write_videos(tmp_path, frames=2)
    with pytest.raises(ValueError, match="slice= finds boxes without features: set 'with_reid: False'"):
        MetaFusionYOLO(run.best).track(
            **videos, tracker=str(tracker), slice=40, conf=0.0005, imgsz=IMGSZ, verbose=False
        )
