"""The doors of the host, tried with pairs: what comes out changes with the infrared image, or shows both cameras."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from ultralytics import YOLO
from ultralytics.engine.exporter import export_formats
from ultralytics.engine.results import Results

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.engine.export.exporter import STOCK_ONLY, FusionDetectionExporter
from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor, Request
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.engine.predict.slicing import Slicing
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.options import OutputOptions
from metafusion_yolo.support.errors import UserError, UserValueError
from metafusion_yolo.support.logs import info_once
from tests.conftest import TINY
from tests.engine.conftest import IMGSZ, run, tiny_data  # noqa: F401 - fixtures
from tests.engine.predict.moving import moving_pairs

SIZE = 320
QUIET: dict[str, Any] = {"imgsz": SIZE, "verbose": False}


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A visible (H, W, 3) and an infrared (H, W) image with objects that a COCO detector finds."""
    return next(iter(moving_pairs(1)))


@pytest.fixture(scope="module")
def other(pair) -> np.ndarray:
    """Another infrared image."""
    return np.ascontiguousarray(pair[1][::-1])


def stacked(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    return np.dstack([visible[..., ::-1], infrared])


def tensor(visible: np.ndarray, infrared: np.ndarray) -> torch.Tensor:
    pair = cv2.resize(stacked(visible, infrared), (SIZE, SIZE))
    return torch.from_numpy(pair).permute(2, 0, 1)[None].float() / 255


def boxes(results: Any) -> np.ndarray:
    return torch.cat([result.boxes.data for result in results]).numpy()


WAYS: dict[str, Callable[[Any, np.ndarray, np.ndarray], np.ndarray]] = {
    "call": lambda m, v, ir: boxes(m(v, infrared=ir, **QUIET)),
    "predict": lambda m, v, ir: boxes(m.predict(v, infrared=ir, **QUIET)),
    "stream": lambda m, v, ir: boxes(m.predict(v, infrared=ir, stream=True, **QUIET)),
    "augment": lambda m, v, ir: boxes(m.predict(v, infrared=ir, augment=True, **QUIET)),
    "PIL": lambda m, v, ir: boxes(m(Image.fromarray(v[..., ::-1]), infrared=Image.fromarray(ir), **QUIET)),
    "stack": lambda m, v, ir: boxes(m(stacked(v, ir), **QUIET)),
    "tensor": lambda m, v, ir: boxes(m(tensor(v, ir), **QUIET)),
    "tuples": lambda m, v, ir: boxes(m([(v, ir)], **QUIET)),
    "slices": lambda m, v, ir: boxes(m(v, infrared=ir, slice=160, **QUIET)),
    "track": lambda m, v, ir: boxes(m.track(v, infrared=ir, **QUIET)),
    "embed": lambda m, v, ir: m.embed(v, infrared=ir, **QUIET)[0].numpy(),
    "embed a layer": lambda m, v, ir: m.predict(v, infrared=ir, embed=[4], **QUIET)[0].numpy(),
    "forward": lambda m, v, ir: m.model(tensor(v, ir))[0].detach().numpy(),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_infrared_image_counts(coco, pair, other, way):
    visible, infrared = pair
    first, again, second = (WAYS[way](coco, visible, ir) for ir in (infrared, infrared, other))
    assert first.size and first.shape == again.shape and np.allclose(first, again, atol=1e-3)
    assert first.shape != second.shape or np.abs(first - second).max() > 1e-3


CHANGES: dict[str, Callable[[Any, Path], Any]] = {
    "save": lambda m, folder: (m.save(folder / "a.pt"), MetaFusionYOLO(folder / "a.pt"))[1],
    "load": lambda m, _: MetaFusionYOLO("metafusion-yolov8n.yaml").load(m.model),
    "fuse": lambda m, _: m.fuse(verbose=False),
    "eval": lambda m, _: m.eval(),
    "to": lambda m, _: m.to("cpu").float(),
    "deepcopy": lambda m, _: copy.deepcopy(m),
    "wrap": lambda m, _: MetaFusionYOLO(m.ckpt_path),
}


@pytest.mark.parametrize("change", [*CHANGES, "reset_weights"])
def test_the_infrared_image_counts_after(coco, pair, other, tmp_path, change):
    model = MetaFusionYOLO(coco.ckpt_path)
    if change == "reset_weights":
        model = model.reset_weights()
        first, second = (model.embed(pair[0], infrared=ir, **QUIET)[0].numpy() for ir in (pair[1], other))
    else:
        model = CHANGES[change](model, tmp_path)
        first, second = (boxes(model(pair[0], infrared=ir, **QUIET)) for ir in (pair[1], other))
        assert np.allclose(first, boxes(coco(pair[0], infrared=pair[1], **QUIET)), atol=2.0)  # saved in half precision
    assert first.shape != second.shape or (first != second).any()


def test_reset_weights_are_those_of_a_new_model(coco, pair):
    model = MetaFusionYOLO(coco.ckpt_path).reset_weights()
    assert model.predict(*pair[:1], infrared=pair[1], **QUIET)[0].fusion_weights is not None
    new = MetaFusionYOLO("metafusion-yolov8n.yaml").model.fusion.state_dict()
    assert all(torch.equal(value, new[key]) for key, value in model.model.fusion.state_dict().items())
    assert model.overrides["pretrained"] is False


def test_what_a_model_says_of_itself(coco):
    layers, parameters, *_ = coco.info(verbose=True) or coco.model.info(verbose=False)
    assert parameters > 3_000_000 and layers > 100
    assert coco.names[0] == "person" and coco.device.type == "cpu" and coco.transforms is None
    assert set(coco.task_map["detect"]) == {"model", "trainer", "validator", "predictor"}
    assert all(cls.__module__.startswith("metafusion_yolo") for cls in coco.task_map["detect"].values())


def infrared_of(images: torch.Tensor) -> torch.Tensor:
    assert images.shape[1] == 4
    return images[:, 3]


def test_callbacks_see_pairs(coco, pair, tiny_data, tmp_path):  # noqa: F811
    model = MetaFusionYOLO(coco.ckpt_path)
    seen: list[str] = []

    def look(name: str, images: Callable[[Any], Any]) -> Callable[[Any], None]:
        def called(job: Any) -> None:
            assert infrared_of(torch.as_tensor(images(job))).float().std() > 0
            seen.append(name)

        return called

    model.add_callback("on_predict_batch_end", look("predict", lambda job: job.batch[1][0].transpose(2, 0, 1)[None]))
    model.predict(pair[0], infrared=pair[1], **QUIET)
    model.add_callback("on_val_batch_end", look("val", lambda job: job.dataloader.dataset[0]["img"][None]))
    model.val(data=str(tiny_data), imgsz=IMGSZ, project=str(tmp_path), plots=False, verbose=False, workers=0)
    model.add_callback("on_export_start", look("export", lambda job: job.im + torch.rand_like(job.im)))
    model.export(format="torchscript", imgsz=IMGSZ)
    assert set(seen) == {"predict", "val", "export"}
    model.clear_callback("on_predict_batch_end")
    seen.clear()
    model.predict(pair[0], infrared=pair[1], **QUIET)
    assert not seen
    model.reset_callbacks()
    assert len(model.callbacks["on_val_batch_end"]) == 1
    trainer = FusionDetectionTrainer(
        overrides={"data": str(tiny_data), "model": "metafusion-yolov8n.yaml", "project": str(tmp_path)}
    )
    trainer.set_callback("on_train_batch_start", seen.append)
    assert trainer.callbacks["on_train_batch_start"] == [seen.append]


def test_the_hosts_way_through_a_predictor_reads_pairs(coco, pair, caplog):
    predictor = FusionDetectionPredictor(overrides={**QUIET, "mode": "predict", "task": "detect", "save": False})
    predictor.setup_model(coco.model, verbose=False)
    source = Request(PairedSource(pair[0], pair[1]), OutputOptions(), Slicing())
    with caplog.at_level(logging.INFO):
        predictor.predict_cli(source=source)
    assert predictor.results[0].modalities == "both" and len(predictor.results[0])


def test_the_hosts_own_model_says_that_it_looks_without_the_infrared_camera(coco, pair, caplog):
    info_once.cache_clear()
    with caplog.at_level(logging.INFO):
        MetaFusionYOLO(TINY).info()  # strides and operations are found with an image
        coco(pair[0], infrared=pair[1], **QUIET)
        assert "without the infrared one" not in caplog.text
        YOLO(coco.ckpt_path).predict(pair[0], **QUIET)
    assert caplog.text.count("without the infrared one") == 1


def test_a_class_that_there_is_not_is_refused_by_a_model_in_use(coco, pair):
    coco(pair[0], infrared=pair[1], **QUIET)
    with pytest.raises(UserValueError, match=r"there is no class 99, only 0 to 79"):
        coco(pair[0], infrared=pair[1], classes=[99], **QUIET)


def test_none_is_as_if_left_out(coco, pair):
    first, second = (coco.track(pair[0], infrared=pair[1], tracker=None, conf=None, **QUIET) for _ in range(2))
    assert len(first[0]) == len(second[0]) == len(coco.predict(pair[0], infrared=pair[1], conf=None, **QUIET)[0])


# Every argument -------------------------------------------------------------------------------------------------------
@pytest.fixture
def networks_input(monkeypatch) -> list[torch.Tensor]:
    """Remember what front-ends are given."""
    given: list[torch.Tensor] = []
    forward = FusionNet.forward

    def remember(self: FusionNet, pair: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        given.append(pair.detach())
        return forward(self, pair, *args, **kwargs)

    monkeypatch.setattr(FusionNet, "forward", remember)
    return given


def both_cameras(given: list[torch.Tensor]) -> bool:
    return bool(given) and any(x.shape[1] == 4 and x[:, :3].std() > 0 and x[:, 3].std() > 0 for x in given)


@pytest.mark.slow
def test_a_training_with_every_argument(tiny_data, tmp_path, networks_input, yolov8n):  # noqa: F811
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    del networks_input[:]
    model.train(
        **{"data": str(tiny_data), "epochs": 1, "time": None, "patience": 3, "batch": 4, "imgsz": IMGSZ},
        **{"save": True, "save_period": 1, "cache": "ram", "device": "cpu", "workers": 0, "split": "val"},
        **{"project": str(tmp_path), "name": "all", "exist_ok": True, "pretrained": str(yolov8n), "cls_remap": False},
        **{"optimizer": "SGD", "verbose": False, "seed": 3, "deterministic": False, "single_cls": True, "cos_lr": True},
        **{"close_mosaic": 1, "amp": False, "fraction": 0.5, "profile": False, "freeze": 2, "multi_scale": 0.5},
        **{"channels_last": True, "val": True, "plots": True, "lr0": 0.02, "lrf": 0.1, "momentum": 0.8},
        **{"weight_decay": 0.01, "warmup_epochs": 1.0, "warmup_momentum": 0.5, "warmup_bias_lr": 0.05, "box": 5.0},
        **{"cls": 1.0, "cls_pw": 0.5, "dfl": 1.0, "nbs": 8, "degrees": 5.0, "mixup": 0.5, "cutmix": 0.5, "flipud": 0.5},
    )
    assert both_cameras(networks_input)
    assert all(x.shape[1] == 4 for x in networks_input)
    args = model.trainer.args
    assert (args.optimizer, args.lr0, args.cls_pw, args.freeze) == ("SGD", 0.02, 0.5, 2)
    assert len(model.trainer.train_loader.dataset) == 4
    assert MetaFusionYOLO(tmp_path / "all" / "weights" / "best.pt").names == model.names == {0: "item"}


def test_a_validation_with_every_argument(coco, tiny_data, tmp_path, networks_input):  # noqa: F811
    model = MetaFusionYOLO(coco.ckpt_path)
    model.val(
        **{"data": str(tiny_data), "imgsz": IMGSZ, "batch": 2, "project": str(tmp_path), "name": "all", "workers": 0},
        **{"conf": 0.01, "iou": 0.6, "max_det": 100, "agnostic_nms": True, "classes": [0], "augment": True},
        **{"save_json": True, "save_txt": True, "save_conf": True, "visualize": True, "plots": True, "split": "val"},
    )
    assert both_cameras(networks_input)
    folder = tmp_path / "all"
    assert (folder / "predictions.json").is_file() and (folder / "labels").is_dir()


def test_a_prediction_with_every_argument(coco, pair, tmp_path, networks_input):
    files = [tmp_path / "visible.png", tmp_path / "infrared.png"]
    for file, image in zip(files, pair, strict=True):
        cv2.imwrite(str(file), image)
    common = {"imgsz": SIZE, "conf": 0.2, "iou": 0.6, "max_det": 50, "agnostic_nms": True, "augment": True}
    model = MetaFusionYOLO(coco.ckpt_path)
    results = model.predict(
        **{"source": str(files[0]), "infrared": str(files[1]), "project": str(tmp_path), "name": "all", **common},
        **{"save": True, "save_txt": True, "save_conf": True, "save_crop": True, "show": False, "save_frames": False},
        **{"show_labels": False, "show_conf": False, "show_boxes": True, "line_width": 1, "vid_stride": 1},
        **{"stream_buffer": False, "visualize": True, "verbose": True, "embed": None, "view": "infrared"},
    )
    assert both_cameras(networks_input) and results[0].modalities == "both" and len(results[0])
    folder = tmp_path / "all"
    drawn = cv2.imread(str(folder / "visible.jpg"))
    assert np.abs(drawn.astype(int) - cv2.cvtColor(pair[1], cv2.COLOR_GRAY2BGR)).mean() < 15
    assert {path.name for path in (folder / "crops").iterdir()} == {"visible", "infrared", "fused"}
    assert len((folder / "labels" / "visible.txt").read_text().split("\n")[0].split()) == 6


def test_an_export_with_every_argument(coco, tmp_path, pair, other):
    model = MetaFusionYOLO(coco.ckpt_path)
    model.model.pt_path = str(tmp_path / "a.pt")
    Path(model.model.pt_path).write_bytes(Path(coco.ckpt_path).read_bytes())
    file = model.export(
        **{"format": "onnx", "imgsz": SIZE, "dynamic": True, "simplify": False, "opset": 17, "nms": True, "batch": 1},
        **{"device": "cpu", "optimize": False, "workspace": None, "verbose": False},
    )
    exported = MetaFusionYOLO(file)
    first, second = (boxes(exported(pair[0], infrared=ir, **QUIET)) for ir in (pair[1], other))
    assert len(first) and (first.shape != second.shape or (first != second).any())


OTHERS = (
    "engine",
    "saved_model",
    "pb",
    "edgetpu",
    "imx",
    "rknn",
    "axelera",
    "hailo",
    "ascend",
    "xilinx",
    "qnn",
    "deepx",
    "coreai",
)


@pytest.mark.parametrize("form", OTHERS)
def test_other_formats_get_a_model_of_pairs(coco, form, monkeypatch, tmp_path):
    assert form in export_formats()["Argument"]
    got: list[tuple[int, ...]] = []

    def made(self: Any, *_: Any, **__: Any) -> Any:
        got.append(tuple(self.im.shape))
        assert self.model.fusion is not None
        return str(tmp_path)

    for name in [name for name in dir(FusionDetectionExporter) if name.startswith("export_")]:
        monkeypatch.setattr(FusionDetectionExporter, name, made)
    if form in STOCK_ONLY or (form == "engine" and not torch.cuda.is_available()):
        with pytest.raises(UserValueError, match=f"^format={form} (is for|needs) .*; export onnx"):
            MetaFusionYOLO(coco.ckpt_path).export(format=form, imgsz=64)
        return
    try:
        MetaFusionYOLO(coco.ckpt_path).export(format=form, imgsz=64)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert got and all(shape[1] == 4 for shape in got)


def test_a_batch_by_itself_is_of_pairs(tiny_data, tmp_path, networks_input, monkeypatch):  # noqa: F811
    trainer = FusionDetectionTrainer(
        overrides={"data": str(tiny_data), "model": "metafusion-yolov8n.yaml", "project": str(tmp_path), "imgsz": IMGSZ}
    )
    trainer.model = trainer.get_model("metafusion-yolov8n.yaml", verbose=False)
    asked: list[Any] = []
    monkeypatch.setattr("ultralytics.engine.trainer.check_train_batch_size", lambda **kwargs: asked.append(kwargs) or 4)
    trainer.set_model_attributes()
    trainer.stride, trainer.amp = 32, False
    assert trainer.auto_batch() == 4
    assert asked[0]["model"].yaml["channels"] == 4


def test_a_compiled_model_reads_pairs(coco, pair, other, monkeypatch):
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: compiled.append(model) or model)
    first, second = (boxes(coco(pair[0], infrared=ir, compile=True, **QUIET)) for ir in (pair[1], other))
    assert compiled and (first.shape != second.shape or (first != second).any())


# Results --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def result(coco, pair) -> FusionResults:
    [found] = coco.predict(pair[0], infrared=pair[1], **QUIET)
    assert len(found) > 1
    return found


def test_results_keep_the_pair(result, pair):
    again = [result.cpu(), result.numpy(), result.to("cpu"), result.new(), result[:1], result[0]]
    if torch.cuda.is_available():
        again.append(result.cuda())
    result.update(boxes=result.boxes.data[:1].clone())
    for one in [*again, result, copy.deepcopy(result)]:
        assert isinstance(one, FusionResults)
        np.testing.assert_array_equal(one.infrared, pair[1])
        np.testing.assert_array_equal(one.orig_img, pair[0])
        assert one.modalities == "both" and one.fused.shape == pair[0].shape and one.fusion_weights.shape[0] == 2


def test_results_in_words_and_tables(result):
    assert (len(result) == len(result.boxes) and "infrared" in str(result)) or isinstance(str(result), str)
    assert result.verbose()
    rows = result.summary()
    assert all(0 <= row["infrared_weight"] <= 1 for row in rows)
    assert "infrared_weight" in result.to_df().columns
    assert "infrared_weight" in result.to_csv() and "infrared_weight" in result.to_json()


def test_results_as_files_show_both_cameras(result, tmp_path, monkeypatch):
    shown: list[np.ndarray] = []
    monkeypatch.setattr(Image.Image, "show", lambda self, *_, **__: shown.append(np.asarray(self)))
    assert (result.plot(view="infrared") != result.plot(view="visible")).any()
    with pytest.raises(UserValueError, match="unknown color_mode 'track', expected class or instance"):
        result.plot(color_mode="track")
    result.save(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png")), result.plot())
    result.show()
    assert shown and shown[0].shape == result.orig_img.shape
    result.save_crop(tmp_path)
    assert all((tmp_path / camera).is_dir() for camera in ("visible", "infrared", "fused"))
    result.save_txt(tmp_path / "a.txt", save_conf=True)
    assert len((tmp_path / "a.txt").read_text().splitlines()) == len(result)
    assert isinstance(result, Results)
