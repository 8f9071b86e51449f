"""Classes of whole pairs, from class folders and a stock checkpoint to an export without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.cfg import get_cfg

from metafusion_yolo import MetaFusionYOLO, cli
from metafusion_yolo.data.class_folders import PairedClassDataset
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import central
from metafusion_yolo.engine.classify import FusionClassificationTrainer, widened
from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.prepare.synthetic import write_dataset
from metafusion_yolo.runtime import Detector, read_counts
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from tests.conftest import TINY, write_stock
from tests.engine.test_tasks import served


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """The YAML of pairs in folders of their classes; not to be written to."""
    return write_dataset(tmp_path_factory.mktemp("classes"), train=3, val=2, imgsz=320, task="classify")


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Path:
    """A stock classifier of 1000 classes, as small as `TINY`."""
    folder, content = tmp_path_factory.mktemp("stock"), yaml.safe_load(Path(TINY).read_text())
    described = {"nc": 1000, "scales": content["scales"], "backbone": content["backbone"]}
    (folder / "stock-cls.yaml").write_text(yaml.safe_dump({**described, "head": [[-1, 1, "Classify", ["nc"]]]}))
    torch.manual_seed(0)
    YOLO(folder / "stock-cls.yaml").save(folder / "stock.pt")
    return folder / "stock.pt"


@pytest.fixture(scope="module")
def trained(folders, stock, tmp_path_factory) -> Path:
    """A checkpoint trained for an epoch, in the folder of its run."""
    project = tmp_path_factory.mktemp("runs")
    model = MetaFusionYOLO(stock, task="classify")
    learn = {"epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "optimizer": "SGD", "dropout": 0.1, "cache": "ram"}
    model.train(data=str(folders), project=str(project), name="train", **learn)
    return project / "train" / "weights" / "last.pt"


def test_the_trainer_says_its_task_as_those_of_the_host_do(folders, tmp_path) -> None:
    given = {"model": "metafusion-yolov8n-cls.yaml", "data": str(folders), "project": str(tmp_path)}
    assert FusionClassificationTrainer(overrides=given).args.task == "classify"


def test_a_stock_checkpoint_reads_fused_images_bit_for_bit(stock) -> None:
    model, host, image = MetaFusionYOLO(stock), YOLO(stock), torch.rand(2, 3, 64, 64)
    assert model.task == host.task == "classify"
    with torch.no_grad():
        own, expected = model.model(image), host.model.float().eval()(image)
    assert all(map(torch.equal, own, expected))


def test_it_trains_validates_and_predicts(trained, folders, tmp_path) -> None:
    model = MetaFusionYOLO(trained)
    assert model.task == "classify" and model.names == {0: "person", 1: "car"}
    assert {"train_batch0.jpg", "results.png", "film_strip.jpg"} <= {file.name for file in trained.parents[1].iterdir()}
    assert model.model.model[-1].linear.out_features == 2
    runs = {"imgsz": 64, "project": str(tmp_path), "verbose": False}
    for modalities in ("both", "infrared"):
        metrics = model.val(data=str(folders), modalities=modalities, plots=modalities == "both", workers=0, **runs)
        assert 0 <= metrics.top1 <= 1 and "metrics/accuracy_top1" in metrics.results_dict
    with pytest.raises(UserValueError, match="'curves=True' evaluates boxes, and the task 'classify' has none"):
        model.val(data=str(folders), curves=True)
    with pytest.raises(UserValueError, match="no objects to track"):
        model.track(folders.parent / "images" / "val")
    written = {"save": True, "save_txt": True, "save_json": True, "save_csv": True, "save_fused": True}
    results = model.predict(folders.parent / "images" / "val", name="predict", **written, **runs)
    for result in results:
        assert result.probs.data.sum() == pytest.approx(1, abs=1e-4) and result.box_weights is None
        assert result.fused.shape == result.orig_img.shape
        share = result.fusion_weights[1].mean()
        assert result.summary()[0]["infrared_weight"] == pytest.approx(float(share), abs=1e-4)
    records = json.loads((tmp_path / "predict" / "predictions.json").read_text())
    assert len(records) == len(results) and {"name", "confidence"} <= records[0]["detections"][0].keys()
    with pytest.raises(UserTypeError, match=r"this model finds none; use result\.probs"):
        results[0].to_supervision()


def test_an_export_gives_the_same_without_pytorch_too(trained, folders, tmp_path) -> None:
    model = MetaFusionYOLO(trained)
    file = model.export(format="onnx", imgsz=64, fused=True, fusion_weights=True)
    image = sorted((folders.parent / "images" / "val").rglob("*.png"))[0]
    own, other = (MetaFusionYOLO(path).predict(image, imgsz=64, verbose=False)[0] for path in (trained, file))
    torch.testing.assert_close(own.probs.data, other.probs.data, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(own.fusion_weights, other.fusion_weights, atol=0.02)
    found = Detector(file)(cv2.imread(str(image)), read_counts(own.infrared_path))
    np.testing.assert_allclose(found.probabilities, own.probs.data, atol=1e-5)
    assert found.likely[0][0] == own.names[own.probs.top1] and found.likely[0][0] in str(found)
    for path in (trained, file):
        answer = served(path, cv2.imread(str(image)), read_counts(own.infrared_path))
        assert answer["detections"] == [] and answer["classes"][0]["name"] == own.names[own.probs.top1]
    assert found.draw().shape == found.image.shape and not len(found.scores)
    metrics = MetaFusionYOLO(file).val(data=str(folders), plots=False, verbose=False, project=str(tmp_path))
    assert (
        metrics.top1 == model.val(data=str(folders), imgsz=64, plots=False, verbose=False, project=str(tmp_path)).top1
    )
    with pytest.raises(UserValueError, match="is not available for the task 'classify'"):
        model.export(format="openvino", quantize=8, data=str(folders))
    with pytest.raises(UserValueError, match=r"imgsz=\[64, 96\]' must be one number"):
        model.export(format="onnx", imgsz=[64, 96])


def test_both_cameras_are_cropped_mirrored_and_erased_alike(tmp_path) -> None:
    for part, planes in (("images", 3), ("infrared", 1)):
        (tmp_path / part / "train" / "car").mkdir(parents=True)
        slope = np.add.outer(np.arange(60), 2 * np.arange(80)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / part / "train" / "car" / "0.png"), slope if planes == 1 else cv2.merge([slope] * 3))
    content = {"path": str(tmp_path), "train": "images/train", "val": "images/train", "names": {0: "person", 1: "car"}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(content))
    data = describe(tmp_path / "data.yaml")
    args = get_cfg(overrides={"imgsz": 32, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0, "erasing": 1.0, "flipud": 0.5})
    dataset = PairedClassDataset(args, data["train"], data, data["names"], "train")
    still = dataset.changes[1].augment
    object.__setattr__(still, "infrared_gain", 0)
    for name in ("infrared_offset", "infrared_noise"):
        object.__setattr__(still, name, 0)
    dataset.changes = dataset.changes[1:2]  # without shift and drop-out, which are there to part the cameras
    seen = [dataset[0] for _ in range(8)]
    for item in seen:
        pair = item["img"].int()
        assert item["cls"] == 1 and (pair[3] - pair[0]).abs().max() <= 1 and (pair[0] == 0).any()
    assert len({item["img"].numpy().tobytes() for item in seen}) > 1


def test_what_a_classifier_sees_is_the_middle() -> None:
    wide = np.zeros((50, 100, 4), np.uint8)
    wide[:, 25:75] = 200
    assert central(wide, 50).min() == 200 and central(wide, 20).shape == (20, 20, 4)
    plane = widened(torch.arange(16.0).reshape(1, 4, 4), (50, 100))
    assert plane.shape == (1, 4, 8) and torch.equal(plane[0, 0], torch.tensor([0.0, 0, 0, 1, 2, 3, 3, 3]))


def test_a_fraction_is_one_of_all_classes(folders) -> None:
    data = describe(folders)
    settings = get_cfg(), get_cfg(overrides={"fraction": 0.75})
    whole, part = (PairedClassDataset(args, data["train"], data, data["names"], "train").im_files for args in settings)
    assert len(part) == round(0.75 * len(whole)) and (part[0], part[-1]) == (whole[0], whole[-1])


def test_data_check_takes_folders_for_labels(folders) -> None:
    assert not check_dataset(folders).errors


def test_mistakes_cost_one_line(folders, stock, tmp_path, capsys) -> None:
    odd = {**yaml.safe_load(folders.read_text()), "names": ["person", "lorry"]}
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(odd))
    learn = {"epochs": 1, "imgsz": 64, "workers": 0, "project": str(tmp_path)}
    with pytest.raises(
        UserValueError, match="is in the folder 'car', which is not one of the classes 'person', 'lorry'"
    ):
        MetaFusionYOLO(stock).train(data=str(tmp_path / "odd.yaml"), **learn)
    (folders.parent / "infrared" / "train" / "car" / "000000-9.png").write_bytes(b"")
    with pytest.raises(PairError, match="000000-9"):
        MetaFusionYOLO(stock).train(data=str(folders), **learn)
    (folders.parent / "infrared" / "train" / "car" / "000000-9.png").unlink()
    detector = write_stock(tmp_path / "detector.pt")
    for words, message in (
        (f"classify val model={detector} data={folders}", "is for the task 'detect', not 'classify'"),
        (f"detect val model={stock} data={folders}", "is for the task 'classify', not 'detect'"),
        (f"compare model=metafusion-yolov8n-cls.yaml data={folders}", "comparisons are for detect"),
        (
            f"data label model={stock} data={folders} tasks=none",
            "is for the task 'classify', and only objects are labelled",
        ),
        (f"classify train model={stock} data={folders} auto_augment=augmix", "changes single images, not pairs"),
        (f"classify train model={stock} data={folders} single_cls=True", "is for the task 'detect' and has no effect"),
    ):
        assert cli.main([*words.split(), f"project={tmp_path}"]) == 2
        error = capsys.readouterr().err
        assert message in error and error.strip().count("\n") == 0, error
