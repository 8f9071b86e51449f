"""Exports with other inputs and outputs come back, and see what the checkpoint sees."""

from __future__ import annotations

import ast
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx as onnx_package
import onnxruntime
import pytest
import torch
import yaml
from ultralytics.nn.backends.base import BaseBackend

from metafusion_yolo import MetaFusionYOLO, __version__
from metafusion_yolo.runtime import Detector, read_counts, read_visible
from tests.conftest import EXPORT_IMGSZ, few, linked_roads, real_pairs

OPTIONS = {"imgsz": EXPORT_IMGSZ, "conf": 0.25, "rect": False, "verbose": False}
FORMS = {
    "onnx": {"fused": True, "fusion_weights": True},
    "onnx, two inputs": {"inputs": "two", "fused": True, "dynamic": True},
    "onnx, NMS inside": {"inputs": "two", "fused": True, "fusion_weights": True, "nms": True},
    "torchscript": {"format": "torchscript", "inputs": "two", "fused": True},
    "openvino, two inputs": {"format": "openvino", "inputs": "two", "fused": True},
}


@pytest.fixture(scope="module", params=FORMS)
def form(request) -> dict:
    if FORMS[request.param].get("format") == "openvino":
        pytest.importorskip("openvino")
    return FORMS[request.param]


@dataclass
class Seen:
    """What the checkpoint finds in four pairs."""

    source: list[Path]
    validation: dict
    results: list
    tracked: object
    map50: float


@pytest.fixture(scope="module")
def seen(coco, tmp_path_factory) -> Seen:
    roads = few(linked_roads(tmp_path_factory.mktemp("exports")))
    source = [visible for visible, _ in real_pairs(roads, 4)]
    data = roads / "data.yaml"
    data.write_text(yaml.safe_dump({**yaml.safe_load(data.read_text()), "names": coco.names}))
    validation = {"data": str(data), "imgsz": EXPORT_IMGSZ, "rect": False, "batch": 1, "plots": False, "verbose": False}
    results, tracked = coco.predict(source, **OPTIONS), coco.track(source[0], **OPTIONS)[0]
    return Seen(source, validation, results, tracked, coco.val(**validation).box.map50)


def compare(first, second) -> int:
    """Check that two results have the same boxes, and return how many."""
    assert torch.equal(first.boxes.cls, second.boxes.cls)
    if len(first):
        assert (first.boxes.xyxy - second.boxes.xyxy).abs().max() < 0.05
        assert (first.boxes.conf - second.boxes.conf).abs().max() < 1e-3
    return len(first)


@pytest.mark.slow
def test_export_predicts_validates_and_tracks_like_the_checkpoint(export, seen, form):
    model = MetaFusionYOLO(export(**form))
    results = list(zip(seen.results, model.predict(seen.source, **OPTIONS), strict=True))
    assert sum(compare(*pair) for pair in results) > 5
    for first, second in results:
        assert (second.fused is not None) is bool(form.get("fused"))
        if form.get("fused"):
            assert first.fused.shape == second.fused.shape
            assert np.abs(first.fused.astype(int) - second.fused).mean() < 8  # enlarged from the network's size
        assert (second.fusion_weights is not None) is bool(form.get("fusion_weights"))
        if form.get("fusion_weights"):
            assert np.abs(first.fusion_weights - second.fusion_weights).max() < 0.02
    assert compare(seen.tracked, model.track(seen.source[0], **OPTIONS)[0])
    if "nms" not in form:
        assert model.val(**seen.validation).box.map50 == pytest.approx(seen.map50, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "package"),
    [("mnn", "MNN"), ("ncnn", "ncnn"), ("executorch", "executorch"), ("litert", "litert_torch"), ("paddle", "paddle")],
)
def test_formats_of_other_packages_where_they_are_installed(export, seen, form, package):
    pytest.importorskip(package)
    model = MetaFusionYOLO(export(format=form))
    results = zip(seen.results[:2], model.predict(seen.source[:2], **OPTIONS), strict=True)
    assert sum(compare(*pair) for pair in results) > 2


def test_core_ml_takes_the_pair_as_a_tensor(export):
    coremltools = pytest.importorskip("coremltools")
    (description,) = coremltools.utils.load_spec(str(export(format="coreml", imgsz=64))).description.input
    assert [*description.type.multiArrayType.shape] == [1, 4, 64, 64]


def test_static_graph_has_no_operator_that_a_small_runtime_rejects(onnx):
    kinds = {node.op_type for node in onnx_package.load(onnx).graph.node}
    rejected = {"Cast", "Einsum", "Equal", "Gather", "Greater", "If", "Less", "Loop", "NonZero", "Shape", "Where"}
    assert not kinds & rejected  # a comparison stopped NCNN


def test_metadata_tell_all_that_a_user_of_the_file_needs(export, untrained):
    cameras = {"infrared": "lwir", "thermal": {"normalize": "clahe"}, "registration": [[1, 0, 5], [0, 1, 2], [0, 0, 1]]}
    for kwargs in ({}, {"format": "torchscript"}):
        metadata = BaseBackend.read_metadata(export(cameras, of=untrained, imgsz=64, **kwargs))
        assert metadata["metafusion_yolo"] == __version__
        assert int(metadata["stride"]) == 32 and "person" in str(metadata["names"])
        assert ast.literal_eval(metadata["pair_input"]) == {
            "channels": 4,
            "order": "R,G,B,IR",
            "range": [0, 1],
            "layout": "BCHW",
            "infrared": "lwir",
            "thermal": {"normalize": "clahe", "range": None, "invert": False, "scope": "auto"},
            "registration": {"matrix": [[1.0, 0.0, 5.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]]},
            "inputs": ["images"],
            "outputs": ["boxes"],
        }


def test_two_inputs_and_all_outputs_have_their_names(export, untrained):
    file = export(of=untrained, imgsz=64, inputs="two", fused=True, fusion_weights=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert {x.name: x.shape for x in session.get_inputs()} == {"visible": [1, 3, 64, 64], "infrared": [1, 1, 64, 64]}
    shapes = [(x.name, x.shape[1:]) for x in session.get_outputs()]
    assert shapes == [("output0", [84, 84]), ("output1", [3, 64, 64]), ("output2", [2, 64, 64])]


def test_fused_output_is_what_the_front_end_makes(export, untrained):
    pair = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    file = export(of=untrained, imgsz=64, fused=True, fusion_weights=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    _, fused, weights = map(torch.from_numpy, session.run(None, {"images": pair.numpy()}))
    with torch.no_grad():
        expected = untrained.model.float().eval().fuse_images(pair)
    torch.testing.assert_close(fused, expected.fused, atol=1e-4, rtol=0)
    assert (weights.sum(1) - 1).abs().max() < 1e-5 and weights.shape == (1, 2, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("kwargs", [{"fused": True, "fusion_weights": True}, {"inputs": "two", "fused": True}])
def test_runtime_without_pytorch_shows_the_fused_image(export, coco, few_roads, kwargs):
    visible, infrared = real_pairs(few_roads, 1)[0]
    file = export(**kwargs)
    found = Detector(file)(read_visible(visible), read_counts(infrared), visible)
    result = MetaFusionYOLO(file).predict(visible, infrared=infrared, **OPTIONS)[0]
    assert np.abs(found.fused[..., ::-1].astype(int) - result.fused).max() <= 3
    assert np.array_equal(found.image, found.fused)
    assert (found.fusion_weights is not None) is bool(kwargs.get("fusion_weights"))


def test_fused_images_come_from_an_export_that_gives_them(export, few_roads, tmp_path):
    visible, infrared = real_pairs(few_roads, 1)[0]
    options = {"infrared": infrared, "imgsz": EXPORT_IMGSZ, "project": str(tmp_path)}
    [result] = MetaFusionYOLO(export(fused=True)).predict(visible, save_fused=True, **options)
    assert result.fused_path.is_file()
    [result] = MetaFusionYOLO(export()).predict(visible, save_fused=True, **options)
    assert result.fused_path is None
    with pytest.raises(TypeError, match=r"is an export; use the \.pt checkpoint, or predict with save_fused=True"):
        MetaFusionYOLO(export(fused=True)).fuse_images(visible, **options)


@pytest.mark.slow
def test_int8_is_calibrated_on_pairs_and_named_by_the_host(export, few_roads, coco):
    with pytest.raises(ValueError, match=r"INT8 calibrates on pairs, and .* is not a data-set YAML; give one as data="):
        export(quantize=8)
    file = export(quantize=8, data=str(few_roads / "data.yaml"), fraction=0.5, fused=True, inputs="two")
    assert file.name == "coco_int8.onnx"
    kinds = {node.op_type for node in onnx_package.load(file).graph.node}
    assert "DequantizeLinear" in kinds
    visible, infrared = real_pairs(few_roads, 1)[0]
    result = MetaFusionYOLO(file).predict(visible, infrared=infrared, **OPTIONS)[0]
    assert len(result) > 0 and result.fused is not None


MISTAKES = {
    "'inputs=three' is invalid, known: one, two": {"inputs": "three"},
    "fusion_weights=True needs fused=True": {"fusion_weights": True},
    "inputs=two is for torchscript, onnx, openvino; export 'mnn' with inputs=one": {"inputs": "two", "format": "mnn"},
    "triton= serves format=onnx and format=openvino, not 'torchscript'": {"triton": "x", "format": "torchscript"},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_what_cannot_be_is_refused_before_any_work(export, message):
    with pytest.raises(ValueError, match=message):
        export(**MISTAKES[message])


# Serving -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kwargs", [{"inputs": "two", "fused": True, "dynamic": True}, {"format": "openvino"}])
def test_triton_repository_says_what_the_export_is(export, untrained, tmp_path, kwargs):
    if kwargs.get("format") == "openvino":
        pytest.importorskip("openvino")
    file = export(of=untrained, imgsz=64, triton=tmp_path / "models", **kwargs)
    folder = tmp_path / "models" / "coco"
    config = parse_config((folder / "config.pbtxt").read_text())
    shown = {x["name"]: x["dims"] for x in config["input"]}
    if kwargs.get("format") == "openvino":
        assert config["backend"] == "openvino" and {f.name for f in (folder / "1").iterdir()} == {
            "model.xml",
            "model.bin",
        }
        assert [*shown.values()] == [[1, 4, 64, 64]] and [x["dims"] for x in config["output"]] == [[1, 84, 84]]
    else:
        assert config["backend"] == "onnxruntime"
        assert (folder / "1" / "model.onnx").read_bytes() == file.read_bytes()
        assert shown == {"visible": [-1, 3, -1, -1], "infrared": [-1, 1, -1, -1]}
        assert [x["name"] for x in config["output"]] == ["output0", "output1"]
    metadata = ast.literal_eval(config["parameters"]["metadata"])  # as the host's client reads it
    assert ast.literal_eval(metadata["pair_input"])["order"] == "R,G,B,IR" and "names" in metadata


def test_a_model_on_a_server_is_a_detector_unless_said_otherwise():
    for given, task in (({}, "detect"), ({"task": "segment"}, "segment")):
        model = MetaFusionYOLO("http://127.0.0.1:9/best", **given)
        assert model.task == task and model._smart_load("predictor")


def parse_config(text: str) -> dict:
    """Read a model configuration by the messages of Triton's own client."""
    model_config = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    config = text_format.Parse(text, model_config.ModelConfig())
    sides = {
        side: [{"name": x.name, "type": x.data_type, "dims": [*x.dims]} for x in getattr(config, side)]
        for side in ("input", "output")
    }
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    return {"name": config.name, "backend": config.backend, "parameters": parameters, **sides}


def test_repository_replaces_a_model_of_the_same_name(onnx, tmp_path):
    from metafusion_yolo.engine.export.triton import write_repository

    stale = tmp_path / "coco" / "1" / "model.plan"
    stale.parent.mkdir(parents=True)
    stale.touch()
    other = tmp_path / "other"
    other.mkdir()
    assert write_repository(onnx, tmp_path) == tmp_path / "coco"
    assert not stale.exists() and other.exists()
    shutil.rmtree(tmp_path / "coco")
