"""A checkpoint of every format that there has been loads, and gives what it gave when it was written."""

from __future__ import annotations

import json
import pickletools
import zipfile
from pathlib import Path

import pytest
import torch

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.engine.checkpoints import load_fusion_checkpoint

FILES = sorted((Path(__file__).parent / "checkpoints").glob("*.pt"))
PICKLED_BEFORE = ("metafusion_yolo.config.", "metafusion_yolo.schedule.")  # in format 1 only


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_outputs_are_as_recorded(file):
    expected = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    model = load_fusion_checkpoint(str(file))[0].float().eval()
    pair = torch.linspace(0, 1, 4 * 64 * 64).reshape(1, 4, 64, 64)
    with torch.no_grad():
        boxes, fused = model(pair)[0], model.fuse_images(pair)["fused"]
    assert list(boxes.shape) == expected["shape"]
    assert fused.mean().item() == pytest.approx(expected["fused_mean"], rel=1e-3)
    assert boxes[0, :4].mean().item() == pytest.approx(expected["boxes_mean"], rel=1e-3)
    assert boxes[0, 4:].mean().item() == pytest.approx(expected["scores_mean"], rel=1e-2)
    assert model.config.initial_infrared_weight == 0.7


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_only_format_1_pickles_the_configuration(file):
    with zipfile.ZipFile(file) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    asked = [str(arg).replace(" ", ".") for code, arg, _ in pickletools.genops(content) if code.name == "GLOBAL"]
    assert any(name.startswith(PICKLED_BEFORE) for name in asked) == (file.stem == "format-1")


def test_the_former_name_of_a_key_is_read():
    assert FusionConfig.from_dict({"start": 0.9}).initial_infrared_weight == 0.9
    with pytest.raises(ValueError, match="both"):
        FusionConfig.from_dict({"start": 0.9, "initial_infrared_weight": 0.8})
