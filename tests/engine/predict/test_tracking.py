"""Tracking on moving pairs: identities persist, and motion is estimated on the fused image."""

from __future__ import annotations

import itertools
import logging

import cv2
import numpy as np
import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.predict.results import FusionResults, showing_fused
from tests.conftest import TINY
from tests.engine.predict.moving import moving_pairs, write_videos

FRAMES, PAN = 16, 2.5
OPTIONS = {"imgsz": 320, "conf": 0.25, "verbose": False, "stream": True}


@pytest.fixture(scope="module")
def pairs() -> list:
    return list(moving_pairs(FRAMES, pan=PAN))


@pytest.fixture
def coco(yolov8n) -> MetaFusionYOLO:
    return MetaFusionYOLO("metafusion-yolov8n.yaml").load(str(yolov8n))


@pytest.fixture(scope="module")
def untrained() -> MetaFusionYOLO:
    return MetaFusionYOLO(TINY)


def dark_from(pairs: list, start: int) -> list:
    """Return the pairs with the visible camera dark from a frame on."""
    return [(np.zeros_like(v) if i >= start else v, ir) for i, (v, ir) in enumerate(pairs)]


def identities(results) -> list[dict[int, np.ndarray]]:
    """Return the boxes of each frame by identity, xyxy."""
    return [dict(zip(r.boxes.id.int().tolist(), r.boxes.xyxy.numpy(), strict=True)) for r in results]


def centre(box_xyxy):
    return (box_xyxy[:2] + box_xyxy[2:]) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tracker", "start"),
    [("botsort.yaml", FRAMES), ("bytetrack.yaml", FRAMES // 2), ("tracktrack.yaml", FRAMES // 2)],
)
def test_identities_persist(tmp_path, coco, pairs, tracker, start):
    visible, infrared = write_videos(tmp_path, dark_from(pairs, start))
    results = list(coco.track(visible, infrared=infrared, tracker=tracker, **OPTIONS))
    assert [r.modalities for r in results] == ["both"] * start + ["infrared"] * (FRAMES - start)
    frames = identities(results)
    assert len(set().union(*frames)) == 5  # as many identities as objects
    for before, after in itertools.pairwise(frames):
        assert len(after) >= 4
        for identity in set(before) & set(after):
            moved = centre(before[identity]) - centre(after[identity])
            assert np.abs(moved).max() < 10, "the identity went over to another object"


@pytest.mark.parametrize("start", [FRAMES, 0], ids=["both", "visible dark"])
def test_motion_is_estimated_on_the_fused_image(tmp_path, untrained, pairs, start, caplog):
    visible, infrared = write_videos(tmp_path, dark_from(pairs, start)[:4])
    with caplog.at_level(logging.WARNING):
        for result in untrained.track(visible, infrared=infrared, tracker="botsort.yaml", **OPTIONS):
            seen = untrained.predictor.trackers[0].gmc
            height, width = (side // seen.downscale for side in result.orig_shape)
            expected = cv2.resize(cv2.cvtColor(result.image("fused"), cv2.COLOR_BGR2GRAY), (width, height))
            np.testing.assert_array_equal(seen.prevFrame, expected)
            assert result.orig_img.any() == (start > 0), "the result keeps its own image"
    assert not [record for record in caplog.records if "GMC" in record.message]
    if start == 0:
        assert seen.prevKeyPoints is not None


def test_motion_of_a_dark_visible_camera_is_found(tmp_path, untrained, pairs):
    files = write_videos(tmp_path, dark_from(pairs, 0)[:2])
    images = []
    for result in untrained.track(files[0], infrared=files[1], tracker="botsort.yaml", **OPTIONS):
        with showing_fused([result]):
            images.append(result.orig_img.copy())
    gmc = type(untrained.predictor.trackers[0].gmc)("sparseOptFlow")
    gmc.apply(images[0])
    warp = gmc.apply(images[1])
    assert warp[0, 2] == pytest.approx(-PAN, abs=1.5)
    assert np.eye(2) == pytest.approx(warp[:, :2], abs=0.02)


def test_export_without_fused_image_shows_a_camera_that_is_on(pairs):
    visible, infrared = pairs[0]
    for image, expected in (
        (visible, visible),
        (np.zeros_like(visible), cv2.cvtColor(infrared, cv2.COLOR_GRAY2BGR)),
    ):
        result = FusionResults(np.dstack((image[..., ::-1], infrared)), None, path="", names={})
        with showing_fused([result]):
            np.testing.assert_array_equal(result.orig_img, expected)
        np.testing.assert_array_equal(result.orig_img, image)


def test_two_dark_cameras_do_not_stop_the_tracker(tmp_path, untrained, pairs):
    black = [(np.zeros_like(v), np.zeros_like(ir)) for v, ir in pairs[:3]]
    files = write_videos(tmp_path, [*pairs[:2], *black, *pairs[2:4]])
    results = list(untrained.track(files[0], infrared=files[1], tracker="botsort.yaml", **OPTIONS))
    assert [r.modalities for r in results] == ["both"] * 2 + ["none"] * 3 + ["both"] * 2


def test_identities_stay_with_the_results(coco, tmp_path, pairs):
    files = write_videos(tmp_path, pairs[:2])
    for result in coco.track(files[0], infrared=files[1], **OPTIONS):
        assert result.orig_img.shape == pairs[0][0].shape
        assert result.fused.shape == pairs[0][0].shape
        assert result.infrared.shape == pairs[0][1].shape


def test_modalities_of_every_source(untrained, pairs):
    visible, infrared = pairs[0]
    for source, partner, expected in [
        (visible, infrared, "both"),
        (visible, None, "visible"),
        (visible, np.zeros_like(infrared), "visible"),
        (np.zeros_like(visible), infrared, "infrared"),
    ]:
        [result] = untrained.predict(source, infrared=partner, imgsz=320, verbose=False)
        assert result.modalities == expected
