"""Embedded synthetic pairs: what a camera must not see leaves no trace, and the boxes say where everything is."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
import yaml
from ultralytics.cfg import get_cfg

from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.description import describe
from metafusion_yolo.options.data import TASKS
from metafusion_yolo.prepare.synthetic import NAMES, SPLITS, pair_seed, render_pair, write_dataset
from metafusion_yolo.prepare.synthetic.easy import CONDITIONS, draw_scene, plan_scene
from metafusion_yolo.prepare.synthetic.scene import Canvas
from metafusion_yolo.prepare.synthetic.truth import keypoints, outline

CAMERAS = ("visible", "infrared")
SEEDS = range(12)
IMGSZ = 160


def difference(plan, other, imgsz=IMGSZ):
    """Return how much two renders differ, (H, W) in grey levels: visible (largest of R, G, B) and infrared."""
    visible, infrared = (
        np.abs(a.astype(int) - b) for a, b in zip(draw_scene(plan, imgsz), draw_scene(other, imgsz), strict=True)
    )
    return {"visible": visible.max(-1), "infrared": infrared}


def alone(plan, item):
    """Return the plan with nothing but one object, for both cameras, and the plan with no object at all."""
    return replace(plan, objects=(replace(item, shown_in="both"),)), replace(plan, objects=())


@pytest.fixture(scope="module")
def contrasts():
    """The mean contrast of every object of a few scenes: (condition, camera, shown there?, grey levels)."""
    found = []
    for plan in map(plan_scene, SEEDS):
        for i, item in enumerate(plan.objects):
            mask = difference(*alone(plan, item))["infrared"] > 20
            assert mask.any()
            images = difference(plan, replace(plan, objects=plan.objects[:i] + plan.objects[i + 1 :]))
            for camera, image in images.items():
                found.append((plan.condition, camera, item.shown_in in {"both", camera}, image[mask].mean()))
    return found


@pytest.mark.parametrize("everything_visible", [False, True])
def test_the_seed_decides_everything(everything_visible):
    a, b, other = (render_pair(seed, 96, everything_visible) for seed in (5, 5, 9))
    assert np.array_equal(a.visible, b.visible) and np.array_equal(a.infrared, b.infrared)
    assert np.array_equal(a.boxes_xyxy, b.boxes_xyxy) and a.shown_in == b.shown_in
    assert a.condition == other.condition and not np.array_equal(a.visible, other.visible)


def test_the_global_random_state_is_left_alone():
    state = np.random.get_state()[1].copy()
    render_pair(0, 64)
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(("imgsz", "height"), [(32, 25), (101, 80), (256, 204), (640, 512)])
def test_shapes_types_and_ranges(imgsz, height):
    pair = render_pair(3, imgsz)
    assert pair.visible.shape == (height, imgsz, 3) and pair.infrared.shape == (height, imgsz)
    assert pair.visible.dtype == pair.infrared.dtype == np.uint8
    assert pair.boxes_xyxy.shape == (len(pair.classes), 4) and pair.boxes_xyxy.dtype == np.float32
    assert pair.classes.dtype == np.int64 and set(pair.classes.tolist()) <= set(NAMES)
    assert len(pair.shown_in) == len(pair.classes)
    assert np.ptp(pair.visible) > 150 and np.ptp(pair.infrared) > 100


def test_boxes_scale_with_the_image():
    small, large = (render_pair(2, imgsz).boxes_xyxy for imgsz in (160, 320))
    np.testing.assert_allclose(2 * small, large, rtol=1e-5)


def test_objects_are_inside_apart_and_of_useful_size():
    heights = []
    for seed in range(100):
        plan = plan_scene(seed)
        boxes = np.array([item.box_xyxy for item in plan.objects])
        assert 2 <= len(boxes) <= 5
        assert boxes.min() >= 0 and boxes[:, 2].max() <= 1.25 and boxes[:, 3].max() <= 1
        for a, b in combinations(boxes, 2):
            overlap = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
            assert overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap) <= 0.1
        heights += (boxes[:, 3] - boxes[:, 1]).tolist()
    assert min(heights) > 0.1 and max(heights) < 0.55 and max(heights) > 3 * min(heights)


def test_what_is_further_up_the_road_is_smaller():
    for plan in map(plan_scene, range(40)):
        things = [*plan.objects, *plan.distractors]
        camera = [(item.foot - plan.horizon) / item.scale for item in things]
        np.testing.assert_allclose(camera, camera[0])
        assert [item.foot for item in plan.objects] == sorted(item.foot for item in plan.objects)  # the nearer on top


# Truth by task ------------------------------------------------------------------------------------------------------
def inside(polygon, points, slack=1.0):
    """Return whether every point lies in a polygon, both in pixels, or at most `slack` pixels beside it."""
    polygon = polygon.astype(np.float32)
    return all(cv2.pointPolygonTest(polygon, (float(x), float(y)), True) > -slack for x, y in points)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hard", [False, True])
def test_outlines_keypoints_and_turned_boxes_fit_what_is_drawn(seed, hard):
    for item in (item for turned in (False, True) for item in render_pair(seed, 64, hard=hard, turned=turned).objects):
        canvas = Canvas(640)
        canvas.draw(replace(item, shown_in="both", parts=tuple(part._replace(temperature=255) for part in item.parts)))
        drawn, polygon = canvas.infrared > 127, outline(item) * 512
        filled = np.zeros_like(canvas.infrared)
        cv2.fillPoly(filled, [(polygon * 16 - 8).astype(np.int32)], 255, cv2.LINE_AA, 4)
        assert (drawn & (filled > 127)).sum() > 0.93 * (drawn | (filled > 127)).sum()
        top, left, right, *ground = points = keypoints(item) * 512
        assert inside(polygon, points)
        if not item.turn:
            assert top[1] < min(left[1], right[1]) and left[0] < right[0]
            assert max(left[1], right[1]) < min(foot[1] for foot in ground) and ground[0][0] < ground[1][0]
        corners = item.corners * 512
        edges = corners[[1, 3]] - corners[0]  # across and along the box
        shares = (polygon - corners[0]) @ edges.T / (edges**2).sum(1)
        np.testing.assert_allclose([shares.min(0), shares.max(0)], [[0, 0], [1, 1]], atol=0.02)
        tilt = abs(np.degrees(np.arctan2(edges[0][1], edges[0][0])))
        assert tilt == 0 if not item.turn else 0 < tilt <= 45


@pytest.mark.parametrize("task", TASKS)
def test_a_dataset_of_a_task_is_labelled_for_it(tmp_path, task):
    file = write_dataset(tmp_path / task, train=2, val=1, imgsz=64, task=task)
    again = write_dataset(tmp_path / task, train=1, val=1, imgsz=64, task=task)  # replaces it, crops too
    assert file == again
    objects = render_pair(pair_seed(0, "train", 0), 64, turned=task == "obb").objects
    if task == "classify":
        crops = sorted((tmp_path / task / "images" / "train").rglob("*.png"))
        assert len(crops) == len(objects) and {crop.parent.name for crop in crops} <= {*NAMES.values()}
        for crop in crops:
            partner = tmp_path / task / "infrared" / crop.relative_to(tmp_path / task / "images")
            assert cv2.imread(str(crop)).shape == cv2.imread(str(partner)).shape
        return
    data = describe(file)
    assert data.get("kpt_shape") == ([5, 3] if task == "pose" else None)
    dataset = build_paired_dataset(get_cfg(overrides={"imgsz": 64, "task": task}), data["train"], 1, data, "val", 32)
    labels = dataset.labels[0]
    assert len(labels["cls"]) == len(objects)
    if task == "pose":
        expected = [keypoints(item) / [64 / 51, 1] for item in objects]
        np.testing.assert_allclose(labels["keypoints"][..., :2], expected, atol=1e-5)
    elif task != "detect":
        shape = outline if task == "segment" else lambda item: item.corners
        for polygon, item in zip(labels["segments"], objects, strict=True):
            np.testing.assert_allclose(polygon, shape(item) / [64 / 51, 1], atol=1e-5)


def extents(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("seed", range(0, 24, 3))
def test_boxes_are_tight(seed):
    plan, pair = plan_scene(seed), render_pair(seed, 320)
    for item, box in zip(plan.objects, pair.boxes_xyxy, strict=True):
        canvas = Canvas(320)
        canvas.draw(replace(item, shown_in="both", parts=tuple(part._replace(temperature=255) for part in item.parts)))
        np.testing.assert_allclose(box, extents(canvas.infrared > 127), atol=2)
        recorded = difference(*alone(plan, item), imgsz=320)["infrared"] > 20  # a little wider by the blur
        np.testing.assert_allclose(box, extents(recorded), atol=3)


def test_a_hidden_object_leaves_no_trace(contrasts):
    hidden = [contrast for *_, shown, contrast in contrasts if not shown]
    assert len(hidden) > 15
    assert max(hidden) < 0.5


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_shown_object_stands_out(contrasts, condition, camera):
    shown = [contrast for c, k, is_shown, contrast in contrasts if (c, k) == (condition, camera) and is_shown]
    assert min(shown) > 20 and np.mean(shown) > 40


@pytest.mark.parametrize(("condition", "low", "high"), [("night", 0, 70), ("smoke", 150, 215), ("glare", 225, 255)])
def test_the_visible_camera_is_blinded_where_it_misses_an_object(condition, low, high):
    levels = []
    for seed in range(CONDITIONS.index(condition), 48, len(CONDITIONS)):
        pair = render_pair(seed, IMGSZ)
        plan = replace(plan_scene(seed), objects=())
        empty = draw_scene(plan, IMGSZ)[0]
        for (x0, y0, x1, y1), shown_in in zip(pair.boxes_xyxy.astype(int), pair.shown_in, strict=True):
            if shown_in == "infrared":
                levels.append(empty[y0:y1, x0:x1].mean())
    assert len(levels) >= 8
    assert low <= min(levels) and max(levels) <= high


@pytest.mark.parametrize("first", [0, 100, 12345])
def test_each_group_gets_a_third(first):
    plans = [plan_scene(seed) for seed in range(first, first + 100)]
    counts = Counter(item.shown_in for plan in plans for item in plan.objects)
    assert set(counts) == {"both", "visible", "infrared"}
    assert all(0.28 <= count / counts.total() <= 0.39 for count in counts.values())
    assert Counter(plan.condition for plan in plans) == dict.fromkeys(CONDITIONS, 25)
    for plan in plans:
        groups = {item.shown_in for item in plan.objects}
        assert len(groups) > 1 and (plan.condition != "day" or "infrared" not in groups)


def test_both_classes_are_common_in_every_group():
    items = [item for seed in range(100) for item in plan_scene(seed).objects]
    counts = Counter((item.category, item.shown_in) for item in items)
    assert len(counts) == 6 and min(counts.values()) > 0.08 * len(items)


@pytest.mark.parametrize("seed", range(4))
def test_everything_visible_changes_nothing_but_what_is_seen(seed):
    pair, full = render_pair(seed, IMGSZ), render_pair(seed, IMGSZ, everything_visible=True)
    assert set(full.shown_in) == {"both"} and set(pair.shown_in) != {"both"}
    assert np.array_equal(pair.boxes_xyxy, full.boxes_xyxy) and np.array_equal(pair.classes, full.classes)
    assert pair.condition == full.condition
    plan = plan_scene(seed)
    for item, box in zip(plan.objects, full.boxes_xyxy.astype(int), strict=True):
        mask = difference(*alone(plan, item))["infrared"] > 20
        for camera in CAMERAS:
            changed = np.abs(getattr(full, camera).astype(int) - getattr(pair, camera))
            expected = item.shown_in not in {"both", camera}
            assert (changed[mask].mean() > 15) == expected, (camera, box)


@pytest.mark.parametrize(
    ("arguments", "message"), [((0, 31), "imgsz must be at least 32 pixels, got 31"), ((-1, 64), "non-negative")]
)
def test_bad_arguments_of_a_pair(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_pair(*arguments)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("pairs") / "new" / "synthetic", train=5, val=3, imgsz=64)


def test_layout_of_a_dataset(dataset):
    root = dataset.parent
    assert dataset.name == "synthetic.yaml" and dataset.is_absolute()
    files = {str(path.relative_to(root)) for path in root.rglob("*.*")}
    expected = {
        f"{folder}/{split}/{i:06d}.{suffix}"
        for folder, suffix in (("images", "png"), ("infrared", "png"), ("labels", "txt"))
        for split, count in (("train", 5), ("val", 3))
        for i in range(count)
    }
    assert files == expected | {"synthetic.yaml", "shown_in.csv"}
    assert yaml.safe_load(dataset.read_text()) == {
        "path": str(root),
        "train": "images/train",
        "val": "images/val",
        "names": {0: "person", 1: "car"},
        "infrared": "infrared",
    }


def test_files_hold_what_is_rendered(dataset):
    root = dataset.parent
    with (root / "shown_in.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "box", "class", "shown_in", "condition"]
    for split, count in (("train", 5), ("val", 3)):
        for i in range(count):
            pair, stem = render_pair(pair_seed(0, split, i), 64), f"{split}/{i:06d}"
            visible = cv2.imread(str(root / "images" / f"{stem}.png"))[..., ::-1]
            infrared = cv2.imread(str(root / "infrared" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(visible, pair.visible) and np.array_equal(infrared, pair.infrared)
            labels = np.loadtxt(root / "labels" / f"{stem}.txt", ndmin=2)
            centre, size = labels[:, 1:3] * [64, 51], labels[:, 3:] * [64, 51]
            np.testing.assert_allclose(np.hstack([centre - size / 2, centre + size / 2]), pair.boxes_xyxy, atol=1e-3)
            mine = [row for row in rows if row["file"] == f"labels/{stem}.txt"]
            assert [int(row["box"]) for row in mine] == list(range(len(pair.classes)))
            assert [int(row["class"]) for row in mine] == labels[:, 0].tolist() == pair.classes.tolist()
            assert [row["shown_in"] for row in mine] == list(pair.shown_in)
            assert {row["condition"] for row in mine} == {pair.condition}


def test_splits_share_no_seed():
    seeds = {split: {pair_seed(seed, split, i) for seed in range(3) for i in range(500)} for split in SPLITS}
    assert all(len(found) == 1500 for found in seeds.values()) and not seeds["train"] & seeds["val"]


def test_a_dataset_is_replaced_whole(tmp_path, dataset):
    write_dataset(tmp_path, train=3, val=2, imgsz=32, seed=1)
    leftovers = [tmp_path / "labels" / "train.cache", tmp_path / "images" / "train" / "000002.npy"]
    for path in leftovers:  # as the host leaves them with cache=disk
        path.touch()
    (tmp_path / "runs").mkdir()
    write_dataset(tmp_path, train=2, val=2, imgsz=64)
    assert not any(path.exists() for path in leftovers) and (tmp_path / "runs").is_dir()
    assert len(list((tmp_path / "images" / "train").iterdir())) == 2
    for path in ("images/train/000001.png", "infrared/val/000001.png", "labels/val/000000.txt"):  # counts do not matter
        assert (tmp_path / path).read_bytes() == (dataset.parent / path).read_bytes()


def test_an_interrupted_dataset_can_be_written_again(tmp_path):
    write_dataset(tmp_path, 1, 1, 32).unlink()
    assert write_dataset(tmp_path, 1, 1, 32).is_file()


def test_everything_visible_dataset(tmp_path, dataset):
    path = write_dataset(tmp_path, train=2, val=1, imgsz=64, everything_visible=True)
    assert "visible" not in {line.split(",")[3] for line in (tmp_path / "shown_in.csv").read_text().split()}
    labels = "labels/train/000001.txt"
    assert (tmp_path / labels).read_text() == (dataset.parent / labels).read_text()
    assert path.parent == tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0}, "'train=0' is invalid, expected at least 1"),
        ({"val": -2}, "'val=-2' is invalid, expected at least 1"),
        ({"imgsz": 31}, "'imgsz=31' is invalid, expected at least 32"),
        ({"seed": -1}, "'seed=-1' is invalid, expected at least 0"),
    ],
)
def test_bad_arguments_of_a_dataset(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["", "notes.txt"])
def test_a_folder_with_something_else_is_left_alone(tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files than a synthetic data set; name a new or an empty"):
        write_dataset(tmp_path / name, 1, 1, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
