"""Views of a pair, their boxes joined, and the camera that shows each."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.predict import ensemble
from metafusion_yolo.engine.predict.ensemble import VIEWS, EnsemblePredictor, View, join, shown_in
from metafusion_yolo.support.errors import MissingPackageError
from tests.conftest import real_pairs

CAR, PERSON = 2.0, 0.0


def boxes(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows).reshape(-1, 6)


@pytest.mark.parametrize("camera", ["visible", "infrared", "both"])
def test_a_view_shows_one_camera_or_both_and_leaves_the_pair_alone(camera) -> None:
    pairs = torch.rand(1, 4, 2, 3)
    before = pairs.clone()
    seen = View(camera, mirrored=True).of(pairs).flip(3)
    on = {"visible": [1, 1, 1, 0], "infrared": [0, 0, 0, 1], "both": [1, 1, 1, 1]}[camera]
    assert torch.equal(seen, before * torch.tensor(on)[None, :, None, None])
    assert torch.equal(pairs, before)


def test_boxes_of_a_mirrored_view_go_back() -> None:
    found = boxes((1, 2, 4, 5, 0.5, CAR))
    assert View("both", mirrored=True).back(found, width=10).tolist() == [[6, 2, 9, 5, 0.5, CAR]]


def test_joined_boxes_are_weighted_means_and_few_views_lower_the_score() -> None:
    pytest.importorskip("ensemble_boxes")
    views = [boxes((10, 10, 30, 30, 0.6, CAR)), boxes((12, 10, 32, 30, 0.3, CAR)), boxes((60, 60, 90, 90, 0.9, PERSON))]
    joined = join(views, height=100, width=100)
    assert joined[:, 5].tolist() == [CAR, PERSON]
    np.testing.assert_allclose(joined[0, :4], [10 + 2 / 3, 10, 30 + 2 / 3, 30], atol=1e-4)  # weights 0.6 and 0.3
    np.testing.assert_allclose(joined[:, 4], [0.45 * 2 / 3, 0.9 / 3], atol=1e-6)
    assert join([boxes(), boxes()], 100, 100).shape == (0, 6)


def test_the_camera_that_shows_a_box() -> None:
    spots = [(10.0 * i, 10.0, 10.0 * i + 8, 20.0) for i in range(5)]
    joined = boxes(*((*spot, 0.5, CAR) for spot in spots))
    views = {
        View("visible", False): boxes((*spots[0], 0.6, CAR), (*spots[2], 0.5, CAR), (*spots[3], 0.1, CAR)),
        View("infrared", True): boxes((*spots[1], 0.6, CAR), (*spots[2], 0.5, CAR), (*spots[4], 0.9, PERSON)),
        View("both", False): joined,
    }
    shown = shown_in(joined, views, least=0.3)
    assert shown == ["visible", "infrared", "both", "visible", "both"]  # the last: of another class in one camera


def test_the_missing_package_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(ensemble, "find_spec", lambda name: importlib.util.find_spec("no_such_package"))
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    with pytest.raises(MissingPackageError, match="pip install ensemble-boxes"):
        model.predict(np.zeros((32, 32, 4), np.uint8), predictor=EnsemblePredictor, imgsz=32)


class OneView(EnsemblePredictor):
    views = VIEWS[:1]
    least = 1.0  # the host's own threshold


def test_one_view_finds_what_prediction_finds(coco, roadscene) -> None:
    pytest.importorskip("ensemble_boxes")
    source = [(str(visible), str(infrared)) for visible, infrared in real_pairs(roadscene, 3)]
    asked = {"imgsz": 320, "conf": 0.3, "iou": 0.5, "verbose": False, "classes": [0, 2]}  # below SAME: no box to join
    plain = MetaFusionYOLO(coco.ckpt_path).predict(source, **asked)
    joined = MetaFusionYOLO(coco.ckpt_path).predict(source, predictor=OneView, **asked)
    assert sum(len(result) for result in plain) >= 3
    for one, other in zip(plain, joined, strict=True):
        torch.testing.assert_close(other.boxes.data, one.boxes.data, atol=1e-2, rtol=1e-5)
        assert np.array_equal(one.fused, other.fused)
        assert other.shows_in == ["both"] * len(one)  # no view of a camera alone took part
