"""Stock checkpoints of the host work on pairs at once, in every mode, with an untrained front-end ahead of them."""

from __future__ import annotations

import shutil

import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.conftest import SHARED, TINY

NAMES = {0: "cow", 1: "car"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The checkpoint of a stock detector of two classes, with its own names."""
    torch.manual_seed(0)
    model = YOLO("yolov8n.yaml")
    model.model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.model.names, model.model.args, model.model.task = NAMES, {"imgsz": 64, "data": "cows.yaml"}, "detect"
    file = tmp_path_factory.mktemp("stock") / "own.pt"
    model.save(file)
    return file


def test_the_detector_is_taken_as_it_is(stock, caplog) -> None:
    model = MetaFusionYOLO(stock)
    assert isinstance(model.model, FusionDetectionModel) and model.names == NAMES
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = YOLO(stock).model.float().eval()(image)[0]
        assert torch.equal(model.model(image)[0], expected)


def test_the_front_end_is_the_same_every_time(stock) -> None:
    torch.manual_seed(1)
    first = MetaFusionYOLO(stock).model.fusion.state_dict()
    torch.manual_seed(2)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    second = MetaFusionYOLO(stock).model.fusion.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.rand(1), drawn)  # nobody else's random numbers move


def test_its_cameras_meet_in_features_where_its_backbone_has_the_level(stock) -> None:
    model = MetaFusionYOLO(stock)
    assert model.model.config.meet == "P3" and len(model.model.model[0].infrared) == 5
    as_image = FusionDetectionModel({**load_model_yaml("metafusion-yolov8n.yaml"), "fusion": {"meet": "image"}}, nc=2)
    as_image.load(YOLO(stock).model)
    weights = YOLO(stock).model.float().state_dict()
    kept = {key: value.clone() for key, value in as_image.state_dict().items()}
    assert all(torch.equal(kept[key], value) for key, value in weights.items())
    as_image.load(model.model)  # stems that have learned nothing are one
    assert all(torch.equal(as_image.state_dict()[key], value) for key, value in kept.items() if "fusion." not in key)


def test_it_predicts_validates_trains_fuses_and_exports(stock, pair_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"imgsz": 64, "project": str(tmp_path / "runs"), "plots": False}
    model = MetaFusionYOLO(stock)
    results = model.predict(pair_folder.images, imgsz=64, verbose=False)
    assert len(results) == len(pair_folder.visible) and results[0].fusion_weights is not None
    assert [*model.fuse_images(pair_folder.images, imgsz=64, project=str(tmp_path / "runs"))]
    assert model.val(data=str(pair_folder.yaml), metrics="none", **arguments).names == pair_folder.data["names"]
    shutil.copy(stock, tmp_path / "own.pt")
    exported = MetaFusionYOLO(tmp_path / "own.pt").export(format="torchscript", imgsz=64)
    assert MetaFusionYOLO(exported).predict(pair_folder.images, imgsz=64, verbose=False)
    model.train(data=str(pair_folder.yaml), epochs=1, batch=2, val=False, **arguments)
    trained = MetaFusionYOLO(tmp_path / "runs" / "train" / "weights" / "last.pt")
    assert trained.names == pair_folder.data["names"]


def test_random_weights_are_said_and_pretrained_loads_some(stock, pair_folder, caplog) -> None:
    model = MetaFusionYOLO(TINY)
    with caplog.at_level("WARNING", logger="ultralytics"):
        model.predict(pair_folder.visible[0], infrared=pair_folder.infrared[0], imgsz=64, verbose=False)
    assert "has random weights and will find nothing" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING", logger="ultralytics"):
        model.predict(
            pair_folder.visible[0], infrared=pair_folder.infrared[0], imgsz=64, verbose=False, pretrained=str(stock)
        )
    assert "random weights" not in caplog.text


def test_classes_of_the_data_set_are_found_by_name(coco_pairs) -> None:
    """RoadScene's classes under other numbers give the same figures."""
    model = MetaFusionYOLO(SHARED / "weights" / "yolov8n.pt")
    scores = [model.val(data=str(file), imgsz=320, plots=False, metrics="none").box for file in coco_pairs]
    assert scores[0].map50 == pytest.approx(scores[1].map50) and scores[0].map50 > 0.2


@pytest.fixture
def coco_pairs(tmp_path, monkeypatch):
    """Six real pairs, labelled by the numbers of the data set and by others; skipped where there are none."""
    source = SHARED / "data" / "roadscene"
    if not source.is_dir() or not (SHARED / "weights" / "yolov8n.pt").is_file():
        pytest.skip("needs the real pairs and the COCO weights")
    monkeypatch.chdir(tmp_path)
    files = []
    for kind, names in (("same", ["person", "bicycle", "car"]), ("other", ["car", "person", "bicycle"])):
        numbers = {"same": [0, 1, 2], "other": [1, 2, 0]}[kind]
        for folder in ("images/val", "infrared/val", "labels/val"):
            (tmp_path / kind / folder).mkdir(parents=True)
        for image in sorted((source / "images" / "val").iterdir())[:6]:
            shutil.copy(image, tmp_path / kind / "images" / "val")
            shutil.copy(source / "infrared" / "val" / image.name, tmp_path / kind / "infrared" / "val")
            rows = (source / "labels" / "val" / f"{image.stem}.txt").read_text().split("\n")
            moved = [f"{numbers[int(row[0])]}{row[1:]}" for row in rows if row]
            (tmp_path / kind / "labels" / "val" / f"{image.stem}.txt").write_text("\n".join(moved))
        file = tmp_path / f"{kind}.yaml"
        file.write_text(
            yaml.safe_dump({"path": str(tmp_path / kind), "train": "images/val", "val": "images/val", "names": names})
        )
        files.append(file)
    return files
