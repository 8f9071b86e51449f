"""Every task that has a fused form, from its stock checkpoint to its export, and detectors of words."""

from __future__ import annotations

import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from ultralytics import YOLO, YOLOE, YOLOWorld
from ultralytics.engine.results import Boxes
from ultralytics.nn.tasks import guess_model_task

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.cli.modes import TASKS as TASKS_OF_THE_COMMAND
from metafusion_yolo.compare.training import evaluate
from metafusion_yolo.data.labels import read_labels
from metafusion_yolo.data.planes import mean_inside
from metafusion_yolo.engine.predict.ensemble import surest
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.labelling.dataset import label_pairs
from metafusion_yolo.nn.model_yaml import HEADS, head_of, load_model_yaml
from metafusion_yolo.nn.tasks import BY_HEAD, build_model, fused_form
from metafusion_yolo.options import Label
from metafusion_yolo.options.serve import Serve
from metafusion_yolo.runtime import Detector, read_counts
from metafusion_yolo.serve.answers import answer_of
from metafusion_yolo.serve.engines import load_engine
from metafusion_yolo.serve.uploads import Pair
from metafusion_yolo.support.errors import MissingFileError, MissingPackageError, UserTypeError, UserValueError
from tests.conftest import TINY, keypoint_row, polygon_row

HEAD = {  # of each task: its layer, the labels it learns from, and what its results have
    "segment": (["Segment", ["nc", 8, 16]], polygon_row, "masks"),
    "pose": (["Pose", ["nc", "kpt_shape"]], keypoint_row, "keypoints"),
    "obb": (["OBB", ["nc", 1]], polygon_row, "obb"),
}
KEYPOINTS = {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
WORDS = {
    "world": (YOLOWorld, ["WorldDetect", ["nc", 512, False]]),
    "yoloe": (YOLOE, ["YOLOEDetect", ["nc", 512, True]]),
}
EMBEDDINGS = torch.rand(1, 2, 512, generator=torch.Generator().manual_seed(0))


def describe(folder: Path, head: list, **more) -> Path:
    """Write the YAML of a stock model as small as `TINY`, with another head."""
    content = yaml.safe_load(Path(TINY).read_text())
    content["head"][-1] = [content["head"][-1][0], 1, *head]
    file = folder / "stock.yaml"
    described = {"nc": 2, **{key: content[key] for key in ("scales", "backbone", "head")}, **more}
    file.write_text(yaml.safe_dump(described))
    return file


def stock_checkpoint(folder: Path, head: list, host: type = YOLO, **more) -> Path:
    torch.manual_seed(0)
    model = host(describe(folder, head, **more))
    model.save(folder / "stock.pt")
    return folder / "stock.pt"


@pytest.fixture(params=HEAD)
def task(request) -> str:
    return request.param


def lively_checkpoint(folder: Path, task: str) -> Path:
    """Make a small stock checkpoint that finds something, though it has learned nothing."""
    file = stock_checkpoint(folder, HEAD[task][0], **({"kpt_shape": [2, 3]} if task == "pose" else {}))
    model = YOLO(file)
    for norm in (module for module in model.model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0  # takes the statistics of the one batch, so that no two places look alike
    with torch.no_grad():
        model.model.train()(torch.rand(4, 3, 64, 64))
    model.model.eval()
    for branch in model.model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=0.5)
    model.save(file)
    return file


@pytest.fixture
def stock(task, tmp_path) -> Path:
    return lively_checkpoint(tmp_path, task)


@pytest.fixture
def folder(task, make_pair_folder):
    return make_pair_folder(row=HEAD[task][1], **(KEYPOINTS if task == "pose" else {}))


def leaves(output) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    items = output.values() if isinstance(output, dict) else output
    return [leaf for item in items for leaf in leaves(item)]


def test_a_stock_checkpoint_reads_fused_images_bit_for_bit(stock, task) -> None:
    model, host = MetaFusionYOLO(stock), YOLO(stock)
    assert model.task == host.task == task and model.names == host.names
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        own, expected = leaves(model.model(image)), leaves(host.model.float().eval()(image))
    assert len(own) == len(expected) and all(map(torch.equal, own, expected))


def test_a_task_trains_validates_predicts_and_tracks(stock, task, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = {"imgsz": 64, "project": str(tmp_path / "runs"), "plots": False}
    model = MetaFusionYOLO(stock, task=task)
    model.train(data=str(folder.yaml), epochs=1, batch=2, workers=0, val=False, optimizer="SGD", **runs)
    trained = MetaFusionYOLO(tmp_path / "runs" / "train" / "weights" / "last.pt")
    assert trained.task == task and type(trained.model) is TASKS[task]["model"]
    metrics = trained.val(data=str(folder.yaml), metrics="none", curves=True, **runs)
    assert metrics.report is not None and metrics.report.curves
    suffix = {"segment": "(M)", "pose": "(P)", "obb": "(B)"}[task]
    assert f"metrics/mAP50{suffix}" in metrics.results_dict
    host = {"data": str(folder.yaml), "workers": 0, **runs}
    for image in evaluate(trained.model, host, "both").recorded.values():  # as metafusion compare judges
        assert len(image["tp"]) == len(image["conf"]) and all(len(row) == 6 for row in image["boxes"])
    del runs["plots"]
    written = {"save": True, "save_json": True, "save_csv": True, "save_txt": True, **runs}
    results = trained.predict(folder.images, conf=0.0, max_det=3, verbose=False, **written)
    assert all(len(result.found) and getattr(result, HEAD[task][2]) is not None for result in results)
    weights = results[0].box_weights
    assert weights.shape == (len(results[0].found), 2) and np.allclose(weights.sum(1), 1)
    assert {"x3", "y4"} <= results[0].summary()[0]["box"].keys() if task == "obb" else True
    tracked = trained.track(folder.images, conf=0.0, max_det=3, verbose=False, **runs)
    assert all(result.found is not None for result in tracked)


def test_cameras_stay_with_their_objects_where_the_host_sorts_them_by_area(make_pair_folder, tmp_path) -> None:
    """One class is given as a number, as in Ultralytics."""
    kept = []

    class Kept(TASKS["segment"]["validator"]):
        def get_stats(self):
            kept.extend(self._records)
            return super().get_stats()

    folder, rows = make_pair_folder(2), ["0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2", "0 0.3 0.3 0.9 0.3 0.9 0.9 0.3 0.9"]
    for file in sorted((folder.root / "labels").rglob("*.txt")):
        file.write_text("\n".join([*rows, rows[0].replace("0", "1", 1)]))
        told = ((box, *one) for box, one in enumerate(((0, "visible"), (0, "infrared"), (1, "both"))))
        with (folder.root / "shown_in.csv").open("a") as index:
            head = "file,box,class,shown_in\n" if not index.tell() else ""
            name = file.relative_to(folder.root)
            index.write(head + "".join(f"{name},{box},{number},{camera}\n" for box, number, camera in told))
    model = MetaFusionYOLO(stock_checkpoint(tmp_path, HEAD["segment"][0]))
    model.val(Kept, data=str(folder.yaml), classes=0, metrics="none", imgsz=64, plots=False, project=str(tmp_path))
    for record in kept:
        heights = record.boxes_xyxy[:, 3] - record.boxes_xyxy[:, 1]
        assert record.shown_in == ["infrared" if height > 20 else "visible" for height in heights]
    assert len(kept) == 2 and kept[0].shown_in == ["infrared", "visible"], "the larger one comes first"


def test_a_model_of_a_task_labels_for_it(stock, task, folder, tmp_path) -> None:
    report = label_pairs(
        Label(str(folder.yaml), model=str(stock), conf=0.2, imgsz=64, overwrite=True, project=str(tmp_path))
    )
    assert report.boxes.total() and sum(report.shows_in.values()) == report.boxes.total()
    assert all(file.name != "coco.json" for file in report.files)  # which would hold boxes alone
    files = sorted((folder.root / "labels").rglob("*.txt"))
    labels = [read_labels(file, kpt_shape=KEYPOINTS["kpt_shape"] if task == "pose" else None) for file in files]
    for found in labels:
        if task == "pose":
            assert found.keypoints is not None or not len(found.classes)
            assert len(found.classes) == 0 or {*found.keypoints[..., 2].ravel()} <= {0, 2}
        else:
            assert len(found.outlines) == len(found.classes)
            assert task == "segment" or all(len(outline) == 4 for outline in found.outlines)
    if task != "pose":
        describe_as = yaml.safe_load(folder.yaml.read_text()) | KEYPOINTS
        folder.yaml.write_text(yaml.safe_dump(describe_as))
        with pytest.raises(UserValueError, match=r"'kpt_shape: \[2, 3\]' of .*, and the model finds None"):
            label_pairs(Label(str(folder.yaml), model=str(stock), project=str(tmp_path)))


def test_the_surest_view_of_an_object_is_kept() -> None:
    boxes = [[0, 0, 10, 10, 0.5, 0], [20, 0, 30, 10, 0.4, 0]], [[1, 0, 11, 10, 0.9, 0], [0, 0, 10, 10, 0.3, 1]]
    views = [Boxes(torch.tensor(rows), (40, 40)) for rows in boxes]
    assert surest(views).tolist() == [2, 1, 3]


def test_an_export_gives_the_same_and_its_fused_image(stock, task, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = MetaFusionYOLO(stock)
    form = "onnx"
    file = model.export(format=form, imgsz=64, fused=True, fusion_weights=True)
    look = {"imgsz": 64, "conf": 0.0, "max_det": 3, "rect": False, "verbose": False}
    own, other = (MetaFusionYOLO(path).predict(folder.visible[0], **look)[0] for path in (stock, file))
    assert other.has_weights and other.fused.shape == own.fused.shape
    torch.testing.assert_close(own.found.data, other.found.data, atol=1e-3, rtol=1e-4)
    extra = HEAD[task][2]
    torch.testing.assert_close(
        getattr(own, extra).data.float(), getattr(other, extra).data.float(), atol=1e-3, rtol=1e-4
    )
    visible, infrared = cv2.imread(str(folder.visible[0])), read_counts(folder.infrared[0])
    without = Detector(file, conf=0.0, max_det=3)(visible, infrared)
    np.testing.assert_allclose(without.scores, own.found.conf, atol=1e-4)
    np.testing.assert_allclose(without.boxes_xyxy, own.found.xyxy.numpy().clip(0, [64, 48, 64, 48]), atol=0.05)
    given = {"segment": own.masks, "pose": own.keypoints, "obb": own.obb}[task]
    if task == "segment":  # the network's image has a border of 8 rows above and below
        assert (without.masks == given.data[:, 8:56].bool().numpy()).mean() > 0.99
    elif task == "pose":
        np.testing.assert_allclose(without.keypoints, given.data, atol=0.05)
    else:
        np.testing.assert_allclose(without.corners, given.xyxyxyxy, atol=0.05)
    assert without.draw().any()
    told = [served(path, visible, infrared)["detections"] for path in (stock, file)]
    assert len(told[0]) == len(told[1]) > 3
    key, points = ("keypoints", 2) if task == "pose" else ("outline", 4 if task == "obb" else None)
    for rows in told:
        assert all(row[key] is not None and len(row[key]) == (points or len(row[key])) for row in rows)
    if points:
        np.testing.assert_allclose(told[0][0][key], told[1][0][key], atol=0.1)
    with pytest.raises(UserTypeError, match=f"is for the task '{task}', not 'detect'"):
        MetaFusionYOLO(file, task="detect")


def served(model: Path, visible: np.ndarray, infrared: np.ndarray) -> dict:
    """Return what `metafusion serve` answers."""
    engine = load_engine(Serve(model=str(model), imgsz=64, device="cpu"), lowest=1e-4)
    found = engine([Pair(visible, infrared)])[0]
    return answer_of(found, engine.names, 0.0, ["fused"], "png").model_dump(by_alias=True)


def test_the_loss_reaches_the_front_end_by_the_head(task, stock) -> None:
    from ultralytics.cfg import get_cfg

    model = fused_form(YOLO(stock).model.float()).train()
    model.args = get_cfg()
    for parameter in model.parameters():
        parameter.requires_grad = True
    boxes = torch.tensor([[0.5, 0.5, 0.6, 0.4], [0.3, 0.4, 0.3, 0.5]])
    batch = {"img": torch.rand(2, 4, 64, 64), "cls": torch.zeros(2, 1), "batch_idx": torch.tensor([0.0, 1.0])}
    batch["bboxes"] = torch.cat((boxes, torch.zeros(2, 1)), 1) if task == "obb" else boxes
    batch |= {"masks": torch.ones(2, 16, 16)} if task == "segment" else {}
    batch |= {"keypoints": torch.rand(2, 2, 3)} if task == "pose" else {}
    total, items = model.loss(batch)
    assert [*items][:3] == ["ssim_loss", "grad_loss", "int_loss"] and len(items) > 6 - (task == "obb")
    total[1:].sum().backward()  # without the fusion's own losses
    assert sum(float(p.grad.abs().sum()) for p in model.fusion.parameters() if p.grad is not None) > 0


def test_labels_of_another_task_are_refused(make_pair_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    boxes, poses = make_pair_folder(), make_pair_folder(name="poses", row=keypoint_row, **KEYPOINTS)
    learn = {"epochs": 1, "imgsz": 64, "workers": 0}
    for task, wanted in (("segment", "masks need polygons"), ("obb", "oriented boxes need four corners")):
        (tmp_path / task).mkdir()
        model = MetaFusionYOLO(stock_checkpoint(tmp_path / task, HEAD[task][0]))
        with pytest.raises(UserValueError, match=f"8 of 8 labels of .* are boxes of four numbers, and {wanted}"):
            model.train(data=str(boxes.yaml), **learn)
        with pytest.raises(UserValueError, match=r"says that its labels have keypoints, and the task is"):
            model.train(data=str(poses.yaml), **learn)
        with pytest.raises(UserValueError, match="joins upright boxes"):
            model.predict(boxes.visible[0], slice=32, imgsz=64)
    (tmp_path / "pose").mkdir()
    model = MetaFusionYOLO(stock_checkpoint(tmp_path / "pose", HEAD["pose"][0], kpt_shape=[2, 3]))
    with pytest.raises(UserValueError, match=r"'kpt_shape: None' must be the number of keypoints"):
        model.train(data=str(boxes.yaml), **learn)


def test_a_front_end_learns_alone_ahead_of_any_head(make_pair_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = MetaFusionYOLO(stock_checkpoint(tmp_path, HEAD["segment"][0]))
    pairs = make_pair_folder(2)
    model.train(
        data=str(pairs.images), fusion_only=True, epochs=1, imgsz=64, workers=0, plots=False, project=str(tmp_path)
    )
    assert MetaFusionYOLO(tmp_path / "train" / "weights" / "last.pt").task == "segment"


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (re.sub("yolov8|yolo26", family, name), task)
        for family in ("yolov8", "yolo11", "yolo26")
        for task, name in TASKS_OF_THE_COMMAND.items()
        if family == "yolo26" or task not in ("semantic", "depth")
    ],
)
def test_a_model_yaml_goes_by_the_name_of_the_host(name, task) -> None:
    own = load_model_yaml(name)
    assert (HEADS[head_of(own)], own["scale"]) == (task, "n")
    assert guess_model_task(own) == task
    assert own["yaml_file"] == name


def test_heads_and_their_models_are_the_same() -> None:
    assert HEADS.keys() == BY_HEAD.keys() and {*HEADS.values()} == {*TASKS}
    with pytest.raises(MissingFileError, match=r"did you mean 'metafusion-yolo26\.yaml'"):
        load_model_yaml("metafusion-yolo26n-sgem.yaml")
    torch.manual_seed(0)
    model = build_model("metafusion-yolo26n-pose.yaml", data_kpt_shape=[3, 2], verbose=False)
    assert (model.kpt_shape, model.yaml["channels"]) == ([3, 2], 4)


def test_weights_are_of_what_an_outline_covers() -> None:
    plane, box = np.zeros((10, 10), np.float32), np.array([0, 0, 10, 10])
    plane[:, 5:] = 1
    right = np.array([[5, 0], [9, 0], [9, 9], [5, 9]])
    assert (mean_inside(plane, box), mean_inside(plane, box, right)) == (0.5, 1.0)
    assert mean_inside(plane, box, right[:2]) == 0.5  # no area


# Words ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", WORDS)
def test_a_detector_of_words_finds_what_they_name(kind, make_pair_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pairs, runs = make_pair_folder(2, polygons=True), {"imgsz": 64, "project": str(tmp_path / "runs")}
    host, head = WORDS[kind]
    file = stock_checkpoint(tmp_path, head, host, nc=80)
    model = MetaFusionYOLO(file)
    if kind == "yoloe":
        with pytest.raises(UserValueError, match="needs the names of what to find; give them by set_classes"):
            model.predict(pairs.images, **runs)
    with pytest.raises(UserValueError, match="must be a tensor"):
        model.set_classes(["person"], EMBEDDINGS)
    model.set_classes(["person", "car"], EMBEDDINGS)
    results = model.predict(pairs.images, conf=1e-6, max_det=3, verbose=False, **runs)
    assert results[0].names == {0: "person", 1: "car"} and len(results[0].found) and results[0].has_weights
    scores = results[0].found.conf
    metrics = model.val(data=str(pairs.yaml), metrics="none", plots=False, **runs)
    assert math.isfinite(metrics.box.map50)
    model.save(tmp_path / "again.pt")
    again = MetaFusionYOLO(tmp_path / "again.pt")
    found = again.track(pairs.images, conf=1e-6, max_det=3, verbose=False, **runs)
    assert found[0].names == results[0].names
    again.set_classes(["car", "tree"], EMBEDDINGS.flip(1) * 3)  # other words, other scores
    assert not torch.equal(again.predict(pairs.images, conf=1e-6, max_det=3, verbose=False)[0].found.conf, scores)
    with pytest.raises(UserTypeError, match="cannot be trained on pairs, only used"):
        model.train(data=str(pairs.yaml), epochs=1)


def test_words_for_fixed_classes_and_a_missing_text_encoder_are_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserTypeError, match="this head is Detect, and its classes are those it was trained on"):
        MetaFusionYOLO(TINY).set_classes(["person"])
    host, head = WORDS["world"]
    model = MetaFusionYOLO(stock_checkpoint(tmp_path, head, host, nc=80))
    with pytest.raises(UserValueError, match="expected a list of words"):
        model.set_classes("person")
    monkeypatch.setitem(__import__("sys").modules, "clip", None)  # as where it is not installed
    with pytest.raises(MissingPackageError, match="needs the text encoder of this model, which is not available"):
        model.set_classes(["person"])
