"""Geometry of a pair for any numbers: both cameras and the boxes move as one, and come back to where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_yolo_dataset

from metafusion_yolo.data.labels import label_rows
from metafusion_yolo.data.registration import Registration, scaling, warp_infrared
from metafusion_yolo.prepare.convert.boxes import to_labels, union
from metafusion_yolo.prepare.convert.formats import Box
from metafusion_yolo.prepare.register.homography import moved
from tests.conftest import keypoint_row, polygon_row
from tests.data.test_dataset import STILL, assert_registered, build, item

SIDE = st.integers(8, 900)
SIZE = st.tuples(SIDE, SIDE)
POINT = st.tuples(st.floats(0, 1), st.floats(0, 1))
# A camera beside the other: another focal length, a little turned, shifted by up to a third of the image, tilted.
RIGS = st.builds(
    lambda zoom, turn, shift, tilt: [
        [zoom * np.cos(turn), -zoom * np.sin(turn), shift[0]],
        [zoom * np.sin(turn), zoom * np.cos(turn), shift[1]],
        [*tilt, 1],
    ],
    st.floats(0.3, 3),
    st.floats(-0.5, 0.5),
    st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
    st.tuples(st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4)),
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.floats(0, 1) for name in ("mosaic", "mixup", "cutmix", "fliplr", "flipud")},
        **{"degrees": st.floats(0, 180), "translate": st.floats(0, 0.9), "scale": st.floats(0, 0.9)},
        **{"shear": st.floats(0, 40), "perspective": st.floats(0, 0.001)},
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(changes=CHANGES, seed=st.integers(0, 99))
def test_any_augmentation_moves_both_cameras_and_the_boxes_as_the_host_does(make_pair_folder, changes, seed):
    folder = make_pair_folder.folder if hasattr(make_pair_folder, "folder") else make_pair_folder()
    make_pair_folder.folder = folder  # the same files for all examples
    paired = item(build(folder, **changes), seed % 4, seed)
    stock = item(
        build_yolo_dataset(get_cfg(overrides={**STILL, **changes}), str(folder.images), 2, folder.data), seed % 4, seed
    )
    assert_registered(paired["img"])
    assert torch.equal(paired["img"][:3], stock["img"])
    for key in ("cls", "bboxes"):
        assert torch.equal(paired[key], stock[key])


TASKS = {"segment": ("bboxes", "masks"), "pose": ("bboxes", "keypoints"), "obb": ("bboxes",)}


@pytest.mark.parametrize("task", TASKS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(changes=CHANGES, seed=st.integers(0, 99))
def test_any_augmentation_moves_the_labels_of_a_task_as_the_host_does(make_pair_folder, task, changes, seed):
    row = {"pose": keypoint_row}.get(task, polygon_row)
    described = {"kpt_shape": [2, 3], "flip_idx": [1, 0]} if task == "pose" else {}
    folder = make_pair_folder.folder if hasattr(make_pair_folder, "folder") else make_pair_folder(row=row, **described)
    make_pair_folder.folder = folder
    paired = item(build(folder, task=task, **changes), seed % 4, seed)
    args = get_cfg(overrides={**STILL, "task": task, **changes})
    stock = item(build_yolo_dataset(args, str(folder.images), 2, folder.data), seed % 4, seed)
    assert_registered(paired["img"])
    assert torch.equal(paired["img"][:3], stock["img"])
    for key in ("cls", *TASKS[task]):
        assert torch.equal(paired[key], stock[key]), key


@given(before=SIZE, after=SIZE, point=POINT)
def test_a_resize_and_its_inverse_are_one(before, after, point):
    there, back = scaling(before, after), scaling(after, before)
    np.testing.assert_allclose(back @ there, np.eye(3), atol=1e-9)
    corner = np.array([[-0.5, -0.5], [before[0] - 0.5, before[1] - 0.5]])  # corners of the image, not of its pixels
    np.testing.assert_allclose(moved(there, corner), [[-0.5, -0.5], [after[0] - 0.5, after[1] - 0.5]], atol=1e-9)


@given(matrix=RIGS, visible=SIZE, infrared=SIZE, now=SIZE, then=SIZE, point=POINT)
def test_a_registration_measured_at_one_size_holds_at_every_other(matrix, visible, infrared, now, then, point):
    """The same place of the infrared scene comes to the same place of the visible one."""
    registration = Registration.from_yaml({"matrix": matrix, "visible": list(visible), "infrared": list(infrared)})
    measured = registration.homography(None, visible, infrared)
    np.testing.assert_allclose(measured, matrix, atol=1e-9)
    scaled = registration.homography(None, now, then)
    place = np.array([point]) * infrared - 0.5
    expected = moved(scaling(visible, now), moved(measured, place))
    found = moved(scaled, moved(scaling(infrared, then), place))
    assume(np.abs(expected).max() < 1e5)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-5)
    np.testing.assert_allclose(moved(np.linalg.inv(scaled), found), moved(scaling(infrared, then), place), atol=1e-4)


@given(left=st.integers(-20, 20), top=st.integers(-20, 20), seed=st.integers(0, 9))
def test_what_is_warped_lies_where_its_boxes_lie(left, top, seed):
    """A shift by whole pixels copies the infrared image, and leaves the visible luminance around it."""
    rng = np.random.default_rng(seed)
    visible, infrared = np.full((40, 50, 3), 90, np.uint8), rng.integers(100, 256, (40, 50), np.uint8)
    visible[0, 0] = 91  # shows something
    shifted = warp_infrared(visible, infrared, np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]]))
    y, x = np.mgrid[0:40, 0:50]
    inside = (y - top >= 0) & (y - top < 40) & (x - left >= 0) & (x - left < 50)
    np.testing.assert_array_equal(shifted[inside], infrared[(y - top)[inside], (x - left)[inside]])
    assert set(np.unique(shifted[~inside])) <= {90, 91}


BOXES = st.lists(
    st.tuples(st.integers(0, 2), *[st.floats(0, 0.6)] * 2, *[st.floats(0.05, 0.4)] * 2).map(
        lambda row: (row[0], row[1], row[2], row[1] + row[3], row[2] + row[4])
    ),
    max_size=6,
).map(lambda rows: np.array(rows, np.float64).reshape(-1, 5))


@given(boxes=BOXES, size=st.tuples(st.integers(40, 2000), st.integers(40, 2000)))
def test_boxes_come_back_from_their_label_file(boxes, size):
    scale = np.tile(size, 2)
    published = [Box("ab"[0] * (int(row[0]) + 1), tuple(row[1:] * scale)) for row in boxes]
    remarks: list[str] = []
    labels = to_labels(published, {"a": 0, "aa": 1, "aaa": 2}, size, 0, remarks.append)
    assert not remarks and len(labels) == len(boxes)
    read = np.array(
        [line.split() for line in label_rows(labels[:, 0], labels[:, 1:]).splitlines()], np.float64
    ).reshape(-1, 5)
    corners = np.hstack((read[:, 1:3] - read[:, 3:5] / 2, read[:, 1:3] + read[:, 3:5] / 2))
    np.testing.assert_allclose(corners, boxes[:, 1:], atol=2e-6)
    np.testing.assert_array_equal(read[:, 0], boxes[:, 0])


@given(boxes=st.lists(st.tuples(*[st.floats(-1e4, 1e4) | st.sampled_from([np.nan, np.inf])] * 4), max_size=6))
def test_no_label_leaves_the_image_whatever_was_published(boxes):
    remarks: list[str] = []
    labels = to_labels([Box("car", row) for row in boxes], {"car": 0}, (64, 48), 2, remarks.append)
    assert np.isfinite(labels).all() and (labels[:, 1:] >= 0).all() and (labels[:, 1:] <= 1).all()
    assert (labels[:, 3:] > labels[:, 1:3]).all()
    assert len(labels) + len([remark for remark in remarks if "kept" not in remark]) == len(boxes)


@given(first=BOXES, second=BOXES)
def test_a_union_of_labels_loses_no_object_and_invents_none(first, second):
    merged = union(first, second)
    assert max(len(first), len(second)) <= len(merged) <= len(first) + len(second)
    for cls in range(3):
        counts = [(rows[:, 0] == cls).sum() for rows in (first, second, merged)]
        assert max(counts[:2]) <= counts[2] <= sum(counts[:2])
    np.testing.assert_allclose(union(first, first[:0]), first)
