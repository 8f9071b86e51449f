"""A checkpoint of this format gives what it gave when it was written; one of a former format is refused in a line."""

from __future__ import annotations

import json
import pickletools
import zipfile
from pathlib import Path

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.config import FusionConfig
from metafusion_yolo.engine.checkpoint_format import FORMAT_CLASSES, format_classes
from metafusion_yolo.engine.checkpoints import load_fusion_checkpoint
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from metafusion_yolo.support.errors import UserTypeError
from tests.conftest import TINY

FILES = sorted((Path(__file__).parent / "checkpoints").glob("*.pt"))  # of every format that there has been
FORMER, PRESENT = FILES[:2], FILES[2]
PICKLED_BEFORE = ("metafusion_yolo.config.", "metafusion_yolo.schedule.")  # in format 1 only


def test_outputs_are_as_recorded():
    expected = json.loads(PRESENT.with_suffix(".json").read_text(encoding="utf-8"))
    model = load_fusion_checkpoint(str(PRESENT))[0].float().eval()
    pair = torch.linspace(0, 1, 4 * 64 * 64).reshape(1, 4, 64, 64)
    with torch.no_grad():
        boxes, fused = model(pair)[0], model.fuse_images(pair).fused
    assert list(boxes.shape) == expected["shape"]
    assert fused.mean().item() == pytest.approx(expected["fused_mean"], rel=1e-3)
    assert boxes[0, :4].mean().item() == pytest.approx(expected["boxes_mean"], rel=1e-3)
    assert boxes[0, 4:].mean().item() == pytest.approx(expected["scores_mean"], rel=1e-2)
    assert model.config.gains.trust == 1.0


@pytest.mark.parametrize("file", FORMER, ids=lambda file: file.stem)
def test_a_front_end_of_a_former_format_is_refused_in_one_line(file):
    number = file.stem.partition("-")[2]
    with pytest.raises(
        UserTypeError, match=rf"^'.*{file.name}' has format {number}, whose front-end .*, expected 3; train again$"
    ) as refused:
        MetaFusionYOLO(file)
    assert "\n" not in str(refused.value)


def test_a_fixed_rule_of_a_former_format_loads(tmp_path, monkeypatch):
    monkeypatch.setattr("metafusion_yolo.nn.front_end.FUSION_FORMAT", 2)
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    cfg = {**load_model_yaml("metafusion-yolov8n.yaml"), "fusion": {"method": "average"}}
    model.model = FusionDetectionModel(cfg, verbose=False)
    model.save(tmp_path / "rule.pt")
    monkeypatch.undo()
    assert MetaFusionYOLO(tmp_path / "rule.pt").model.config.method == "average"


def asked_for(file: Path) -> list[str]:
    """Return the classes that the pickle in a checkpoint asks for."""
    with zipfile.ZipFile(file) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    return [str(arg).replace(" ", ".") for code, arg, _ in pickletools.genops(content) if code.name == "GLOBAL"]


@pytest.mark.parametrize("meta", [0.0, 1.0])
def test_a_checkpoint_asks_for_no_other_class_of_ours(tmp_path, meta):
    model = MetaFusionYOLO(TINY)
    cfg = {**load_model_yaml(TINY), "fusion": {"gains": {"meta": meta}}}
    model.model = FusionDetectionModel(cfg, verbose=False)
    model.model.args, model.model.task = {"imgsz": 64}, "detect"
    model.save(tmp_path / "model.pt")
    ours = {name for name in asked_for(tmp_path / "model.pt") if name.startswith("metafusion_yolo.")}
    assert ours <= {f"metafusion_yolo.{path}" for path in FORMAT_CLASSES if not path.startswith(("config", "schedule"))}
    assert ("metafusion_yolo.nn.teaching.MetaTeacher" in ours) == bool(meta)
    assert MetaFusionYOLO(tmp_path / "model.pt").model.config.gains.meta == meta


def test_a_later_format_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("metafusion_yolo.nn.front_end.FUSION_FORMAT", 4)
    MetaFusionYOLO(TINY).save(tmp_path / "later.pt")
    monkeypatch.undo()
    with pytest.raises(
        UserTypeError, match=r"^'.*later.pt' has format 4 .*expected at most 3; update the package$"
    ) as refused:
        MetaFusionYOLO(tmp_path / "later.pt")
    assert "\n" not in str(refused.value)


def test_the_classes_of_the_format_are_there():
    assert [f"{c.__module__}.{c.__qualname__}" for c in format_classes()] == [
        f"metafusion_yolo.{p}" for p in FORMAT_CLASSES
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_only_format_1_pickles_the_configuration(file):
    assert any(name.startswith(PICKLED_BEFORE) for name in asked_for(file)) == (file.stem == "format-1")


def test_the_former_name_of_a_key_is_read():
    assert FusionConfig.from_dict({"start": 0.9}).initial_infrared_weight == 0.9
    with pytest.raises(ValueError, match="both"):
        FusionConfig.from_dict({"start": 0.9, "initial_infrared_weight": 0.8})
