"""Stems for each camera: what joins them, and what of the stock detector they leave as it is."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg

from metafusion_yolo.nn.front_end import gflops
from metafusion_yolo.nn.meeting import Join, Stems, layer_name, meet_at, with_share
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.conftest import TINY
from tests.nn.conftest import TAUGHT, fused_model, labelled, random_pair, write_yaml

LAYERS = {"P2": 3, "P3": 5, "P4": 7, "P5": 10}  # of YOLOv8 that each camera has for itself


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def meeting(model: FusionDetectionModel, level: str) -> FusionDetectionModel:
    """Return a copy of a model whose cameras meet at a level."""
    model = deepcopy(model)
    meet_at(model, level)
    model.config = replace(model.config, meet=level)
    return model


def tiny(level: str, **fusion) -> FusionDetectionModel:
    """Return a small model in training whose front-end is taught, and of which no two stems are the same."""
    torch.manual_seed(0)
    content = load_model_yaml(TINY)
    section = {**content["fusion"], **TAUGHT, "meet": level, **fusion}
    model = FusionDetectionModel({**content, "fusion": section}, nc=3, verbose=False)
    for module in model.model[0].infrared.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    model.args = get_cfg()
    return model.train()


# What joins ----------------------------------------------------------------------------------------------------------
def test_features_are_joined_by_the_mean_weight_of_their_place() -> None:
    visible, infrared, weights = features(2, 6, 4, 5), features(2, 6, 4, 5, seed=1), features(2, 2, 8, 10, seed=2)
    share = with_share(random_pair(32, 40), weights)[:, 4:]
    weight = weights[:, 1:].double().reshape(2, 1, 4, 2, 5, 2).mean((3, 5))
    expected = (1 - weight) * visible.double() + weight * infrared.double()
    torch.testing.assert_close(Join(6, 8)(visible, infrared, share).double(), expected, atol=1e-6, rtol=0)


def test_trained_join_mixes_the_weighted_channels() -> None:
    join, visible, infrared = Join(6, 4), features(1, 6, 3, 3), features(1, 6, 3, 3, seed=1)
    nn.init.normal_(join.weight)
    nn.init.normal_(join.bias)
    seen = torch.cat((0.75 * visible, 0.25 * infrared), 1).double()
    expected = torch.einsum("oc,bchw->bohw", join.weight[..., 0, 0].double(), seen)
    expected += join.bias.double()[:, None, None]
    share = torch.full((1, 1, 12, 12), 0.25)
    torch.testing.assert_close(join(visible, infrared, share).double(), expected, atol=1e-5, rtol=1e-5)


def test_new_weights_of_a_join_are_its_start() -> None:
    join = Join(4, 8)
    start = deepcopy(join.state_dict())
    nn.init.normal_(join.weight)
    join.reset_parameters()
    assert all(torch.equal(value, start[key]) for key, value in join.state_dict().items())


# Beside the stock detector -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def stock(request) -> FusionDetectionModel:
    """A model whose cameras meet as an image, whose scores depend on it."""
    model = fused_model(request.param)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # takes the statistics of the one batch
    with torch.no_grad():
        model.train()(random_pair(64, 64, batch=4))
    return model.eval()


FAMILIES = [*(("yolov8", level) for level in LAYERS), ("yolo11", "P5"), ("yolo26", "P3"), ("yolo26", "P5")]


@pytest.mark.parametrize(("stock", "level"), FAMILIES, indirect=["stock"], scope="module")
def test_cameras_that_agree_and_single_cameras_give_what_the_stock_detector_says(level, stock) -> None:
    model = meeting(stock, level).eval()
    assert len(model.model[0].visible) == (len(stock.yaml["backbone"]) if level == "P5" else LAYERS[level])
    pair = random_pair()
    visible, infrared = pair[:, :3], pair[:, 3:].repeat(1, 3, 1, 1)
    cases = {
        "image": (visible, visible),
        "same": (torch.cat((infrared, pair[:, 3:]), 1), infrared),
        "infrared off": (torch.cat((visible, 0 * pair[:, 3:]), 1), visible),
        "visible off": (torch.cat((0 * visible, pair[:, 3:]), 1), infrared),
    }
    with torch.no_grad():
        for case, (shown, image) in cases.items():
            own, expected = model(shown)[0], stock(image)[0]
            if case == "image":
                assert torch.equal(own, expected)  # bit for bit
            torch.testing.assert_close(
                own[:, 4:], expected[:, 4:], atol=2e-3, rtol=0, msg=lambda m, c=case: f"{c}: {m}"
            )
        assert (model(pair)[0] - model(visible)[0])[:, 4:].abs().max() > 0.5


@pytest.mark.parametrize("stock", ["yolov8"], indirect=True, scope="module")
def test_no_camera_is_embedded_alone(stock) -> None:
    model = meeting(stock, "P4").eval()
    pair = random_pair(64, 64)
    assert len(model.predict(pair, embed=[4, 9])[0]) == 64 + 256
    with pytest.raises(ValueError, match=r"embed=\[3\] each camera has features of its own; give 4 or 6, where they"):
        model.predict(pair, embed=[3, 9])


@pytest.mark.parametrize("stock", ["yolov8"], indirect=True, scope="module")
def test_folding_batch_norms_and_augmentation_reach_both_stems(stock) -> None:
    model = meeting(stock, "P4").eval()
    folded, pair = deepcopy(model).fuse(verbose=False), random_pair(64, 64)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(pair)[0][:, 4:], model(pair)[0][:, 4:], atol=2e-3, rtol=0)
        augmented = model.predict(pair, augment=True)[0]
        visible = model.predict(pair[:, :3], augment=True)[0]
    assert (augmented - visible)[:, 4:].abs().max() > 0.5


# Training ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("joint", [True, False])
def test_detection_teaches_both_stems_and_the_weights_in_joint_phases(joint) -> None:
    model = tiny("P4")
    model.joint = joint
    model.loss(labelled(random_pair(64, 64)))[0][2:].sum().backward()
    stems = model.model[0]
    assert sorted(stems.joins) == ["2", "3"]  # what neck and head read, and what the backbone goes on with
    for part in (stems.visible, stems.infrared, stems.joins):
        assert all(p.grad.any() for p in part.parameters() if p.ndim > 1)
    learned = [p.grad for p in model.fusion.parameters() if p.grad is not None and p.grad.any()]
    assert bool(learned) == joint


@pytest.mark.parametrize("level", ["P2", "P3", "P5"])
def test_joined_features_teach_and_the_look_ahead_goes_through_both_stems(level) -> None:
    model = tiny(level, meta={"interval": 1})
    pair = random_pair(64, 64)
    with torch.no_grad():
        heard = model.eval()(pair)[1]["backbone"]
        output = model.fuse_images(pair)
        joined = stems = model.model[0](model.shown_to_detector(pair, output))
        for i, layer in enumerate(model.model[1:6], start=1):
            joined = layer(stems if layer.f == 0 else joined)
            if i in (3, 5):
                torch.testing.assert_close(heard[{3: 16, 5: 32}[i]], joined)
    total, items = model.train().loss(labelled(pair))
    total.sum().backward()
    assert total.shape == (6,) and items["meta_loss"] > 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


# Weights -------------------------------------------------------------------------------------------------------------
def test_both_stems_start_from_a_checkpoint_whose_cameras_meet_as_an_image() -> None:
    model, source = tiny("P3"), tiny("P3")
    image = fused_like(source)
    model.load(image, verbose=False)
    expected = image.state_dict()
    for name, value in model.model[0].state_dict().items():
        if not name.startswith("joins."):
            assert torch.equal(value, expected[f"model.{name.partition('.')[2]}"]), name
    assert not any(isinstance(module, Stems) for module in image.modules())


def fused_like(model: FusionDetectionModel) -> FusionDetectionModel:
    """Return a model of the same layers whose cameras meet as an image, of other weights."""
    torch.manual_seed(1)
    content = {**deepcopy(model.yaml), "fusion": {**model.config.to_dict(), "meet": "image"}}
    return FusionDetectionModel(content, nc=3, verbose=False)


def test_stems_of_a_checkpoint_stay_what_they_are_and_fit_no_other_level() -> None:
    source, model = tiny("P3"), tiny("P3")
    with torch.no_grad():
        source.model[0].joins["2"].weight.add_(1)
    model.load(source, verbose=False)
    state = source.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for other, level in ((tiny("P4"), "P4"), (fused_like(source), "image")):
        with pytest.raises(
            ValueError, match=rf"the checkpoint meet at P3, those of this model at {level}; set fusion: "
        ):
            other.load(source, verbose=False)


def test_what_the_host_says_of_a_layer_holds_for_both_stems() -> None:
    assert layer_name("model.0.infrared.4.cv1.conv") == layer_name("model.0.visible.4.cv1.conv") == "model.4.cv1.conv"
    assert layer_name("model.6.cv1") == "model.6.cv1"


def test_summary_counts_the_infrared_stem(caplog) -> None:
    model = tiny("P3").eval()
    with caplog.at_level("INFO", logger="ultralytics"):
        model.info(imgsz=64)
    stems = model.model[0]
    added = sum(p.numel() for part in (stems.infrared, stems.joins) for p in part.parameters())
    more = gflops(stems.infrared, 3, 64) + 2 * 32 * 16 * 8 * 8 / 1e9
    assert f"Infrared stem up to P3 (likewise): {added:,} parameters, {more:.2f} GFLOPs" in caplog.text


# Mistakes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([[[-1, 0], 1, "Concat", [1]]], "P5 needs a backbone whose layers follow each other; set meet: image"),
        ([], "P5 is not a level of this detector's backbone, expected one of image, P3"),
    ],
)
def test_levels_that_a_backbone_does_not_have_are_refused(more, message, tmp_path) -> None:
    backbone = [[-1, 1, "Conv", [16, 3, 8]], [-1, 1, "Conv", [16, 1, 1]], *more]
    head = [[[len(backbone) - 1], 1, "Detect", ["nc"]]]
    path = write_yaml(tmp_path, detector="yolov8.yaml", backbone=backbone, head=head, fusion={"meet": "P5"})
    with pytest.raises(ValueError, match=f"fusion: meet: {message}"):
        FusionDetectionModel(path, verbose=False)
