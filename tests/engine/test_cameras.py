"""Thermal depth and registration from the data-set YAML to the export: what is trained on is what is predicted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from ultralytics.cfg import get_cfg

from metafusion_yolo import MetaFusionYOLO, PairError
from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.rig import Rig, rig_of
from metafusion_yolo.engine import _host
from metafusion_yolo.engine.export.exporter import FusionDetectionExporter
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from tests.conftest import TINY
from tests.engine.conftest import IMGSZ, TRAIN_ARGS

SUFFIXES = (".png", ".tiff", ".npy")
LEVELS = 244  # of the scene of the 14-bit camera
THERE = [[1.45, 0.02, 3.0], [-0.02, 1.4, 2.0], [0.0003, 0, 1]]  # from infrared to visible pixels
SECTIONS = {
    "infrared": "lwir",
    "thermal": {"normalize": "fixed", "range": [7000, 7243], "invert": True},
    "registration": {"matrix": THERE, "visible": [64, 48], "infrared": [42, 34]},
}
LOW = {"conf": 0.0005, "imgsz": IMGSZ, "verbose": False, "rect": False, "batch": 1}


def counts_of(i: int, height: int = 34, width: int = 42) -> np.ndarray:
    """Return a scene (H, W) of a 14-bit camera that shows hot as dark, with all its levels."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[0:height, 0:width]
    warm = np.exp(-((x - rng.uniform(10, 32)) ** 2 + (y - rng.uniform(10, 24)) ** 2) / 60) * 20 + rng.random(
        (height, width)
    )
    ranks = warm.ravel().argsort().argsort().reshape(height, width)
    return (7000 + LEVELS - 1 - ranks * LEVELS // ranks.size).astype(np.uint16)


def write(file: Path, counts: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, counts)
    else:
        assert cv2.imwrite(str(file), counts)
    return file


def make(root: Path, **sections) -> Path:
    """Write six pairs whose infrared images are 16-bit PNG and TIFF files and arrays, of another size and place."""
    for i in range(6):
        name = f"train/{i}"
        visible = np.random.default_rng(100 + i).integers(0, 255, (48, 64, 3), np.uint8)
        write(root / "images" / f"{name}.png", cv2.GaussianBlur(visible, (0, 0), 2))
        write(root / "lwir" / f"{name}{SUFFIXES[i % 3]}", counts_of(i))
        label = root / "labels" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.4 0.4\n")
    description = {"path": str(root), "train": "images/train", "val": "images/train", "names": ["person"]}
    (root / "data.yaml").write_text(yaml.safe_dump({**description, **sections}))
    return root / "data.yaml"


@dataclass(frozen=True)
class Trained:
    data: Path
    best: Path
    onnx: str

    @property
    def source(self) -> Path:
        return self.data.parent / "images" / "train"

    def files(self, i: int) -> tuple[Path, Path]:
        return self.source / f"{i}.png", self.data.parent / "lwir" / "train" / f"{i}{SUFFIXES[i % 3]}"

    def items(self, data: Path | None = None) -> list[np.ndarray]:
        """Return the pairs (H, W, 4) that the validation of a training run sees, letterbox taken off."""
        file = data or self.data
        description = {**yaml.safe_load(file.read_text()), "yaml_file": str(file)}
        args = get_cfg(overrides={"imgsz": IMGSZ, "task": "detect"})
        dataset = build_paired_dataset(args, str(self.source), 1, description, "val", 32)
        return [dataset[i]["img"].permute(1, 2, 0).numpy()[8:56] for i in range(6)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    folder = tmp_path_factory.mktemp("cameras")
    data = make(folder / "pairs", **SECTIONS)
    model = MetaFusionYOLO(TINY)
    model.train(data=str(data), epochs=1, project=str(folder), name="t", plots=False, **TRAIN_ARGS)
    best = folder / "t" / "weights" / "best.pt"
    return Trained(data, best, MetaFusionYOLO(best).export(format="onnx", imgsz=IMGSZ))


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    seen: list[str] = []
    monkeypatch.setattr(_host, "LOGGER", SimpleNamespace(warning=seen.append))
    return seen


def planes(results) -> list[np.ndarray]:
    return [np.dstack((r.orig_img[..., ::-1], r.infrared)) for r in results]


# The same everywhere -------------------------------------------------------------------------------------------------
def test_the_levels_of_the_camera_reach_the_network(trained):
    plain = make(trained.data.parent.parent / "plain", infrared="lwir", thermal={"invert": True})
    whole = [Trained(plain, trained.best, "").files(i)[1] for i in range(3)]
    model = MetaFusionYOLO(trained.best)
    for i, file in enumerate(whole):
        visible = np.zeros((34, 42, 3), np.uint8)
        [result] = model.predict([(visible, file)], data=str(plain), **LOW)
        assert len(np.unique(result.infrared)) >= 240
        order = np.argsort(counts_of(i), axis=None)
        assert (np.diff(result.infrared.ravel()[order].astype(int)) <= 0).all()  # black-hot, turned round


def test_checkpoint_and_export_remember_the_cameras(trained):
    rig = Rig.from_yaml(SECTIONS)
    for weights in (trained.best, trained.onnx):
        model = MetaFusionYOLO(weights)
        model.predict(*[trained.files(0)[0]], **LOW)
        assert rig_of(model.predictor.model) == rig


@pytest.mark.parametrize("weights", ["best", "onnx"])
@pytest.mark.parametrize("form", ["rule", "folders", "tuples", "arrays", "PIL images", "two lists"])
def test_every_form_is_normalised_and_registered_as_in_training(trained, weights, form):
    pairs = [trained.files(i) for i in range(6)]
    bgr = [cv2.imread(str(v)) for v, _ in pairs]
    counts = [counts_of(i) for i in range(6)]
    pictures = [Image.open(v) for v, _ in pairs]
    sources = {
        "rule": {"source": trained.source},
        "folders": {"source": trained.source, "infrared": pairs[0][1].parent},
        "tuples": {"source": pairs},
        "arrays": {"source": list(zip(bgr, counts, strict=True))},
        "PIL images": {"source": pictures, "infrared": [Image.fromarray(c) for c in counts]},
        "two lists": {"source": bgr, "infrared": counts},
    }
    results = MetaFusionYOLO(getattr(trained, weights)).predict(**sources[form], **LOW)
    for seen, expected in zip(planes(results), trained.items(), strict=True):
        np.testing.assert_array_equal(seen, expected)


def test_fuse_and_track_see_the_same(trained, tmp_path):
    model = MetaFusionYOLO(trained.best)
    expected = [r.fused for r in model.predict(trained.source, **LOW)]
    fused = list(model.fuse_images(trained.source, project=str(tmp_path), imgsz=IMGSZ, rect=False))
    for file, image in zip(fused, expected, strict=True):
        difference = np.abs(cv2.imread(str(file))[..., ::-1].astype(int) - image)  # without a letterbox
        assert difference.mean() < 2
    tracked = model.track([trained.files(i) for i in range(6)], tracker="bytetrack.yaml", **LOW)
    for seen, pair in zip(planes(tracked), trained.items(), strict=True):
        np.testing.assert_array_equal(seen, pair)


def boxes(folder: Path) -> dict[str, list[list[float]]]:
    """Return the rows (class, xywhn, score) that a run wrote, best first."""
    rows = {f.stem: [[*map(float, line.split())] for line in f.read_text().splitlines()] for f in folder.glob("*.txt")}
    return {name: sorted(values, key=lambda row: -row[5]) for name, values in rows.items()}


@pytest.mark.parametrize("weights", ["best", "onnx"])
def test_validation_and_prediction_find_the_same_boxes(trained, weights, tmp_path, warnings):
    options = {**LOW, "save_txt": True, "save_conf": True, "project": str(tmp_path)}
    MetaFusionYOLO(getattr(trained, weights)).val(data=str(trained.data), name="val", plots=False, **options)
    MetaFusionYOLO(getattr(trained, weights)).predict(trained.source, name="predict", **options)
    validated, predicted = boxes(tmp_path / "val" / "labels"), boxes(tmp_path / "predict" / "labels")
    assert len(validated) == 6
    assert validated.keys() == predicted.keys()
    for name, rows in validated.items():
        np.testing.assert_allclose(rows, predicted[name], atol=2e-6)
    assert not warnings


@pytest.mark.parametrize("modalities", ["visible", "infrared"])
def test_camera_that_is_off_is_blank_to_the_border(trained, modalities):
    batches = []

    class Recorder(FusionDetectionValidator):
        def preprocess(self, batch):
            batches.append(super().preprocess(batch)["img"])
            return batch

    MetaFusionYOLO(trained.best).val(
        Recorder, modalities=modalities, data=str(trained.data), plots=False, **{**LOW, "batch": 2}
    )
    assert len(batches) == 3
    outside = cv2.warpPerspective(np.full((34, 42), 255, np.uint8), np.array(THERE), (64, 48)) == 0
    assert 0.05 < outside.mean() < 0.5
    for batch in batches:
        assert batch[:, :3].any() == (modalities == "visible")
        assert batch[:, 3:].any() == (modalities == "infrared")
        if modalities == "infrared":  # nothing of the visible image stands in around the infrared one
            assert len(torch.unique(batch[0, 3, 8:56][outside])) == 1


def test_calibration_of_an_int8_export_reads_the_pairs(trained):
    model = MetaFusionYOLO(trained.best).model
    exporter = FusionDetectionExporter(overrides={"data": str(trained.data), "batch": 2})
    exporter.model, exporter.imgsz = model, [48, IMGSZ]
    pairs = trained.items()
    for batch in exporter.get_int8_calibration_dataloader():  # shuffled, as by the host
        for file, pair in zip(batch["im_file"], batch["img"], strict=True):
            np.testing.assert_array_equal(pair.permute(1, 2, 0), pairs[int(Path(file).stem)])


# Other cameras -------------------------------------------------------------------------------------------------------
def test_other_cameras_at_validation_are_warned_of_in_a_line(trained, tmp_path, warnings):
    other = make(tmp_path / "other", infrared="lwir", thermal={"invert": True}, registration=THERE)
    MetaFusionYOLO(trained.best).val(data=str(other), plots=False, project=str(tmp_path), **LOW)
    assert warnings == [f"thermal and registration in '{other}' differ from what the model was trained with"]


def test_other_cameras_at_prediction_are_taken_from_their_yaml(trained, tmp_path, warnings):
    other = make(tmp_path / "other", infrared="lwir", registration=THERE, thermal={"normalize": "minmax"})
    results = MetaFusionYOLO(trained.best).predict(trained.source, data=str(other), **LOW)
    for seen, expected in zip(planes(results), trained.items(other), strict=True):
        np.testing.assert_array_equal(seen, expected)
    assert warnings == [f"thermal and registration in '{other}' differ from what the model was trained with"]
    with pytest.raises(FileNotFoundError, match=r"no data-set YAML 'nowhere\.yaml'"):
        MetaFusionYOLO(trained.best).predict(trained.source, data="nowhere.yaml", **LOW)


def test_8_bit_image_does_not_pass_for_counts(trained):
    grey = (counts_of(0) - 7000).astype(np.uint8)
    with pytest.raises(PairError, match=r"the infrared image has 8 bits, but 'thermal: range: \[7000, 7243\]'"):
        MetaFusionYOLO(trained.best).predict(cv2.imread(str(trained.files(0)[0])), infrared=grey, **LOW)


def test_training_does_not_start_on_8_bit_images_for_counts(tmp_path):
    data = make(tmp_path / "pairs", **SECTIONS)
    write(tmp_path / "pairs" / "lwir" / "train" / "0.png", (counts_of(0) - 7000).astype(np.uint8))
    with pytest.raises(PairError, match=r"1 problem in .*\n.*0.png' and .*0.png': the infrared image has 8 bits"):
        MetaFusionYOLO(TINY).train(data=str(data), epochs=1, project=str(tmp_path), name="t", plots=False, **TRAIN_ARGS)
