from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest
import torch

from metafusion_yolo.engine.predict.results import FusionResults, pack_fusion
from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.support.errors import UserTypeError

NAMES = {0: "person", 1: "car"}


def output(height: int, width: int, infrared_weight: float, offset: float = 0.0, batch: int = 1) -> FusionOutput:
    coefficients = torch.tensor([1 - infrared_weight, infrared_weight, offset, 1.0])
    coefficients = coefficients.view(1, 4, 1, 1).repeat(batch, 1, height // 4, width // 4)
    return FusionOutput(coefficients[:, :2].clone(), coefficients, {}, *2 * [None])


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
    weights.weights[:, 1, 5:11] = 1.0  # rows 20 to 44 of the 64, of which 21 to 42 show the pair
    weights.weights[:, 0, 5:11] = 0.0
    result = FusionResults(pair, pack_fusion(weights, 0), path="7.jpg", names=NAMES, boxes=None)
    assert result.fused.shape == (30, 90, 3)
    assert result.fusion_weights.shape == (2, 30, 90)
    assert result.fusion_weights[1, 4:-4].min() > 0.99
    assert np.allclose(result.fusion_weights.sum(0), 1)


def test_each_pair_of_a_batch_keeps_its_own_fusion(pair):
    batch = output(64, 64, 0.2, batch=2)
    batch.weights[1] = 0.5
    assert pack_fusion(batch, 0)["infrared_weight"].float().mean() == pytest.approx(0.2, abs=1e-3)
    assert pack_fusion(batch, 1)["infrared_weight"].float().mean() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("view", ["fused", "visible", "infrared"])
def test_plot_draws_on_the_view(pair, view):
    result = make(pair)
    drawn = result.plot(view=view)
    assert drawn.shape == (*pair.shape[:2], 3)
    untouched = np.abs(drawn.astype(int) - result.image(view)).max(-1) == 0
    assert 0.1 < untouched.mean() < 1  # boxes are drawn, the rest is the view


def test_a_panel_shows_every_view_with_its_boxes_under_a_title_apart_from_the_others(pair):
    result = make(pair)
    panel = result.plot(view="panel")
    (height, width), bar, gap = pair.shape[:2], 20, 10
    assert panel.shape == (
        2 * (bar + height) + gap + 20,
        2 * width + gap,
        3,
    )  # the last 20 are the scale of the weights
    for i, view in enumerate(("visible", "infrared", "fused", "weights")):
        top, left = (i // 2) * (bar + height + gap), (i % 2) * (width + gap)
        column = panel[top : top + bar + height, left : left + width]
        assert np.array_equal(column[bar:], result.plot(view=view)[:height])
        assert column[:bar].min() < 128 < column[:bar].mean()  # dark letters on white
    assert (panel[:, width : width + gap] == 255).all()


def test_a_panel_of_an_export_shows_what_there_is(pair):
    assert make(pair, infrared_weight=None).plot(view="panel").shape[1] == 2 * 64 + 10


@pytest.mark.parametrize("view", ["panel", "weights"])
def test_composed_views_can_be_saved_and_returned_as_pil_images(pair, view, tmp_path):
    drawn = make(pair).plot(view=view, pil=True, save=True, filename=str(tmp_path / "a.png"))
    assert np.array_equal(np.asarray(drawn)[..., ::-1], make(pair).plot(view=view))
    assert cv2.imread(str(tmp_path / "a.png")).shape == (drawn.height, drawn.width, 3)


def test_weights_are_shown_as_colours_with_a_legend(pair):
    dark, bright = (make(pair, infrared_weight=share).image("weights").mean() for share in (0.0, 1.0))
    assert bright - dark > 20
    overlay = make(pair, infrared_weight=0.0).plot(view="weights")
    legend = overlay[48:]
    assert legend.shape[0] >= 16
    assert np.ptp(legend, axis=-1).max() > 100  # the colour bar
    export = make(pair, infrared_weight=None)
    assert np.array_equal(export.image("weights"), export.orig_img)


def test_each_box_knows_how_much_came_from_which_camera(pair):
    halves = output(64, 64, 0.0)
    halves.weights[:, 1, :, 8:] = 1.0
    halves.weights[:, 0, :, 8:] = 0.0
    boxes = torch.tensor([[2, 2, 20, 40, 0.9, 0], [44, 2, 60, 40, 0.8, 1], [22, 2, 42, 40, 0.7, 1]])
    odd = torch.tensor([[70, 60, 80, 70, 0.6, 0], [5, 5, 5, 5, 0.5, 0]])  # outside, and without area
    result = FusionResults(pair, pack_fusion(halves, 0), path="7.jpg", names=NAMES, boxes=torch.cat((boxes, odd)))
    assert result.box_weights[:, 1] == pytest.approx([0, 1, 0.5, 1, 0], abs=0.02)
    assert np.allclose(result.box_weights.sum(1), 1)
    assert result[1:2].box_weights[:, 1] == pytest.approx([1], abs=0.02)
    assert result.numpy().box_weights[:, 1] == pytest.approx(result.box_weights[:, 1])
    assert [row["infrared_weight"] for row in result.summary()] == pytest.approx([0, 1, 0.5, 1, 0], abs=0.02)
    assert result.to_df()["infrared_weight"].to_list() == [row["infrared_weight"] for row in result.summary()]
    assert [row["infrared_weight"] for row in json.loads(result.to_json())][1] == pytest.approx(1, abs=0.02)


def test_results_without_boxes_or_without_weights(pair):
    assert make(pair)[:0].summary() == [] and make(pair)[:0].box_weights.shape == (0, 2)
    export = make(pair, infrared_weight=None)
    assert export.box_weights is None
    assert [row["infrared_weight"] for row in export.summary()] == [None, None]


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
    for camera in ("visible", "infrared", "fused"):
        assert sorted(p.parent.name for p in (tmp_path / "crops" / camera).rglob("a.jpg")) == ["car", "person"]
    crop = cv2.imread(str(tmp_path / "crops" / "infrared" / "car" / "a.jpg"))
    assert np.ptp(crop.astype(int), axis=-1).max() <= 2  # grey


def test_in_a_notebook_a_result_is_a_picture(pair):
    result = make(pair)
    shown = cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, result.plot())
    text = result._repr_html_()
    assert "data:image/jpeg;base64," in text and "1 person, 1 car" in text and "share of infrared 0.50" in text
    assert "<td>car</td><td>0.90</td><td>0.50</td>" in text
    result.update(semantic_mask=torch.zeros(result.orig_shape))
    result.boxes = None
    text = result._repr_html_()
    assert "; ;" not in text and "<th>pixel ratio</th>" in text and "<td>1.00</td>" in text and "1 rows" in text
    with pytest.raises(UserTypeError, match=r"this model finds none; use result\.semantic_mask"):
        result.to_supervision()
    result = make(pair)
    assert repr([result]) == "[<FusionResults 7.jpg 64x48: 1 person, 1 car>]"


def test_names_and_files_cannot_inject_html(pair):
    result = make(pair)
    result.names, result.path = {0: "<b>", 1: "car"}, "<i>.jpg"
    assert "<b>" not in result._repr_html_() and "<i>" not in result._repr_html_()


def test_a_result_without_detections_or_fusion_is_a_picture_too(pair):
    text = make(pair, infrared_weight=None)[:0]._repr_html_()
    assert "no detections" in text and "<table>" not in text


def test_supervision_gets_boxes_weights_and_images(pair):
    pytest.importorskip("supervision")
    result = make(pair, infrared_weight=0.25)
    found = result.to_supervision()
    assert np.array_equal(found.xyxy, result.boxes.xyxy.numpy())
    assert found.data["class_name"].tolist() == ["car", "person"]
    assert found.data["infrared_weight"] == pytest.approx([0.25, 0.25], abs=1e-3)
    assert np.array_equal(found.metadata["visible"], pair[..., 2::-1])
    assert np.array_equal(found.metadata["infrared"], pair[..., 3])
    assert np.array_equal(found.metadata["fused"], result.image("fused"))
    assert found[found.confidence > 0.6].data["infrared_weight"].shape == (1,)
    assert len(result[:0].to_supervision()) == 0


def test_without_supervision_the_error_names_the_package(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ModuleNotFoundError, match="pip install supervision"):
        make(pair).to_supervision()
