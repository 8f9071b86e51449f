"""Detectors other than YOLO behind the front-end: a stock checkpoint, training, validation, prediction, export."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models import get_model, get_model_weights
from ultralytics import RTDETR
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import load_checkpoint
from ultralytics.utils import SETTINGS
from ultralytics.utils.ops import xywh2xyxy

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.checkpoints import find_checkpoint
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import build_model
from metafusion_yolo.nn.teaching import run
from metafusion_yolo.nn.torchvision_model import Maps
from metafusion_yolo.runtime import Detector, read_counts
from metafusion_yolo.support.errors import UserValueError
from tests.engine.test_tasks import describe
from tests.nn.conftest import labelled, random_pair, write_yaml

HEAD = ["RTDETRDecoder", ["nc", 16, 20, 2, 2, 1, 16]]  # as small as `TINY`: 20 queries, one layer
LOSSES = {
    "rtdetr": ["giou_loss", "cls_loss", "l1_loss"],
    "faster": ["loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"],
}
FASTER = "fasterrcnn_mobilenet_v3_large_320_fpn"
WEIGHTS = get_model_weights(FASTER).DEFAULT
TAUGHT = {"gains": {"meta": 1.0}, "meta": {"interval": 2}}


@pytest.fixture(scope="module")
def rtdetr(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    torch.manual_seed(0)
    RTDETR(str(describe(folder, HEAD))).save(folder / "stock.pt")
    return folder / "stock.pt"


def test_rtdetr_gives_its_stock_boxes_in_pixels(rtdetr) -> None:
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        own, (raw, _) = MetaFusionYOLO(rtdetr).model(image)[0], RTDETR(rtdetr).model.float().eval()(image)
    torch.testing.assert_close(own[..., :4], xywh2xyxy(raw[..., :4]) * torch.tensor([96, 64, 96, 64]))
    assert torch.equal(own[..., 4:], raw[..., 4:])


@pytest.fixture(scope="module")
def faster(tmp_path_factory) -> Path:
    """The checkpoint of `FASTER`, from weights that lie where torchvision keeps those it has fetched."""
    folder, before = tmp_path_factory.mktemp("torchvision"), torch.hub.get_dir()
    torch.manual_seed(0)
    state = get_model(FASTER, weights=None, weights_backbone=None, num_classes=91).state_dict()
    state["roi_heads.box_predictor.cls_score.weight"] *= 100  # sure enough to be shown
    (folder / "checkpoints").mkdir()
    torch.save(state, folder / "checkpoints" / Path(WEIGHTS.url).name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SETTINGS, "weights_dir", str(folder))
        torch.hub.set_dir(folder)
        file = find_checkpoint(f"torchvision/{FASTER}")
        torch.hub.set_dir(before)
    return Path(file)


def test_coco_weights_of_torchvision_are_known_by_the_names_of_the_classes(faster) -> None:
    host = get_model(FASTER, weights=None, weights_backbone=None, num_classes=91).eval()
    host.load_state_dict(torch.load(faster.parent / "checkpoints" / Path(WEIGHTS.url).name))
    model, image, features = MetaFusionYOLO(faster), torch.rand(1, 3, 320, 320), torch.rand(5, 1024)
    layers = model.model.model
    with torch.no_grad():
        maps = run(layers[:-1], image)
        own = layers[-1].detector.backbone(Maps([maps[i] for i in layers[-1].f], (320, 320)))
        expected = host.backbone(host.transform([*image])[0].tensors)
        scores, boxes = layers[-1].detector.roi_heads.box_predictor(features)
        all_scores, all_boxes = host.roi_heads.box_predictor(features)
    assert own.keys() == expected.keys()
    assert all(torch.allclose(own[level], expected[level], atol=1e-5) for level in own)
    categories = ["background", *WEIGHTS.meta["categories"][1:]]
    kept = [i for i, category in enumerate(categories) if category != "N/A"]
    assert ["background", *model.names.values()] == [categories[i] for i in kept]
    torch.testing.assert_close(scores, all_scores[:, kept])
    torch.testing.assert_close(boxes.unflatten(1, (-1, 4)), all_boxes.unflatten(1, (-1, 4))[:, kept])


def test_classes_are_taken_over_by_name(faster) -> None:
    model = build_model(f"metafusion-{FASTER}.yaml", nc=3, verbose=False)
    model.names = {0: "car", 1: "kiosk", 2: "Person"}
    kiosk = model.model[-1].detector.roi_heads.box_predictor.bbox_pred.weight[8:12].clone()
    stock = MetaFusionYOLO(faster).model
    model.load(stock, verbose=False)
    own, other = (m.model[-1].detector.roi_heads.box_predictor for m in (model, stock))
    assert torch.equal(own.cls_score.bias[[0, 1, 3]], other.cls_score.bias[[0, 3, 1]])  # 0 is the background
    assert torch.equal(own.bbox_pred.weight[4:8], other.bbox_pred.weight[12:16])
    assert torch.equal(own.bbox_pred.weight[8:12], kiosk)


def test_another_detector_of_torchvision_learns_and_is_kept() -> None:
    cfg = {**load_model_yaml("metafusion-fcos_resnet50_fpn.yaml"), "arguments": {"detections_per_img": 7}}
    model = build_model(cfg, nc=3, verbose=False)
    model.args = get_cfg()
    batch = labelled(random_pair())
    total, items = model.loss(batch)
    assert {"classification", "bbox_regression"} < items.keys()
    total[-1].backward()
    assert all(any(p.grad.any() for p in part.parameters()) for part in (model.fusion, model.model))
    again = pickle.loads(pickle.dumps(model.eval()))
    with torch.no_grad():
        assert torch.equal(again(batch["img"]), model(batch["img"])) and again(batch["img"]).shape[1] == 7
        assert model.loss(batch)[1].keys() == items.keys()  # as a validation asks for them


def test_unknown_detectors_and_stems_of_torchvision_are_refused(tmp_path) -> None:
    for name in (f"torchvision/{FASTER}s", "metafusion-ssd300_vgg16.yaml", f"metafusion-{FASTER}s.yaml"):
        wanted = name.replace("metafusion-", "torchvision/").removesuffix(".yaml")
        with pytest.raises(UserValueError, match=f"'{wanted}' is not a torchvision detector with a fused form"):
            MetaFusionYOLO(name)
    for arguments, wanted in (({"rpn_nms_tresh": 0.5}, f"of {FASTER}, did you mean"), ([3], "must be a mapping")):
        file = write_yaml(tmp_path, detector=f"torchvision/{FASTER}", arguments=arguments)
        with pytest.raises(UserValueError, match=f"'arguments:.*{wanted}"):
            MetaFusionYOLO(file)
    file = write_yaml(tmp_path, detector=f"torchvision/{FASTER}", fusion={"meet": "P3"})
    with pytest.raises(UserValueError, match="needs a backbone whose layers follow each other; set meet: image"):
        MetaFusionYOLO(file)
    with pytest.raises(UserValueError, match="'dynamic=True' does not work with a torchvision detector"):
        MetaFusionYOLO(f"metafusion-{FASTER}.yaml").export(format="onnx", dynamic=True)


@pytest.fixture(params=["rtdetr", "faster"])
def stock(request) -> Path:
    return request.getfixturevalue(request.param)


def test_a_detector_trains_predicts_tracks_and_exports(stock, request, make_pair_folder, tmp_path) -> None:
    pairs = make_pair_folder()
    runs = {"imgsz": 64, "project": str(tmp_path), "plots": False}
    model = MetaFusionYOLO(stock)
    start = {name: p.clone() for name, p in model.model.named_parameters()}
    model.train(data=str(pairs.yaml), fusion=TAUGHT, epochs=1, batch=4, workers=0, optimizer="SGD", lr0=0.1, **runs)
    row = (tmp_path / "train" / "results.csv").read_text().splitlines()[0]
    expected = ["meta_loss", *LOSSES[request.node.callspec.params["stock"]]]
    assert all(f"{part}/{name}" in row for part in ("train", "val") for name in expected)
    last = tmp_path / "train" / "weights" / "last.pt"
    trained, (again, _) = MetaFusionYOLO(last), load_checkpoint(last)  # which the host reads at the end of a training
    images: list[torch.Tensor] = []
    again.fusion.register_forward_hook(lambda *call: images.extend((call[2].fused, call[2].fused.clone())))
    again.eval()(random_pair())
    assert torch.equal(*images), "the detector changes the fused image that it is shown"
    now = trained.model.state_dict()
    learned = {name.partition(".")[0] for name, p in start.items() if not torch.equal(p, now[name])}
    assert learned == {"fusion", "model"} and trained.model.teacher is not None
    assert (tmp_path / "train" / "val.json").is_file()
    look = {"imgsz": 64, "conf": 0.0, "max_det": 5, "rect": False, "verbose": False}
    own = trained.predict(pairs.images, **look)
    assert all(len(result.boxes) and result.has_weights for result in own)
    assert all(result.boxes is not None for result in trained.track(pairs.images, **look))
    file = trained.export(format="onnx", imgsz=64, fused=True)
    other = MetaFusionYOLO(file).predict(pairs.images, **look)
    without = Detector(file, conf=0.0, max_det=5)
    for a, b, visible, infrared in zip(own, other, pairs.visible, pairs.infrared, strict=True):
        torch.testing.assert_close(a.boxes.data, b.boxes.data, atol=1e-3, rtol=1e-4)
        found = without(cv2.imread(str(visible)), read_counts(infrared))
        np.testing.assert_allclose(found.boxes_xyxy, b.boxes.xyxy, atol=1e-2)
        np.testing.assert_allclose(found.scores, b.boxes.conf, atol=1e-4)
