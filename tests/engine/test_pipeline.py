"""End to end at 64 pixels: train, validate, predict, export, and the same boxes again."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ultralytics.engine.results import Results

from metafusion_yolo import MetaFusionYOLO, PairError
from metafusion_yolo.data.rig import INPUT_KEY
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.engine.conftest import IMGSZ

LOW = {"conf": 0.0005, "imgsz": IMGSZ, "verbose": False, "rect": False}  # five epochs do not make confident boxes


@pytest.fixture(scope="module")
def model(run) -> MetaFusionYOLO:
    return MetaFusionYOLO(run.best)


def files(run) -> tuple[list[Path], list[Path]]:
    visible = sorted(run.source.glob("*.png"))
    return visible, [run.data.parent / "infrared" / "val" / f.name for f in visible]


def same(first: Results, second: Results) -> bool:
    return torch.equal(first.boxes.data, second.boxes.data)


# Prediction ----------------------------------------------------------------------------------------------------------
def test_prediction_gives_the_hosts_results_and_ours(run, model):
    results = model.predict(run.source, **LOW)
    assert [Path(r.path).name for r in results] == [f.name for f in files(run)[0]]
    for result, visible in zip(results, files(run)[0], strict=True):
        image = cv2.imread(str(visible))
        assert isinstance(result, Results) and len(result) > 0
        assert np.array_equal(result.orig_img, image)
        assert result.fused.shape == image.shape and result.fused.dtype == np.uint8
        assert result.fusion_weights.shape == (2, *image.shape[:2])
        assert set(result.speed) == {"preprocess", "inference", "postprocess"}


def test_every_form_of_a_pair_gives_the_same_boxes(run, model):
    visible, infrared = files(run)
    reference = model.predict(run.source, **LOW)[0]
    bgr = cv2.imread(str(visible[0]))
    ir = cv2.imread(str(infrared[0]), cv2.IMREAD_GRAYSCALE)
    stack = np.dstack((bgr[..., ::-1], ir))
    forms = {
        "two paths": {"source": visible[0], "infrared": infrared[0]},
        "pairing rule": {"source": str(visible[0])},
        "two folders": {"source": run.source, "infrared": infrared[0].parent},
        "tuples of paths": {"source": list(zip(visible, infrared, strict=True))},
        "two arrays": {"source": bgr, "infrared": ir},
        "one tuple": {"source": (bgr, ir)},
        "stacked array": {"source": stack},
        "two lists": {"source": [bgr], "infrared": [ir]},
    }
    for form, arguments in forms.items():
        assert same(model.predict(**arguments, **LOW)[0], reference), form


def test_a_tensor_is_taken_as_it_is(run, model):
    visible, infrared = files(run)
    bgr, ir = cv2.imread(str(visible[0])), cv2.imread(str(infrared[0]), cv2.IMREAD_GRAYSCALE)
    stack = np.dstack((bgr[..., ::-1], ir))
    stack = cv2.resize(stack, (64, 64))
    tensor = torch.from_numpy(stack).permute(2, 0, 1)[None].float() / 255
    result = model.predict(tensor, **LOW)[0]
    assert same(result, model.predict(stack, **LOW)[0])
    assert np.abs(result.orig_img.astype(int) - stack[..., 2::-1]).max() <= 1


def test_predictions_do_not_depend_on_the_batch(run, model):
    single = model.predict(run.source, batch=1, **LOW)
    batched = model.predict(run.source, batch=3, **LOW)
    for first, second in zip(single, batched, strict=True):
        assert torch.allclose(first.boxes.data, second.boxes.data, atol=1e-3)
        assert np.abs(first.fused.astype(int) - second.fused).max() <= 1


def test_without_infrared_the_visible_camera_has_full_weight(run, model):
    for result in model.predict(run.source, infrared=None, **LOW):
        assert result.fusion_weights[0].min() == 1
        assert not result.infrared.any()


def test_a_black_camera_is_seen_through_the_letterbox(model):
    frame = np.random.default_rng(0).integers(0, 255, (30, 60, 3), np.uint8)
    result = model.predict(frame, infrared=np.zeros((30, 60), np.uint8), **{**LOW, "rect": False})[0]
    assert result.fusion_weights[0].min() == 1


@pytest.mark.parametrize("batch", [1, 2])
def test_a_generator_is_asked_as_it_goes(run, model, batch):
    pairs = ((cv2.imread(str(v)), cv2.imread(str(i), cv2.IMREAD_GRAYSCALE)) for v, i in zip(*files(run), strict=True))
    results = list(model.predict(pairs, stream=True, batch=batch, **LOW))
    assert len(results) == len(files(run)[0])


def test_streaming_yields_one_by_one(run, model):
    stream = model.predict(run.source, stream=True, **LOW)
    assert Path(next(stream).path).name == files(run)[0][0].name
    assert len(list(stream)) == len(files(run)[0]) - 1


def test_outputs_are_written(run, model, tmp_path):
    options = {"save": True, "save_fused": True, "save_txt": True, "save_conf": True, "save_crop": True}
    model.predict(run.source, view="infrared", project=str(tmp_path), name="p", **options, **LOW)
    names = [f.stem for f in files(run)[0]]
    for name, suffix in (("fused", "png"), ("labels", "txt"), (".", "jpg")):
        assert sorted(f.stem for f in (tmp_path / "p" / name).glob(f"*.{suffix}")) == names
    fused = cv2.imread(str(tmp_path / "p" / "fused" / f"{names[0]}.png"))
    assert fused.shape == cv2.imread(str(files(run)[0][0])).shape
    assert any((tmp_path / "p" / "crops").rglob("*.jpg"))


def test_tracking_keeps_identities_and_the_fused_image(run, model):
    visible, infrared = files(run)
    frames = [(visible[0], infrared[0])] * 4  # a standing scene
    results = model.track(frames, tracker="bytetrack.yaml", persist=True, conf=0.0005, imgsz=IMGSZ, verbose=False)
    assert all(result.fused is not None for result in results)


@pytest.mark.parametrize("arguments", [{"source": None}, {"source": "x", "view": "thermal"}])
def test_wrong_arguments_are_refused_before_anything_runs(model, arguments):
    with pytest.raises(ValueError, match=r"'source' is missing|'view=thermal' is invalid"):
        model.predict(**arguments)


# Validation ----------------------------------------------------------------------------------------------------------
def test_validation_with_a_camera_off(run, model, tmp_path):
    shown = {}

    def keep(validator):
        shown[validator.save_dir.name] = validator.seen

    model.add_callback("on_val_end", keep)
    for modalities in ("both", "visible", "infrared"):
        metrics = model.val(modalities=modalities, plots=True, project=str(tmp_path), name=modalities, batch=2)
        assert 0 <= metrics.box.map50 <= 1
        assert (tmp_path / modalities / "val_batch0_labels.jpg").exists()
    assert shown == dict.fromkeys(("both", "visible", "infrared"), len(files(run)[0]))
    infrared_only = cv2.imread(str(tmp_path / "infrared" / "val_batch0_pred.jpg")).astype(int)
    both = cv2.imread(str(tmp_path / "both" / "val_batch0_pred.jpg")).astype(int)

    def colourfulness(image: np.ndarray) -> float:
        return float((image.max(-1) - image.min(-1)).mean())

    assert colourfulness(infrared_only) < colourfulness(both)  # no chroma left without the visible camera
    with pytest.raises(ValueError, match="'modalities=infra' is invalid"):
        model.val(modalities="infra")


# Export --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def onnx(model) -> str:
    return model.export(format="onnx", imgsz=IMGSZ)


@pytest.mark.parametrize("image", ["square", "wide"])
def test_onnx_gives_the_same_boxes(run, model, onnx, image):
    export = MetaFusionYOLO(onnx)
    source = list(zip(*files(run), strict=True))
    if image == "wide":
        stack = np.random.default_rng(1).integers(0, 255, (40, 100, 4), np.uint8)
        source = cv2.GaussianBlur(stack, (0, 0), 2)
    options = {**LOW, "iou": 1.0}  # near-equal overlaps of a model hardly trained would make NMS a matter of luck
    for first, second in zip(model.predict(source, **options), export.predict(source, **options), strict=True):
        assert (first.boxes.conf[:10] - second.boxes.conf[:10]).abs().max() < 1e-4
        apart = (first.boxes.data[:10, None] - second.boxes.data[None, :20]).abs().amax(-1)  # scores may tie
        assert apart.min(1).values.max() < 1e-2


def test_an_export_knows_its_input(onnx, run, tmp_path):
    export = MetaFusionYOLO(onnx)
    result = export.predict(run.source, **LOW)[0]  # the pairing rule came along
    assert "infrared" in export.predictor.model.metadata[INPUT_KEY]
    assert result.infrared.any()
    metrics = export.val(data=str(run.data), imgsz=IMGSZ, plots=False, project=str(tmp_path), name="v", verbose=False)
    assert 0 <= metrics.box.map50 <= 1


def test_dynamic_export_takes_any_size(run, model):
    export = MetaFusionYOLO(model.export(format="onnx", imgsz=IMGSZ, dynamic=True))
    options = {**LOW, "imgsz": 96, "rect": True, "max_det": 1}  # further boxes hang on NMS of near-equal overlaps
    for first, second in zip(model.predict(run.source, **options), export.predict(run.source, **options), strict=True):
        assert len(first) == len(second) > 0
        assert (first.boxes.xyxy - second.boxes.xyxy).abs().max() < 1e-2


# Training from checkpoints -------------------------------------------------------------------------------------------
def test_a_checkpoint_is_a_start_for_more_training(run, tmp_path):
    model = MetaFusionYOLO(run.best)
    model.train(data=str(run.data), epochs=1, imgsz=IMGSZ, batch=4, plots=False, project=str(tmp_path), name="again")
    assert isinstance(model.model, FusionDetectionModel)
    with (tmp_path / "again" / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1


def test_pairs_must_pair(run, model):
    with pytest.raises(PairError, match=r"is not in a folder named 'images'.*infrared="):
        model.predict(run.data.parent / "infrared" / "val", **LOW)


@pytest.mark.parametrize(
    ("arguments", "message"), [({}, "'data' is missing"), ({"resume": True}, "does not belong to an interrupted run")]
)
def test_training_never_falls_back_on_another_data_set(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        MetaFusionYOLO(run.best).train(**arguments)


def test_validation_never_falls_back_on_another_data_set(onnx):
    with pytest.raises(ValueError, match="'data' is missing"):
        MetaFusionYOLO(onnx).val()


def test_benchmark_refuses_unknown_formats_first(run):
    with pytest.raises(ValueError, match="unknown format 'onxx', did you mean 'onnx'"):
        MetaFusionYOLO(run.best).benchmark(format="pt, onxx")
