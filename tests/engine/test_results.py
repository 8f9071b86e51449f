from __future__ import annotations

import numpy as np
import pytest
import torch

from metafusion_yolo.engine.results import VIEWS, FusionResults, pack_fusion

NAMES = {0: "person", 1: "car"}


def output(height: int, width: int, infrared_weight: float, offset: float = 0.0, batch: int = 1) -> dict:
    coefficients = torch.tensor([1 - infrared_weight, infrared_weight, offset])
    coefficients = coefficients.view(1, 3, 1, 1).repeat(batch, 1, height // 4, width // 4)
    return {"weights": coefficients[:, :2].clone(), "coefficients": coefficients}


def make(pair: np.ndarray, infrared_weight: float | None = 0.5, offset: float = 0.0, **kwargs) -> FusionResults:
    boxes = torch.tensor([[4.0, 6.0, 20.0, 30.0, 0.9, 1.0], [1.0, 1.0, 9.0, 9.0, 0.5, 0.0]])
    fusion = None if infrared_weight is None else pack_fusion(output(64, 64, infrared_weight, offset), 0)
    return FusionResults(pair, fusion, path="7.jpg", names=NAMES, boxes=boxes, **kwargs)


@pytest.fixture
def pair() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (48, 64, 4), dtype=np.uint8)


def test_visible_is_bgr_and_infrared_grey_in_their_own_size(pair):
    result = make(pair)
    assert np.array_equal(result.orig_img, pair[..., 2::-1])
    assert np.array_equal(result.infrared, pair[..., 3])


def test_full_weight_shows_one_camera(pair):
    visible = make(pair, infrared_weight=0.0).fused
    assert np.abs(visible.astype(int) - pair[..., :3]).max() <= 1
    infrared = make(pair, infrared_weight=1.0).fused.astype(float) @ [0.299, 0.587, 0.114]
    inside = (pair[..., :3] > 60).all(-1) & (pair[..., :3] < 180).all(-1) & (abs(pair[..., 3].astype(int) - 120) < 40)
    assert np.abs(infrared - pair[..., 3])[inside].mean() < 12  # where the chroma does not clip


def test_offset_is_added(pair):
    grey = np.full((48, 64, 4), 100, np.uint8)
    assert np.abs(make(grey, 0.3, offset=0.1).fused.astype(int) - round(100 + 25.5)).max() <= 1


def test_fused_has_the_size_of_the_visible_image_and_no_letterbox():
    pair = np.full((30, 90, 4), 100, np.uint8)  # letterboxed to 64 x 64 at the network
    weights = output(64, 64, 0.0)
    weights["weights"][:, 1, 5:11] = 1.0  # rows 20 to 44 of the 64, of which 21 to 42 show the pair
    weights["weights"][:, 0, 5:11] = 0.0
    result = FusionResults(pair, pack_fusion(weights, 0), path="7.jpg", names=NAMES, boxes=None)
    assert result.fused.shape == (30, 90, 3)
    assert result.fusion_weights.shape == (2, 30, 90)
    assert result.fusion_weights[1, 4:-4].min() > 0.99
    assert np.allclose(result.fusion_weights.sum(0), 1)


def test_each_pair_of_a_batch_keeps_its_own_fusion(pair):
    batch = output(64, 64, 0.2, batch=2)
    batch["weights"][1] = 0.5
    assert pack_fusion(batch, 0)["infrared_weight"].float().mean() == pytest.approx(0.2, abs=1e-3)
    assert pack_fusion(batch, 1)["infrared_weight"].float().mean() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_plot_draws_on_the_view(pair, view):
    result = make(pair)
    drawn = result.plot(view=view)
    assert drawn.shape == (*pair.shape[:2], 3)
    untouched = np.abs(drawn.astype(int) - result.image(view)).max(-1) == 0
    assert 0.1 < untouched.mean() < 1  # boxes are drawn, the rest is the view


def test_plot_uses_the_results_own_view_by_default(pair):
    assert np.array_equal(make(pair, view="infrared").plot(), make(pair).plot(view="infrared"))


def test_unknown_view_is_refused(pair):
    with pytest.raises(ValueError, match="unknown view 'infrarot', did you mean 'infrared'"):
        make(pair).plot(view="infrarot")


def test_without_fusion_the_visible_image_stands_in(pair):
    result = make(pair, infrared_weight=None)
    assert result.fused is None and result.fusion_weights is None
    assert np.array_equal(result.image("fused"), result.orig_img)


def test_a_selection_keeps_the_pair(pair):
    result = make(pair, view="visible")
    result.save_dir = "runs"
    part = result[:1]
    assert len(part) == 1 and part.view == "visible" and part.save_dir == "runs"
    assert np.array_equal(part.fused, result.fused) and np.array_equal(part.infrared, result.infrared)


def test_saving(pair, tmp_path):
    result = make(pair)
    assert (tmp_path / "a.jpg").samefile(result.save(str(tmp_path / "a.jpg")))
    result.save_txt(tmp_path / "a.txt", save_conf=True)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["1", "0"] and all(len(line.split()) == 6 for line in lines)
    result.save_crop(tmp_path / "crops", "a")
    assert {p.parent.name for p in (tmp_path / "crops").rglob("*.jpg")} == {"person", "car"}
