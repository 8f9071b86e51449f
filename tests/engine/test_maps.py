"""The tasks whose answer is a map of the whole pair: the class of each pixel, and its distance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.cfg import get_cfg

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.config import Augment
from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.maps import data_set_of
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.options.serve import Serve
from metafusion_yolo.runtime import Detector, read_counts
from metafusion_yolo.serve.engines import load_engine
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from tests.conftest import TINY, polygon_row

HEADS = {"semantic": ["SemanticSegment", ["nc"]], "depth": ["Depth", [16]]}
FIGURE = {"semantic": "metrics/mIoU", "depth": "metrics/delta1"}


@pytest.fixture(params=HEADS)
def task(request) -> str:
    return request.param


@pytest.fixture
def stock(task, tmp_path) -> Path:
    """A stock checkpoint of the task, as small as `TINY`."""
    content = yaml.safe_load(Path(TINY).read_text())
    levels = content["head"][-1][0]
    content["head"][-1] = [levels[:2] if task == "semantic" else levels, 1, *HEADS[task]]
    described = {"nc": 3, **{key: content[key] for key in ("scales", "backbone", "head")}}
    (tmp_path / "stock.yaml").write_text(yaml.safe_dump(described))
    torch.manual_seed(0)
    YOLO(tmp_path / "stock.yaml").save(tmp_path / "stock.pt")
    return tmp_path / "stock.pt"


@pytest.fixture
def folder(make_pair_folder):
    """Pairs with polygons, from which classes are drawn, and with a distance that grows upwards."""
    pairs = make_pair_folder(row=polygon_row)
    for file in pairs.visible:
        target = pairs.root / "depth" / file.relative_to(pairs.root / "images").with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.tile(np.linspace(40, 2, 48, dtype=np.float32)[:, None], (1, 64)))
    return pairs


def test_a_stock_checkpoint_reads_fused_images_bit_for_bit(stock, task) -> None:
    model, host, image = MetaFusionYOLO(stock), YOLO(stock), torch.rand(1, 3, 64, 64)
    assert model.task == host.task == task
    with torch.no_grad():
        assert torch.equal(model.model(image), host.model.float().eval()(image))


def test_a_task_trains_validates_predicts_and_exports(stock, task, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = {"imgsz": 64, "project": str(tmp_path / "runs"), "workers": 0}
    model = MetaFusionYOLO(stock, task=task)
    model.train(data=str(folder.yaml), epochs=1, batch=2, optimizer="SGD", val=False, **runs)
    made = {file.name for file in (tmp_path / "runs" / "train").iterdir()}
    assert {"train_batch0.jpg", "labels.jpg", "val_batch0_pred.jpg"} <= made
    file = tmp_path / "runs" / "train" / "weights" / "last.pt"
    trained = MetaFusionYOLO(file)
    assert trained.task == task and type(trained.model) is TASKS[task]["model"]
    figures = [
        trained.val(data=str(folder.yaml), modalities=cameras, plots=False, **runs).results_dict
        for cameras in ("both", "infrared")
    ]
    assert all(np.isfinite(found[FIGURE[task]]) for found in figures)
    with pytest.raises(UserValueError, match=f"evaluates boxes, and the task '{task}' has none"):
        trained.val(data=str(folder.yaml), corruptions=True)
    with pytest.raises(UserValueError, match=f"the task '{task}' is one of whole pairs, with no objects to track"):
        trained.track(folder.images)
    written = {"save": True, "save_json": True, "save_csv": True, "save_fused": True, "verbose": False, **runs}
    results = trained.predict(folder.images, **written)
    key = {"semantic": "semantic_mask", "depth": "depth"}[task]
    for result in results:
        assert getattr(result, key).data.shape == result.orig_shape == result.fused.shape[:2] == (48, 64)
        assert result.box_weights is None and result.plot(view="panel").any()
    if task == "semantic":
        rows = results[0].summary()
        assert sum(row["pixel_ratio"] for row in rows) == pytest.approx(1, abs=1e-4)
        shares = sum(row["pixel_ratio"] * row["infrared_weight"] for row in rows)
        assert shares == pytest.approx(float(results[0].fusion_weights[1].mean()), abs=1e-3)
    file = trained.export(format="onnx", imgsz=64, fused=True, fusion_weights=True)
    export = MetaFusionYOLO(file)
    again = export.val(data=str(folder.yaml), plots=False, **runs).results_dict[FIGURE[task]]
    assert again == pytest.approx(figures[0][FIGURE[task]], abs=0.02)
    other = export.predict(folder.visible[0], imgsz=64, rect=False, verbose=False)[0]
    own = trained.predict(folder.visible[0], imgsz=64, rect=False, verbose=False)[0]
    assert other.has_weights and other.fused.shape == own.fused.shape
    close = torch.isclose(getattr(own, key).data.float(), getattr(other, key).data.float(), rtol=1e-3)
    assert close.float().mean() > 0.98  # the class of a few pixels at an edge may differ
    found = Detector(file)(cv2.imread(str(folder.visible[0])), read_counts(folder.infrared[0]))
    plane, expected = getattr(found, key), getattr(other, key).data.numpy()
    if task == "semantic":
        assert np.array_equal(plane, expected)
        rows = [{**row, "pixel_ratio": pytest.approx(row["pixel_ratio"], abs=1e-4)} for row in found.summary()]
        assert [{key: row[key] for key in rows[0]} for row in other.summary()] == rows
    else:
        np.testing.assert_allclose(plane, expected, rtol=1e-4)
        assert str(found) == f"depth {plane.min():.2f} {plane.mean():.2f} {plane.max():.2f}"
        assert found.summary()[0]["mean"] == pytest.approx(float(plane.mean()), abs=1e-3)
    assert found.draw().shape == found.fused.shape == (48, 64, 3)
    with pytest.raises(UserValueError, match=f"is for the task '{task}', and only objects and classes"):
        load_engine(Serve(model=str(file)))


def test_maps_move_with_the_pairs(task, folder) -> None:
    """Whatever is done to a pair, what is drawn into it stays under its map."""
    data = describe(folder.yaml) | {"masks_dir": "masks"}
    args = get_cfg(overrides={"imgsz": 64, "task": task, "degrees": 20, "fliplr": 1.0, "mosaic": 0.0, "hsv_v": 0.0})
    for number, file in enumerate(folder.visible):
        plane = np.zeros((48, 64), np.uint8)
        cv2.rectangle(plane, (8 + number, 6), (40, 30), 1, -1)
        cv2.imwrite(str(file), cv2.merge([plane * 200] * 3))
        cv2.imwrite(str(folder.infrared[number]), plane * 200)
        mask = Path(str(file).replace("/images/", "/masks/"))
        mask.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(mask.with_suffix(".png")), plane)
        np.save(Path(str(file).replace("/images/", "/depth/")).with_suffix(".npy"), 1.0 + plane.astype(np.float32))
    still = Augment(0, 0, 0, 0, 0, 0)
    more = {"photometric": still, "kind": data_set_of(task, data)}
    dataset = build_paired_dataset(args, data["train"], 2, data, "train", 32, **more)
    for sample in (dataset[i] for i in range(len(dataset))):
        found = sample["semantic_mask"] == 1 if task == "semantic" else sample["depth"][0] > 1.5
        shown = sample["img"][[0, 3]].amin(0) > 150  # in both cameras
        assert found.any() and (found & shown).sum() / (found | shown).sum() > 0.85


def test_what_does_not_fit_is_refused_before_the_first_epoch(stock, task, folder, make_pair_folder, tmp_path) -> None:
    learn = {"epochs": 1, "imgsz": 64, "workers": 0, "project": str(tmp_path)}
    boxes = make_pair_folder(name="boxes")
    wanted = {"semantic": "masks need polygons", "depth": "no labels for"}[task]
    with pytest.raises((UserValueError, MissingFileError), match=wanted):
        MetaFusionYOLO(stock).train(data=str(boxes.yaml), **learn)
    if task == "semantic":
        folder.yaml.write_text(yaml.safe_dump(folder.data | {"names": {0: "person", 1: "car", 2: "tree"}}))
        with pytest.raises(UserValueError, match=r"knows 3 classes of pixels, and .* has 4, background included"):
            MetaFusionYOLO(stock).val(data=str(folder.yaml), imgsz=64)
        for file in folder.visible:
            mask = Path(str(file).replace("/images/", "/masks/")).with_suffix(".png")
            mask.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(mask), np.full((48, 64), 255, np.uint8))
        folder.yaml.write_text(yaml.safe_dump(folder.data | {"masks_dir": "masks"}))
        with pytest.raises(UserValueError, match=r"no mask of .* has a class: every pixel is 255"):
            MetaFusionYOLO(stock).train(data=str(folder.yaml), **learn)
