"""Training of the front-end alone, without labels."""

from __future__ import annotations

import csv
import shutil

import pytest
import torch
import yaml

from metafusion_yolo import MetaFusionYOLO
from tests.conftest import TINY
from tests.engine.conftest import TRAIN_ARGS


@pytest.fixture
def unlabelled(pair_folder):
    shutil.rmtree(pair_folder.root / "labels")
    pair_folder.yaml.write_text(yaml.safe_dump({"train": "images/train"}))
    return pair_folder


def train(data, project, **kwargs):
    model = MetaFusionYOLO(kwargs.pop("model", TINY))
    args = {**TRAIN_ARGS, "epochs": 2, "plots": False, "project": str(project), "name": "train", **kwargs}
    model.train(data=str(data), **args)


def test_pairs_without_labels_names_and_validation_images_are_enough(unlabelled, tmp_path) -> None:
    train(unlabelled.yaml, tmp_path, fusion_only=True)
    folder = tmp_path / "train"
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(rows[-1][f"{split}/{term}_loss"]) > 0 for split in ("train", "val") for term in ("ssim", "int")]
    assert "metrics/mAP50(B)" not in rows[0]
    assert (folder / "weights" / "best.pt").is_file()
    assert [file.name for file in unlabelled.root.rglob("*.cache")] == ["train.pairs.cache"]


def test_plain_images_are_enough_and_the_detector_stays_as_it_was(unlabelled, tmp_path, yolov8n) -> None:
    train(
        unlabelled.images,
        tmp_path,
        fusion_only=True,
        pretrained=str(yolov8n),
        model="metafusion-yolov8n.yaml",
        fusion={"meet": "image"},
    )
    trained = MetaFusionYOLO(tmp_path / "train" / "weights" / "last.pt").model
    stock = torch.load(yolov8n, weights_only=False)["model"].float().state_dict()
    state = trained.float().state_dict()
    assert all(
        torch.allclose(value.half().float(), state[key], atol=1e-6) for key, value in stock.items() if "num_" not in key
    )
    assert trained.names[0] == "person" and len(trained.names) == 80
    fresh = MetaFusionYOLO("metafusion-yolov8n.yaml").model.fusion.state_dict()
    assert any(not torch.allclose(value, state[f"fusion.{key}"], atol=1e-3) for key, value in fresh.items())


def test_the_result_is_a_start_for_joint_training(unlabelled, tiny_data, tmp_path) -> None:
    train(unlabelled.images, tmp_path / "alone", fusion_only=True, epochs=1, fusion={"augment": {"share_jitter": 3.0}})
    start = tmp_path / "alone" / "train" / "weights" / "last.pt"
    expected = MetaFusionYOLO(start).model.float().fusion.state_dict()
    begun = {}

    model = MetaFusionYOLO(start)
    model.add_callback("on_train_start", lambda t: begun.update(t.model.fusion.state_dict()))
    model.add_callback("on_train_start", lambda t: begun.update(jitter=t.model.fusion.decoder.jitter))
    args = {**TRAIN_ARGS, "pretrained": True, "epochs": 1, "plots": False, "project": str(tmp_path / "joint")}
    model.train(data=str(tiny_data), **args)
    assert begun["jitter"] == 3.0  # off while it trains alone, on again
    assert all(key in begun for key in expected)
    assert model.trainer.metrics["metrics/mAP50(B)"] >= 0


def test_a_fixed_rule_has_nothing_to_learn(unlabelled, tmp_path) -> None:
    file = tmp_path / "metafusion-yolov8n.yaml"
    file.write_text("detector: yolov8.yaml\nfusion: {method: average}\n")
    with pytest.raises(ValueError, match="'average' has nothing to learn; fusion_only needs 'learned'"):
        train(unlabelled.yaml, tmp_path, model=str(file), fusion_only=True)


def test_a_folder_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no '.*nowhere'; give a folder of images or the YAML"):
        train(tmp_path / "nowhere", tmp_path, fusion_only=True)


def test_a_missing_partner_stops_the_run(unlabelled, tmp_path) -> None:
    unlabelled.infrared[0].unlink()
    with pytest.raises(ValueError, match="no infrared image for"):
        train(unlabelled.yaml, tmp_path, fusion_only=True)
