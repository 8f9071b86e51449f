"""Losses and gradients under autocast: finite, and near those of float32, for every image a camera may give."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from ultralytics.cfg import get_cfg

from metafusion_yolo.config import Gains
from metafusion_yolo.nn.degradation import degrade
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.conftest import TINY
from tests.nn.conftest import labelled, random_pair, settled

IMAGES = {
    "any": lambda: random_pair(64, 64, 4),
    "blank": lambda: torch.zeros(4, 4, 64, 64),
    "saturated": lambda: torch.ones(4, 4, 64, 64),
    "one camera blank": lambda: random_pair(64, 64, 4) * torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 4, 1, 1),
    "night and a hot spot": lambda: torch.where(random_pair(64, 64, 4) > 0.999, 1.0, 0.0),
}


@pytest.fixture(scope="module")
def taught() -> FusionDetectionModel:
    """A small model with every gain on, that looks ahead in every batch."""
    content = load_model_yaml(TINY)
    content["fusion"] |= {
        "attention": True,
        "gains": dict.fromkeys(vars(Gains()), 1.0),
        "meta": {"interval": 1, "levels": [16, 32]},
        "augment": {"share_jitter": 0.0},
    }
    torch.manual_seed(0)
    model = settled(FusionDetectionModel(content, nc=3, verbose=False))
    model.args = get_cfg()
    return model.train()


def losses(model: FusionDetectionModel, pair: torch.Tensor, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """Return every loss by name, their sum, and the norm of the gradient by part."""
    model = deepcopy(model)
    torch.manual_seed(0)
    batch = labelled(pair.clone())
    batch |= degrade(batch["img"], 0.5)._asdict()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        total, items = model(batch)
    total.sum().backward()
    parts = {"fusion": model.fusion, "detector": model.model, "teacher": model.teacher}
    norms = {
        name: torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm()
        for name, part in parts.items()
    }
    return {**items, **norms, "total": total.sum().detach(), "terms": torch.tensor(float(len(total)))}


@pytest.mark.parametrize("images", IMAGES)
def test_losses_and_gradients_are_those_of_float32(images, taught) -> None:
    pair = IMAGES[images]()
    expected = losses(taught, pair, None)
    assert {"ssim_loss", "grad_loss", "int_loss", "trust_loss", "meta_loss", "box_loss"} <= expected.keys()
    for dtype, tolerance in ((torch.float16, 0.02), (torch.bfloat16, 0.05)):
        found = losses(taught, pair, dtype)
        for name, value in expected.items():
            assert found[name].isfinite().all(), (dtype, name)
            told = f"{dtype} {name}: {found[name]} for {value}"
            torch.testing.assert_close(found[name].float(), value, rtol=tolerance, atol=tolerance / 10, msg=told)
