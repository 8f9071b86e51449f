"""The paired data set: every option of the host that moves pixels keeps the pair registered.

The infrared plane of the test pairs equals the red one, and all else is noise: any shift between the two shows.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_yolo_dataset
from ultralytics.data.dataset import YOLODataset

from metafusion_yolo import PairError
from metafusion_yolo.config import Augment
from metafusion_yolo.data import dataset as dataset_module
from metafusion_yolo.data.dataset import PairedYOLODataset, build_paired_dataset
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.unlabelled import UnlabelledDataset
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from tests.conftest import LEVELS

NONE = Augment(0, 0, 0, 0, 0)
STILL = {
    **dict.fromkeys(("mosaic", "mixup", "cutmix", "copy_paste", "degrees", "translate", "scale", "shear"), 0.0),
    **dict.fromkeys(("perspective", "fliplr", "flipud", "hsv_h", "hsv_s", "hsv_v"), 0.0),
    "task": "detect",
    "imgsz": 64,
    "deterministic": False,  # else cache=ram warns
    "augmentations": [],  # else Albumentations blurs one camera of a pair in a hundred, by a seed of its own
}
GEOMETRY = {
    "mosaic": {"mosaic": 1.0},
    "mixup": {"mixup": 1.0},
    "mosaic and mixup": {"mosaic": 1.0, "mixup": 1.0},
    "cutmix": {"cutmix": 1.0, "mosaic": 1.0},
    "copy_paste flip": {"copy_paste": 1.0},
    "copy_paste mixup": {"copy_paste": 1.0, "copy_paste_mode": "mixup"},
    "degrees": {"degrees": 40.0},
    "translate": {"translate": 0.3},
    "scale": {"scale": 0.5},
    "shear": {"shear": 20.0},
    "perspective": {"perspective": 0.001},
    "fliplr": {"fliplr": 1.0},
    "flipud": {"flipud": 1.0},
    "all": {
        **{"mosaic": 1.0, "mixup": 0.5, "cutmix": 0.5, "copy_paste": 0.5, "degrees": 20.0, "translate": 0.2},
        **{"scale": 0.5, "shear": 10.0, "perspective": 0.0005, "fliplr": 0.5, "flipud": 0.5},
    },
}
BLENDS = {"mixup", "mosaic and mixup", "cutmix", "copy_paste flip", "copy_paste mixup", "all"}


def build(
    folder,
    mode="train",
    photometric=NONE,
    img_path=None,
    batch=2,
    rect=False,
    data=None,
    kind=PairedYOLODataset,
    **overrides,
):
    args = get_cfg(overrides={**STILL, **overrides})
    path = str(folder.images) if img_path is None else img_path
    data = folder.data if data is None else data
    return build_paired_dataset(args, path, batch, data, mode, stride=32, rect=rect, photometric=photometric, kind=kind)


def item(dataset: YOLODataset, index: int, seed: int = 0) -> dict:
    """Return an item, from the same buffer and the same random numbers whatever came before."""
    dataset.buffer.clear()
    dataset.buffer.extend(range(len(dataset)))
    random.seed(seed)
    np.random.seed(seed)
    return dataset[index]


def assert_registered(pair: torch.Tensor) -> None:
    assert pair.shape[-3] == 4
    assert torch.equal(pair[..., 3, :, :], pair[..., 0, :, :])


# Geometry ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("option", GEOMETRY)
def test_training_option_keeps_the_pair_registered(make_pair_folder, option):
    folder = make_pair_folder(polygons=option.startswith("copy_paste"))
    still, moving = build(folder), build(folder, **GEOMETRY[option])
    stock = build_yolo_dataset(get_cfg(overrides={**STILL, **GEOMETRY[option]}), str(folder.images), 2, folder.data)
    moved = 0
    for seed in range(4):
        index = seed % len(moving)
        moved_item, stock_item = item(moving, index, seed), item(stock, index, seed)
        assert_registered(moved_item["img"])
        for key in ("cls", "bboxes"):
            assert torch.equal(moved_item[key], stock_item[key])
        assert torch.equal(moved_item["img"][:3], stock_item["img"])
        moved += not torch.equal(moved_item["img"], item(still, index)["img"])
    assert moved >= 2  # a pair may be mixed with itself, or leave no room to paste


@pytest.mark.parametrize("option", [name for name in GEOMETRY if name not in BLENDS])
def test_labels_follow_both_cameras(pair_folder, option):
    dataset = build(pair_folder, **GEOMETRY[option])
    checked = 0
    for seed in range(6):
        labelled = item(dataset, seed % len(dataset), seed)
        height, width = labelled["img"].shape[1:]
        for cls, (x, y, w, h) in zip(labelled["cls"].flatten().tolist(), labelled["bboxes"].tolist(), strict=True):
            if min(w * width, h * height) < 6:
                continue  # a sliver at the border
            pixel = labelled["img"][:, int(y * height), int(x * width)].tolist()
            assert pixel == pytest.approx([LEVELS[int(cls)]] * 4, abs=2)
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("option", ["copy_paste flip", "copy_paste mixup", "mixup"])
def test_pasted_objects_bring_their_labels(make_pair_folder, option):
    dataset = build(make_pair_folder(polygons=True), **GEOMETRY[option])
    assert max(len(item(dataset, i)["cls"]) for i in range(len(dataset))) > 2


def test_mosaic_mixes_several_pairs(pair_folder):
    dataset = build(pair_folder, mosaic=1.0)
    assert max(len(item(dataset, 0, seed)["cls"]) for seed in range(4)) > 2


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (30, 50), (200, 131)])
def test_letterbox_of_validation_keeps_the_pair_registered(make_pair_folder, size):
    dataset = build(make_pair_folder(2, [size]), mode="val")
    for i in range(2):
        pair = item(dataset, i)["img"]
        assert pair.shape == (4, 64, 64)
        assert_registered(pair)
        assert (pair[:, 0, 0] == 114).all() or (pair[:, -1, -1] == 114).all()


@pytest.mark.parametrize("mode", ["train", "val"])
def test_rectangular_batches_keep_the_pair_registered(make_pair_folder, mode):
    sizes = [(30, 60), (60, 30), (48, 64), (60, 32)]
    folder = make_pair_folder(8, sizes)
    dataset = build(folder, mode=mode, rect=True)
    shapes = set()
    for i in range(8):
        labelled = item(dataset, i)
        assert_registered(labelled["img"])
        shapes.add(tuple(labelled["img"].shape[1:]))
        source = Path(labelled["im_file"])
        assert dataset.partners[str(source)] == str(folder.root / "infrared" / "train" / source.name)
    assert len(shapes) > 1
    assert [Path(f).stem for f in dataset.im_files] != [str(i) for i in range(8)]  # sorted by shape


def test_rect_argument_does_the_same(make_pair_folder):
    dataset = build(make_pair_folder(2, [(30, 60)]), rect=True)
    assert dataset.rect
    assert item(dataset, 0)["img"].shape == (4, 32, 64)


def test_multi_scale_keeps_the_pair_registered(pair_folder, monkeypatch):
    dataset = build(pair_folder, augmentations=[])
    args = SimpleNamespace(multi_scale=0.5, imgsz=64)
    trainer = FusionDetectionTrainer.__new__(FusionDetectionTrainer)
    vars(trainer).update(device=torch.device("cpu"), args=args, stride=32)
    monkeypatch.setattr(FusionDetectionTrainer, "augmentation", Augment(degradation=0.0))  # spoilt pairs show no edges
    sizes = set()
    for seed in range(12):
        batch = dataset.collate_fn([item(dataset, i) for i in range(4)])
        random.seed(seed)
        pair = trainer.preprocess_batch(batch)["img"]
        assert_registered(pair)
        assert 0 <= pair.min() < pair.max() <= 1
        sizes.add(tuple(pair.shape[2:]))
    assert sizes == {(32, 32), (64, 64), (96, 96)}


@pytest.mark.parametrize("imgsz", [64, 90])
@pytest.mark.parametrize(
    "mode", [{}, {"rect_mode": False}, {"resize_short": True}], ids=["long side", "stretch", "short side"]
)
def test_loaded_pair_has_the_size_and_colours_of_the_host(make_pair_folder, imgsz, mode):
    sizes = [(48, 64), (64, 48), (64, 64), (37, 53), (331, 97), (97, 331)]
    folder = make_pair_folder(len(sizes), sizes)
    ours = build(folder, mode="val", imgsz=imgsz)
    stock = build_yolo_dataset(get_cfg(overrides={**STILL, "imgsz": imgsz}), str(folder.images), 2, folder.data, "val")
    for i in range(len(sizes)):
        pair, *shapes = ours.load_image(i, **mode)
        image, *expected = stock.load_image(i, **mode)
        assert shapes == expected
        np.testing.assert_array_equal(pair[..., 2::-1], image)


def test_mosaic_buffer_is_bounded_as_in_the_host(make_pair_folder):
    folder = make_pair_folder(6)
    args = {**STILL, "mosaic": 1.0}
    ours = build(folder, batch=1, **args)
    ours.max_buffer_length = 3
    for i in range(6):
        ours.load_image(i)
    assert ours.buffer == [4, 5]
    assert [image is not None for image in ours.ims] == [False] * 4 + [True] * 2


# Photometry ----------------------------------------------------------------------------------------------------------
def test_training_changes_each_camera_but_validation_neither(pair_folder):
    changing = {"photometric": Augment(0.3, 0.1, 0.02, 0, 0), "hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4}
    still = item(build(pair_folder, mode="val", **changing), 0)["img"]
    moving = item(build(pair_folder, **changing), 0)["img"]
    assert_registered(still)
    assert (moving[:3] != still[:3]).any()
    assert (moving[3] != still[3]).any()


def test_modality_dropout_reaches_the_training_pairs(pair_folder):
    dataset = build(pair_folder, photometric=Augment(0, 0, 0, 0, 1.0))
    lost = [
        [not item(dataset, 0, seed)["img"][planes].any() for planes in (slice(3), slice(3, 4))] for seed in range(8)
    ]
    assert all(sum(cameras) == 1 for cameras in lost)
    assert len({tuple(cameras) for cameras in lost}) == 2


def test_photometry_stays_when_the_mosaic_closes(pair_folder):
    dataset = build(pair_folder, photometric=Augment(0, 0, 0, 0, 1.0), mosaic=1.0)
    before = [type(t).__name__ for t in dataset.transforms.transforms]
    dataset.close_mosaic(get_cfg(overrides=STILL))
    assert [type(t).__name__ for t in dataset.transforms.transforms] == before
    assert before[-3:] == ["PairedPhotometric", "ModalityDropout", "Format"]


# What is in it -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("fraction", "count"), [(1.0, 8), (0.5, 4), (0.01, 1), (3, 3), (99, 8), ([0.25, 1.0], 2)])
def test_fraction_counts_pairs(make_pair_folder, fraction, count):
    dataset = build(make_pair_folder(8), fraction=fraction)
    assert len(dataset) == count
    assert_registered(item(dataset, count - 1)["img"])


def test_fraction_leaves_validation_alone(make_pair_folder):
    assert len(build(make_pair_folder(4), mode="val", fraction=0.5)) == 4


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_both_cameras_may_share_a_folder(pair_folder, fraction):
    for visible, infrared in zip(pair_folder.visible, pair_folder.infrared, strict=True):
        visible.rename(visible.with_name(f"{visible.stem}_vis.png"))
        infrared.rename(visible.with_name(f"{visible.stem}_ir.png"))  # sorts before the visible one
        labels = pair_folder.root / "labels" / "train" / f"{visible.stem}.txt"
        labels.rename(labels.with_name(f"{visible.stem}_vis.txt"))
    data = {**pair_folder.data, "infrared": {"from": "_vis", "to": "_ir"}}
    dataset = build(pair_folder, data=data, fraction=fraction)
    assert len(dataset) == 4 * fraction
    for i in range(len(dataset)):
        labelled = item(dataset, i)
        assert labelled["im_file"].endswith("_vis.png")
        assert len(labelled["cls"]) == 2
        assert_registered(labelled["img"])


def test_classes_and_single_cls_act_on_the_labels(pair_folder):
    only = item(build(pair_folder, classes=[1]), 0)
    assert only["cls"].flatten().tolist() == [1]
    single = item(build(pair_folder, single_cls=True), 0)
    assert single["cls"].flatten().tolist() == [0, 0]
    for labelled in (only, single):
        assert_registered(labelled["img"])


@pytest.mark.parametrize("form", ["list of folders", "text file", "list of text files"])
def test_splits_may_be_lists(make_pair_folder, form):
    first, second = make_pair_folder(2, name="a"), make_pair_folder(3, name="b")
    if form == "list of folders":
        path = [str(first.images), str(second.images)]
    else:
        lists = []
        for folder in (first, second):
            lists.append(str(folder.root / "train.txt"))
            Path(lists[-1]).write_text("\n".join(map(str, folder.visible)))
        path = lists if form == "list of text files" else lists[1]
    dataset = build(first, img_path=path)
    assert len(dataset) == (3 if form == "text file" else 5)
    for i in range(len(dataset)):
        assert_registered(item(dataset, i)["img"])


def test_real_pairs_are_loaded(roadscene):
    folder = SimpleNamespace(images=roadscene / "images" / "val", data={"names": {0: "p", 1: "b", 2: "c"}})
    dataset = build(folder, mode="val")
    assert len(dataset) == len(list(folder.images.iterdir())) > 3
    labelled = item(dataset, 3)
    assert labelled["img"].shape == (4, 64, 64)
    assert labelled["img"][3].float().std() > 5
    assert (roadscene / "labels" / "val.cache").is_file()


# Problems ------------------------------------------------------------------------------------------------------------
def test_all_pairing_problems_come_in_one_error(make_pair_folder):
    folder = make_pair_folder(4)
    folder.infrared[0].unlink()
    folder.visible[1].unlink()
    (folder.infrared[2].parent / "2.tif").touch()
    with pytest.raises(PairError) as caught:
        build(folder)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"3 problems in {folder.images}:"
    assert f"no infrared image for '{folder.visible[0]}'" in lines[1]
    assert f"ambiguous infrared image for '{folder.visible[2]}'" in lines[2]
    assert f"no visible image for '{folder.infrared[1]}'" in lines[3]


def test_all_broken_files_come_in_one_error(make_pair_folder, truncate):
    folder = make_pair_folder(5)
    truncate(folder.visible[0])
    folder.infrared[1].write_bytes(b"")
    cv2.imwrite(str(folder.infrared[2]), np.zeros((48, 48), np.uint8))
    with pytest.raises(PairError) as caught:
        build(folder)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"3 problems in {folder.images}:"
    assert f"'{folder.visible[0]}' cannot be read" in lines[1]
    assert f"'{folder.infrared[1]}' is empty (0 bytes)" in lines[2]
    assert "have different sizes (64x48 and 48x48)" in lines[3]
    assert not list(folder.root.rglob("*.cache"))


def test_listed_image_that_is_missing_is_named(pair_folder):
    listing = pair_folder.root / "train.txt"
    listing.write_text("\n".join(map(str, pair_folder.visible)))
    pair_folder.visible[2].unlink()
    message = rf"1 of 4 files listed in '{listing}' do not exist: '{pair_folder.visible[2]}'; restore them or correct"
    with pytest.raises(FileNotFoundError, match=message):
        build(pair_folder, img_path=str(listing))


def test_infrared_images_beside_a_list_are_no_problem(pair_folder):
    listing = pair_folder.root / "train.txt"
    listing.write_text(f"{pair_folder.visible[1]}\n")
    assert len(build(pair_folder, img_path=str(listing))) == 1


def test_problem_outside_the_fraction_is_reported_too(make_pair_folder):
    folder = make_pair_folder(4)
    folder.infrared[3].unlink()
    with pytest.raises(PairError, match="no infrared image"):
        build(folder, fraction=0.25)


@pytest.mark.parametrize("content", ["nothing", "no images"])
def test_empty_folder_is_named(make_pair_folder, content):
    folder = make_pair_folder(0)
    if content == "no images":
        (folder.images / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=rf"^no images in '{folder.images}'; give an image, a folder"):
        build(folder)


def test_wrong_rule_names_the_yaml(pair_folder):
    data = {**pair_folder.data, "infrared": 5, "yaml_file": "d.yaml"}
    with pytest.raises(ValueError, match=r"'infrared: 5' in d\.yaml is not a pairing rule"):
        build(pair_folder, data=data)


def test_different_sizes_are_resized_with_a_warning(pair_folder, monkeypatch):
    for file in pair_folder.infrared[:2]:
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file), 0), (32, 24)))
    warnings = []
    monkeypatch.setattr(dataset_module.LOGGER, "warning", warnings.append)
    dataset = build(pair_folder)
    [text] = [w for w in warnings if "sizes" in w]
    assert text.count("the infrared image is resized") == 2
    assert str(pair_folder.infrared[0]) in text
    assert item(dataset, 0)["img"].shape == (4, 64, 64)


# Caches --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def checks(monkeypatch) -> list[str]:
    """The visible files that were decoded for a check."""
    seen = []
    check = PairReader.check
    monkeypatch.setattr(PairReader, "check", lambda self, v, ir: (seen.append(v), check(self, v, ir))[1])
    return seen


def later(file: Path, seconds: int = 10) -> None:
    stat = file.stat()
    os.utime(file, (stat.st_atime, stat.st_mtime + seconds))


def test_pairs_are_decoded_once_and_again_when_an_infrared_file_changes(pair_folder, checks):
    build(pair_folder)
    assert len(checks) == 4
    build(pair_folder)
    assert len(checks) == 4
    later(pair_folder.infrared[1])
    build(pair_folder)
    assert len(checks) == 8


def test_pairs_without_labels_are_decoded_once_too(make_pair_folder, checks):
    pairs = make_pair_folder(3, sizes=((48, 64), (40, 40)))
    for expected in (3, 3):
        dataset = build(pairs, kind=UnlabelledDataset)
        assert len(checks) == expected and [tuple(label["shape"]) for label in dataset.labels][1] == (40, 40)
    (pairs.infrared[1]).unlink()
    with pytest.raises(PairError, match="no infrared image"):
        build(pairs, kind=UnlabelledDataset)
    pairs.visible[1].unlink()
    assert len(build(pairs, kind=UnlabelledDataset)) == 2 and len(checks) == 5


def test_change_of_the_rule_scans_again(pair_folder, checks):
    build(pair_folder)
    (pair_folder.root / "infrared").rename(pair_folder.root / "lwir")
    build(pair_folder, data={**pair_folder.data, "infrared": "lwir"})
    assert len(checks) == 8


@pytest.mark.parametrize(
    "change",
    [{"thermal": {"invert": True}}, {"registration": [[1, 0, 2], [0, 1, 0], [0, 0, 1]]}],
    ids=lambda change: next(iter(change)),
)
def test_change_of_the_rig_scans_and_caches_again(pair_folder, checks, change):
    build(pair_folder, cache="disk")
    dataset = build(pair_folder, cache="disk", data={**pair_folder.data, **change})
    assert len(checks) == 8
    plain = build(pair_folder, data={**pair_folder.data, **change})
    np.testing.assert_array_equal(item(dataset, 0)["img"], item(plain, 0)["img"])
    assert not torch.equal(item(dataset, 0)["img"], item(build(pair_folder), 0)["img"])


@pytest.mark.parametrize("cache", [None, "ram", "disk"])
@pytest.mark.parametrize("off", ["visible", "infrared"])
def test_camera_that_is_off_is_blank_with_its_letterbox(make_pair_folder, cache, off):
    folder = make_pair_folder(2, [(30, 60)])
    args = get_cfg(overrides={**STILL, "cache": cache})
    whole = build(folder, mode="val")
    dataset = build_paired_dataset(args, str(folder.images), 2, {**folder.data, "thermal": {"invert": True}}, "val", 32)
    blind = build_paired_dataset(
        args, str(folder.images), 2, {**folder.data, "thermal": {"invert": True}}, "val", 32, off=off
    )
    for i in range(2):
        pair, kept = item(blind, i)["img"], item(dataset, i)["img"]
        planes, others = (slice(3), slice(3, 4)) if off == "visible" else (slice(3, 4), slice(3))
        assert pair.shape == item(whole, i)["img"].shape == (4, 64, 64)
        assert not pair[planes].any()
        assert torch.equal(pair[others], kept[others])


def test_infrared_shift_reaches_the_training_pairs_only(pair_folder):
    shift = Augment(0, 0, 0, 0.1, 0)
    for mode, moves in (("train", True), ("val", False)):
        dataset = build(pair_folder, mode=mode, photometric=shift)
        still = build(pair_folder, mode=mode)
        pairs = [(item(dataset, 0, seed)["img"], item(still, 0, seed)["img"]) for seed in range(6)]
        assert all(torch.equal(moved[:3], stayed[:3]) for moved, stayed in pairs)
        assert any(not torch.equal(moved[3], stayed[3]) for moved, stayed in pairs) == moves


def test_infrared_file_broken_after_the_scan_is_found(pair_folder, truncate):
    build(pair_folder)
    truncate(pair_folder.infrared[2])
    with pytest.raises(PairError, match=rf"'{pair_folder.infrared[2]}' cannot be read"):
        build(pair_folder)


@pytest.mark.parametrize("cache", ["ram", True, "disk"])
def test_cached_pairs_equal_those_of_the_files(make_pair_folder, cache):
    folder = make_pair_folder(4, [(48, 64), (30, 50)])
    for mode, option in (("train", {"degrees": 10.0}), ("val", {})):
        cached, plain = build(folder, mode=mode, cache=cache, **option), build(folder, mode=mode, **option)
        for i in range(4):
            assert torch.equal(item(cached, i)["img"], item(plain, i)["img"])
    mosaics = build(folder, cache=cache, mosaic=1.0)
    for i in range(4):
        assert_registered(item(mosaics, i)["img"])


def test_ram_cache_reads_each_file_once(pair_folder, monkeypatch):
    dataset = build(pair_folder, cache="ram")
    monkeypatch.setattr(PairReader, "read", lambda *_: pytest.fail("read again"))
    for i in range(4):
        item(dataset, i)


def npy_files(folder) -> list[Path]:
    return sorted(folder.images.glob("*.npy"))


def test_disk_cache_is_written_beside_the_hosts_and_used(pair_folder, monkeypatch):
    hosts = [file.with_suffix(".npy") for file in pair_folder.visible]
    for file in hosts:
        np.save(file, np.zeros((48, 64, 3), np.uint8))
    before = [file.read_bytes() for file in hosts]
    dataset = build(pair_folder, cache="disk")
    ours = [file for file in npy_files(pair_folder) if file not in hosts]
    assert len(ours) == 4
    assert all(file.name.endswith(".pair.npy") for file in ours)
    assert [file.read_bytes() for file in hosts] == before
    assert len(list(pair_folder.images.iterdir())) == 12  # no half-written file
    monkeypatch.setattr(PairReader, "read", lambda *_: pytest.fail("read again"))
    for i in range(4):
        assert_registered(item(dataset, i)["img"])
        assert item(dataset, i)["img"][0].max() > 200


def test_caches_of_the_host_are_not_read(pair_folder):
    for file in pair_folder.visible:
        np.save(file.with_suffix(".npy"), np.zeros((48, 64, 4), np.uint8))
        later(file.with_suffix(".npy"))
    assert item(build(pair_folder), 0)["img"][0].max() > 200


@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_disk_cache_is_refreshed_when_a_file_is_newer(pair_folder, camera):
    build(pair_folder, cache="disk")
    file = getattr(pair_folder, camera)[0]
    cv2.imwrite(str(file), np.full((48, 64), 77, np.uint8))
    later(file)
    pair = item(build(pair_folder, cache="disk", mode="val"), 0)["img"]
    planes = pair[:3] if camera == "visible" else pair[3:]
    assert (planes[:, 20:40, 20:40] == 77).all()
    assert len(npy_files(pair_folder)) == 4


def test_disk_cache_of_another_infrared_folder_is_not_used(pair_folder):
    build(pair_folder, cache="disk")
    other = pair_folder.root / "swir" / "train"
    other.mkdir(parents=True)
    for file in pair_folder.infrared:
        cv2.imwrite(str(other / file.name), np.full((48, 64), 77, np.uint8))
        later(other / file.name, -1000)
    dataset = build(pair_folder, mode="val", cache="disk", data={**pair_folder.data, "infrared": "swir"})
    assert (item(dataset, 0)["img"][3, 20:40] == 77).all()


def test_full_disk_leaves_nothing_half_written(pair_folder, monkeypatch):
    save = np.save

    def fail(file, *args, **kwargs):
        if ".pair." not in str(getattr(file, "name", "")):
            return save(file, *args, **kwargs)
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    warnings = []
    monkeypatch.setattr(dataset_module.LOGGER, "warning", warnings.append)
    dataset = build(pair_folder, cache="disk")
    assert sum("No space left" in w for w in warnings) == 4
    assert sorted(pair_folder.images.iterdir()) == pair_folder.visible
    assert_registered(item(dataset, 0)["img"])


@pytest.mark.parametrize("cache", [False, "ram", "disk"])
def test_read_only_folder_works(pair_folder, monkeypatch, cache):
    access = os.access  # the tests may run as root, whom no mode bits stop
    monkeypatch.setattr(os, "access", lambda path, mode, **kw: not mode & os.W_OK and access(path, mode, **kw))
    before = sorted(pair_folder.root.rglob("*"))
    dataset = build(pair_folder, cache=cache)
    assert sorted(pair_folder.root.rglob("*")) == before
    assert len(dataset) == 4
    assert_registered(item(dataset, 0)["img"])


def test_item_equals_the_two_files(make_pair_folder):
    folder = make_pair_folder(2, [(64, 64)])
    dataset = build(folder)
    assert isinstance(dataset, PairedYOLODataset)
    expected = PairReader().read(folder.visible[1], folder.infrared[1])
    np.testing.assert_array_equal(item(dataset, 1)["img"].permute(1, 2, 0).numpy(), expected)
