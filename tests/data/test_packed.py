"""Labels in arrays are those that the host scanned, whatever is done with them."""

from __future__ import annotations

import pickle
from copy import deepcopy
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ultralytics.data.dataset import YOLODataset

from metafusion_yolo.data.packed import PackedLabels, Packer
from tests.data.test_dataset import build, item

KINDS = "boxes", "polygons", "keypoints"


@st.composite
def scanned(draw) -> tuple[list[dict], list[str]]:
    """Return labels as the host scans them, and the images, some of which have none."""
    kind, counts = draw(st.sampled_from(KINDS)), draw(st.lists(st.integers(-1, 4), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    files, labels = [f"{i}.jpg" for i in range(len(counts) + 1)], []
    for file, count in zip(files, [*counts, 1], strict=True):  # the last one can be used
        if count < 0:
            continue
        polygons = [rng.random((rng.integers(3, 6), 2), np.float32) for _ in range(count if kind == "polygons" else 0)]
        labels.append(
            {
                "im_file": file,
                "shape": (int(rng.integers(1, 99)), int(rng.integers(1, 99))),
                "cls": rng.integers(0, 3, (count, 1)).astype(np.float32),
                "bboxes": rng.random((count, 4), np.float32),
                "segments": polygons,
                "keypoints": rng.random((count, 2, 3), np.float32) if kind == "keypoints" else None,
                "normalized": True,
                "bbox_format": "xywh",
            }
        )
    return labels, files


def pack(labels: list[dict], files: list[str]) -> dict[str, np.ndarray]:
    packer = Packer(files)
    for label in labels:
        packer.add(label)
    return packer.arrays()


def same(one: dict, other: dict) -> None:
    np.testing.assert_equal(one, other)
    assert all(one[key].dtype == other[key].dtype == np.float32 for key in ("cls", "bboxes"))


@given(labels_and_files=scanned(), seed=st.integers(0, 9))
def test_labels_come_out_as_they_went_in(labels_and_files, seed):
    labels, files = labels_and_files
    packed = PackedLabels(pickle.loads(pickle.dumps(pack(labels, files))), files)
    assert len(packed) == len(labels)
    for one, other in zip(packed, labels, strict=True):
        same(one, other)
    order = np.random.default_rng(seed).permutation(len(labels))
    moved = packed.reordered(order)
    for i, place in enumerate(order):
        same(moved[i], labels[place])
        same(moved[i - len(labels)], labels[place])
    for one, place in zip(moved[1:3], order[1:3], strict=True):
        same(one, labels[place])
    with pytest.raises(IndexError):
        moved[len(labels)]


@given(
    labels_and_files=scanned(),
    classes=st.none() | st.lists(st.integers(0, 3), min_size=1, max_size=3),
    single=st.booleans(),
)
def test_classes_are_chosen_as_the_host_chooses_them(labels_and_files, classes, single):
    labels, files = labels_and_files
    host = YOLODataset.__new__(YOLODataset)
    host.labels, host.single_cls = deepcopy(labels), single
    host.update_labels(classes)
    order = range(len(labels))[::-1]
    chosen = PackedLabels(pack(labels, files), files).reordered(order).of_classes(classes, single)
    for one, i in zip(chosen, order, strict=True):
        same(one, host.labels[i])


def test_labels_are_scanned_and_written_once(pair_folder, monkeypatch):
    written = []
    save = "save_dataset_cache_file"
    for module in ("ultralytics.data.dataset", "metafusion_yolo.data.packed_dataset"):
        write = getattr(import_module(module), save)
        monkeypatch.setattr(f"{module}.{save}", lambda *args, w=write: (written.append(args[1]), w(*args)))
    first, again = build(pair_folder), build(pair_folder)
    for one, other in zip(again.labels, first.labels, strict=True):
        same(one, other)
    assert len(written) == 1


@pytest.mark.parametrize("mode", ["train", "val"])
def test_shapes_decide_the_order_of_rectangular_batches_as_in_the_host(make_pair_folder, mode):
    folder = make_pair_folder(8, [(30, 60), (60, 30), (48, 64), (60, 32)])
    plain, rectangular = build(folder, mode=mode), build(folder, mode=mode, rect=True)
    by_file = {label["im_file"]: label for label in plain.labels}
    assert rectangular.im_files != plain.im_files == sorted(by_file)
    for i, label in enumerate(rectangular.labels):
        same(label, by_file[rectangular.im_files[i]])
        assert item(rectangular, i)["im_file"] == label["im_file"]
    ratios = [height / width for height, width in rectangular.labels.shapes]
    assert ratios == sorted(ratios)
