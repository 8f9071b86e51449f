"""Albumentations and data sets of one's own reach pairs, or are told that they do not."""

from __future__ import annotations

import builtins
import logging

import cv2
import numpy as np
import pytest
from ultralytics.data import build as host_build
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils.instance import Instances

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.augment import PairedAlbumentations, moves
from metafusion_yolo.data.dataset import PairedYOLODataset
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.support.errors import MissingPackageError, UserError
from tests.engine.conftest import TRAIN_ARGS

A = pytest.importorskip("albumentations")
HEIGHT, WIDTH = 48, 64
BOX = (20, 10, 40, 30)  # x1, y1, x2, y2 of a bright object, whose red plane is the infrared one too

SPATIAL = [
    A.HorizontalFlip(p=1),
    A.VerticalFlip(p=1),
    A.Affine(rotate=(20, 20), p=1),
    A.Affine(translate_px={"x": (3, 3), "y": (-2, -2)}, scale=(0.8, 0.8), p=1),
    A.Perspective(scale=(0.1, 0.1), p=1),
    A.RandomCrop(40, 48, p=1),
    A.Transpose(p=1),
    A.OneOf([A.HorizontalFlip(p=1), A.Compose([A.Blur(p=0), A.VerticalFlip(p=1)], p=1)], p=1),
]
PHOTOMETRIC = [A.Blur(p=1), A.ToGray(p=1), A.RandomBrightnessContrast((0.2, 0.2), (0.2, 0.2), p=1), A.GaussNoise(p=1)]


def labels() -> dict:
    visible = np.random.default_rng(0).integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    visible = cv2.GaussianBlur(visible, (5, 5), 0)
    visible[BOX[1] : BOX[3], BOX[0] : BOX[2]] = (250, 200, 250)
    x1, y1, x2, y2 = BOX
    box = [[(x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT]]
    instances = Instances(np.array(box, np.float32), np.zeros((0, 1000, 2), np.float32), bbox_format="xywh")
    return {"img": np.dstack([visible, visible[..., 0]]), "cls": np.zeros((1, 1)), "instances": instances}


def id_of(transform) -> str:
    return type(transform).__name__


@pytest.mark.parametrize("transform", SPATIAL, ids=id_of)
def test_what_moves_pixels_moves_both_cameras_and_the_boxes(transform):
    before, after = labels()["img"], PairedAlbumentations([A.to_dict(transform)])(labels())
    pair = after["img"]
    assert pair.shape != before.shape or (pair[..., :3] != before[..., :3]).any()
    np.testing.assert_array_equal(pair[..., 3], pair[..., 0])
    after["instances"].convert_bbox("xyxy")
    after["instances"].denormalize(*pair.shape[1::-1])
    ys, xs = np.nonzero(pair[..., 3] > 170)
    [box] = after["instances"].bboxes
    assert box == pytest.approx([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], abs=3)


@pytest.mark.parametrize("transform", PHOTOMETRIC, ids=id_of)
@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_what_changes_colours_changes_the_camera_that_it_is_named_for(transform, camera):
    if camera == "infrared" and isinstance(transform, A.ToGray):
        pytest.skip("for colours only")
    plain = [A.to_dict(transform)]
    own = PairedAlbumentations(plain) if camera == "visible" else PairedAlbumentations([], plain)
    before, after = labels()["img"], own(labels())["img"]
    assert (after[..., :3] != before[..., :3]).any() == (camera == "visible")
    assert (after[..., 3] != before[..., 3]).any() == (camera == "infrared")


def test_both_kinds_at_once_each_do_theirs():
    transforms = [A.HorizontalFlip(p=1), A.RandomBrightnessContrast((-0.3, -0.3), (0, 0), p=1)]
    own = PairedAlbumentations([A.to_dict(t) for t in transforms], [A.to_dict(A.InvertImg(p=1))])
    before, after = labels()["img"][:, ::-1], own(labels())["img"]
    np.testing.assert_array_equal(after[..., 3], 255 - before[..., 3])
    assert after[..., :3].mean() < before[..., :3].mean() - 15


def train(data, folder, trainer=None, **given):
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    model.train(trainer, data=str(data), epochs=1, project=str(folder), plots=False, **TRAIN_ARGS, **given)
    return model


def test_a_training_augments_both_cameras_and_remembers_it(tiny_data, tmp_path):
    model = train(
        tiny_data,
        tmp_path,
        augmentations=[A.HorizontalFlip(p=1), A.Blur(p=0.5)],
        infrared_augmentations=[A.GaussNoise(p=0.5)],
    )
    [own] = [t for t in model.trainer.train_loader.dataset.transforms.transforms if isinstance(t, PairedAlbumentations)]
    assert own.contains_spatial and moves(own.transform) and not moves(own.infrared.transform)
    assert [t["transform"]["__class_fullname__"].split(".")[-1] for t in model.trainer.args.augmentations] == [
        "HorizontalFlip",
        "Blur",
    ]
    assert len(model.trainer.args.infrared_augmentations) == 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"infrared_augmentations": [A.HorizontalFlip()]},
            "HorizontalFlip moves the image",
        ),
        (
            {"augmentations": [A.Lambda(image=lambda x, **_: x)]},
            "augmentations: A.Lambda cannot be kept",
        ),
        ({"augmentations": ["blur"]}, "augmentations= must be a list of Albumentations transforms"),
        ({"augmentations": "blur"}, "augmentations= must be a list of Albumentations transforms"),
        ({"augmentations": A.Blur()}, "augmentations= must be a list of Albumentations transforms, such as [A.Blur"),
    ],
)
def test_wrong_transforms_cost_one_line(given, text):
    with pytest.raises(UserError) as caught:
        MetaFusionYOLO("metafusion-yolov8n.yaml").train(data="a.yaml", **given)
    assert text in str(caught.value)


def test_without_the_package_transforms_are_not_passed_over(monkeypatch):
    real = builtins.__import__

    def lacking(name, *args, **kwargs):
        if name == "albumentations":
            raise ModuleNotFoundError("No module named 'albumentations'", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(MissingPackageError, match="augmentations= needs the package 'albumentationsx'"):
        MetaFusionYOLO("metafusion-yolov8n.yaml").train(data="a.yaml", augmentations=[{"transform": {}}])
    assert PairedAlbumentations()(labels())["img"].shape == (HEIGHT, WIDTH, 4)


# A data set of one's own ----------------------------------------------------------------------------------------------
class Brighter(PairedYOLODataset):
    """Adds light to the infrared image, and remembers that it was asked."""

    asked = 0

    def load_image(self, *args, **kwargs):
        pair, *sizes = super().load_image(*args, **kwargs)
        type(self).asked += 1
        pair = pair.copy()
        pair[..., 3] |= 128
        return pair, *sizes


class BrighterTrainer(FusionDetectionTrainer):
    dataset_class = Brighter


def test_a_data_set_of_ones_own_is_given_to_the_trainer(tiny_data, tmp_path):
    Brighter.asked = 0
    train(tiny_data, tmp_path, BrighterTrainer)
    assert Brighter.asked >= 12  # pairs to train with and to validate with


def test_a_data_set_put_into_the_host_is_not_passed_over_in_silence(tiny_data, tmp_path, monkeypatch, caplog):
    class Custom(YOLODataset):
        pass

    monkeypatch.setattr(host_build, "YOLODataset", Custom)
    with caplog.at_level(logging.WARNING):
        train(tiny_data, tmp_path)
    said = [r.getMessage() for r in caplog.records if "Custom" in r.getMessage()]
    assert "was replaced by Custom, which pairs do not use; derive it from PairedYOLODataset" in said[0]
