"""What users get wrong ends in one error of a plain kind, which names the file and says what to do, before any work."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from ultralytics.utils import checks

from metafusion_yolo import MetaFusionYOLO, PairError
from metafusion_yolo.engine.predict.journal import Journal
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from tests.conftest import TINY


@pytest.fixture(scope="module")
def model() -> MetaFusionYOLO:
    return MetaFusionYOLO(TINY)


@pytest.fixture(autouse=True)
def no_installation(monkeypatch):
    monkeypatch.setattr(checks, "check_requirements", lambda *a, **k: pytest.fail(f"must not install {a}"))
    monkeypatch.setattr(checks, "attempt_install", lambda *a, **k: pytest.fail(f"must not install {a}"), raising=False)


# Pairs ---------------------------------------------------------------------------------------------------------------
def missing_infrared(folder, truncate):
    folder.infrared[1].unlink()
    return f"no infrared image for '{folder.visible[1]}': looked for '.*infrared/train/1.*'; add the file"


def ambiguous(folder, truncate):
    (folder.infrared[1].parent / "1.tif").touch()
    return f"ambiguous infrared image for '{folder.visible[1]}': '1.png', '1.tif' .*; keep one of them"


def another_shape(folder, truncate):
    cv2.imwrite(str(folder.infrared[1]), np.zeros((48, 48), np.uint8))
    return f"'{folder.visible[1]}' and '{folder.infrared[1]}' have different sizes .*; register them"


def truncated(folder, truncate):
    return f"'{truncate(folder.infrared[1])}' cannot be read .*; restore the file or remove the pair"


def truncated_jpeg(folder, truncate):
    file = folder.visible[1].with_suffix(".jpg")
    cv2.imwrite(str(file), cv2.imread(str(folder.visible[1])))
    folder.visible[1].unlink()
    return f"'{truncate(file)}' cannot be read .*; restore the file or remove the pair"


def zero_bytes(folder, truncate):
    folder.visible[1].write_bytes(b"")
    return rf"'{folder.visible[1]}' is empty \(0 bytes\); restore the file or remove the pair"


def missing_visible(folder, truncate):
    folder.visible[1].unlink()
    return f"no visible image for '{folder.infrared[1]}': looked in '{folder.images}'; add the visible image or remove"


BROKEN = [missing_infrared, ambiguous, another_shape, truncated, truncated_jpeg, zero_bytes]


@pytest.mark.parametrize("spoil", BROKEN)
def test_prediction_stops_at_a_wrong_pair(model, pair_folder, truncate, tmp_path, spoil):
    message = spoil(pair_folder, truncate)
    with pytest.raises(PairError, match=message):
        model.predict(pair_folder.images, imgsz=64, project=str(tmp_path / "runs"), save=True, verbose=False)
    written = [f for f in tmp_path.rglob("*") if "runs" in f.parts and f.is_file() and f.name != Journal.NAME]
    assert len(written) <= 1  # the pair before the wrong one, whole
    assert all(cv2.imread(str(f)) is not None for f in written)


def train(folder, tmp_path, **overrides):
    trainer = FusionDetectionTrainer(
        overrides={
            **{"model": TINY, "data": str(folder.yaml), "imgsz": 64, "epochs": 1, "batch": 2, "pretrained": False},
            **{"project": str(tmp_path / "runs"), "plots": False, "verbose": False, **overrides},
        }
    )
    trainer.train()


def assert_nothing_written(folder, tmp_path) -> None:
    assert not list(folder.root.rglob("*.cache"))
    runs = [f.name for f in (tmp_path / "runs").rglob("*") if f.is_file()]
    assert runs in ([], ["args.yaml"])  # the host's note of the arguments


@pytest.mark.parametrize("spoil", [*BROKEN, missing_visible])
def test_training_does_not_start_on_a_wrong_pair(pair_folder, truncate, tmp_path, spoil):
    message = spoil(pair_folder, truncate)
    with pytest.raises(PairError, match=rf"^1 problem in {re.escape(str(pair_folder.images))}:\n  {message}"):
        train(pair_folder, tmp_path)
    assert_nothing_written(pair_folder, tmp_path)


def test_model_train_and_val_do_not_start_on_a_wrong_pair(model, pair_folder, truncate, tmp_path):
    message = missing_infrared(pair_folder, truncate)
    arguments = {"data": str(pair_folder.yaml), "imgsz": 64, "project": str(tmp_path / "runs"), "plots": False}
    with pytest.raises(PairError, match=message):
        MetaFusionYOLO(TINY).train(epochs=1, pretrained=False, **arguments)
    with pytest.raises(PairError, match=message):
        model.val(**arguments)
    assert_nothing_written(pair_folder, tmp_path)


def test_missing_visible_file_is_named(model, pair_folder):
    visible, infrared = pair_folder.visible[1], pair_folder.infrared[1]
    visible.unlink()
    with pytest.raises(FileNotFoundError, match=f"'{visible}' does not exist; give an image, a folder"):
        model.predict(visible, infrared=infrared, imgsz=64)
    with pytest.raises(FileNotFoundError, match=f"'{visible}' does not exist; give the path of an image"):
        model.predict([(visible, infrared)], imgsz=64)


def test_missing_infrared_file_is_named(model, pair_folder):
    pair_folder.infrared[1].unlink()
    with pytest.raises(FileNotFoundError, match=f"infrared='{pair_folder.infrared[1]}' does not exist; give the file"):
        model.predict(pair_folder.visible[1], infrared=pair_folder.infrared[1], imgsz=64)


def test_infrared_is_asked_for_where_the_rule_does_not_apply(model, pair_folder, tmp_path):
    file = pair_folder.visible[0].rename(tmp_path / "street.png")
    message = (
        rf"'{file}' is not in a folder named 'images'.*; set 'infrared: .* in the data-set YAML \(at predict: infrared="
    )
    with pytest.raises(PairError, match=message):
        model.predict(file, imgsz=64)


def test_empty_folder_is_named(model, make_pair_folder, tmp_path):
    folder = make_pair_folder(0)
    with pytest.raises(FileNotFoundError, match=f"no images in '{folder.images}'; give an image, a folder"):
        model.predict(folder.images, imgsz=64)
    with pytest.raises(FileNotFoundError, match=f"no images in '{folder.images}'; give an image, a folder"):
        train(folder, tmp_path)
    assert_nothing_written(folder, tmp_path)


@pytest.mark.parametrize("source", [1.5, True, {"a": 1}, object()], ids=lambda kind: type(kind).__name__)
def test_wrong_kind_of_source_is_refused(model, source):
    with pytest.raises(TypeError, match=r"a visible image must be a path, PIL image or .* array, not "):
        model.predict(source, imgsz=64)


def test_missing_source_is_asked_for(model):
    with pytest.raises(ValueError, match="'source' is missing; give an image, a folder"):
        model.predict()


# Data-set YAMLs ------------------------------------------------------------------------------------------------------
def one_line(caught) -> str:
    text = str(caught.value)
    assert not re.search(r"[\n\x1b\u2600-\u27bf]", text)  # nor colours, nor the host's signs
    return text


YAMLS = {
    "no names": ({"names": None}, ValueError, r"data\.yaml key missing.*'names' or 'nc' are required"),
    "no train": ({"train": None}, ValueError, r"data\.yaml 'train:' key missing.*'train' and 'val' are required"),
    "names and nc": ({"nc": 5}, ValueError, r"data\.yaml 'names' length 2 and 'nc: 5' must match"),
    "train a number": ({"train": 5}, ValueError, r"data\.yaml 'train' must be str or list, not int"),
    "no such folder": (
        {"val": "images/nowhere"},
        FileNotFoundError,
        r"images not found, missing path '.*images/nowhere'",
    ),
    "rule a number": (
        {"infrared": 5},
        ValueError,
        r"'infrared: 5' in .*data\.yaml is not a pairing rule; expected a fold",
    ),
    "rule mistyped": (
        {"infrared": {"form": "a", "to": "b"}},
        ValueError,
        r"'form' under 'infrared:' in .*data\.yaml, did",
    ),
}


@pytest.mark.parametrize("mistake", YAMLS)
def test_training_says_what_is_wrong_with_the_yaml(make_pair_folder, tmp_path, mistake):
    description, error, message = YAMLS[mistake]
    folder = make_pair_folder(2, **description)
    with pytest.raises(error, match=message) as caught:
        train(folder, tmp_path)
    assert str(folder.yaml) in one_line(caught)
    assert_nothing_written(folder, tmp_path)


@pytest.mark.parametrize("mistake", [m for m in YAMLS if m != "train a number"])
def test_validation_says_what_is_wrong_with_the_yaml(model, make_pair_folder, tmp_path, mistake):
    description, error, message = YAMLS[mistake]
    folder = make_pair_folder(2, **description)
    with pytest.raises(error, match=message) as caught:
        model.val(data=str(folder.yaml), imgsz=64, project=str(tmp_path / "runs"), plots=False)
    assert str(folder.yaml) in one_line(caught)


@pytest.mark.parametrize("content", ["names: [a, b", "- a\n- b\n", "", "just words"])
def test_file_that_is_no_data_set_yaml_is_named(pair_folder, tmp_path, content):
    pair_folder.yaml.write_text(content)
    with pytest.raises(ValueError, match=f"data set '{pair_folder.yaml}': ") as caught:
        train(pair_folder, tmp_path)
    one_line(caught)


def test_missing_yaml_is_named(model, pair_folder, tmp_path):
    pair_folder.yaml.unlink()
    with pytest.raises(FileNotFoundError, match=f"data set '{pair_folder.yaml}': .*does not exist") as caught:
        train(pair_folder, tmp_path)
    one_line(caught)
    with pytest.raises(FileNotFoundError, match=f"data set '{pair_folder.yaml}': .*does not exist") as caught:
        model.val(data=str(pair_folder.yaml), imgsz=64, project=str(tmp_path / "runs"))
    one_line(caught)


def test_letters_of_any_language_survive(make_pair_folder, tmp_path):
    folder = make_pair_folder(2, name="Straße 夜", names=None)
    with pytest.raises(ValueError, match=rf"data set '{folder.yaml}': {folder.yaml} key missing") as caught:
        train(folder, tmp_path)
    one_line(caught)


# Checkpoints ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["text", "zero bytes", "dictionary", "tensor", "YAML", "half a checkpoint"])
def test_file_that_is_no_checkpoint_is_named(tmp_path, truncate, kind):
    file = tmp_path / "model.pt"
    if kind in ("text", "zero bytes", "YAML"):
        file.write_text({"text": "no checkpoint\n", "zero bytes": "", "YAML": yaml.safe_dump({"a": 1})}[kind])
    else:
        torch.save(torch.zeros(3) if kind == "tensor" else {"weights": torch.zeros(3)}, file)
    if kind == "half a checkpoint":
        truncate(file)
    with pytest.raises(TypeError, match=f"'{file}' is not a checkpoint of metafusion_yolo") as caught:
        MetaFusionYOLO(file)
    one_line(caught)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere.pt", "; give the path of one, such as yolov8n.pt"),
        ("yolov8n.pt", " here, and it cannot be downloaded; put the file here"),  # there is no network in tests
    ],
)
def test_missing_checkpoint_is_named(tmp_path, monkeypatch, name, what):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no checkpoint '{name}'{what}"):
        MetaFusionYOLO(name)
    assert not list(Path(tmp_path).iterdir())


def test_missing_model_yaml_is_named():
    with pytest.raises(
        FileNotFoundError, match=r"no model YAML 'metafusion-yolo8n\.yaml', did you mean 'metafusion-yolov8"
    ):
        MetaFusionYOLO("metafusion-yolo8n.yaml")
