"""The detection model with its front-end against the host's own model of the same weights."""

import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel, load_checkpoint, parse_model, yaml_model_load

from metafusion_yolo.config import METHODS, FusionConfig
from metafusion_yolo.nn.front_end import FUSION_FORMAT, gflops
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.rules import PixelRule
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.nn.conftest import fused_model, labelled, random_pair, write_yaml

FAMILIES = ["yolov8", "yolo11", "yolo26"]
ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT.parent / "shared" / "weights" / "yolov8n.pt"
FUSION_TERMS = ["ssim_loss", "grad_loss", "int_loss", "meta_loss"]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


both_losses = pytest.mark.parametrize("family", ["yolov8", "yolo26"], indirect=True, scope="module")  # yolo11: as v8


@pytest.fixture(scope="module")
def shared(family) -> FusionDetectionModel:
    """A model in evaluation mode that no test changes."""
    return fused_model(family).eval()


@pytest.fixture
def model(shared) -> FusionDetectionModel:
    """A model in training mode that a test may change."""
    return deepcopy(shared).train()


@pytest.fixture(scope="module")
def stock(family, shared) -> DetectionModel:
    """The host's model with the weights of `shared`."""
    stock = DetectionModel(f"{family}n.yaml", verbose=False)
    stock.load_state_dict({key: value for key, value in shared.state_dict().items() if key.startswith("model.")})
    stock.args = get_cfg()
    return stock.eval()


@pytest.fixture(scope="module")
def pretrained() -> DetectionModel:
    if not WEIGHTS.is_file():
        pytest.skip(f"no checkpoint at {WEIGHTS}")
    return load_checkpoint(WEIGHTS)[0]


# Model YAMLs ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x"])
def test_yaml_describes_the_detector_of_the_host(family, scale) -> None:
    own, stock = load_model_yaml(f"metafusion-{family}{scale}.yaml"), yaml_model_load(f"{family}{scale}.yaml")
    assert own["yaml_file"] == f"metafusion-{family}{scale}.yaml"
    assert own["scale"] == scale
    assert {key: own[key] for key in stock.keys() - {"yaml_file"}} == {
        key: value for key, value in stock.items() if key != "yaml_file"
    }
    if scale != "n":
        return  # the same description gives the same layers
    with torch.device("meta"):  # shapes only
        layers = [parse_model(deepcopy(d), ch=3, verbose=False)[0].state_dict() for d in (own, stock)]
    shapes = [{key: value.shape for key, value in state.items()} for state in layers]
    assert shapes[0] == shapes[1]


def test_scales_build_and_run() -> None:
    small, nano = fused_model(scale="s"), fused_model(scale="n")
    assert small.yaml["scale"] == "s"
    assert small.model[0].conv.out_channels == 2 * nano.model[0].conv.out_channels
    assert small.fusion.state_dict().keys() == nano.fusion.state_dict().keys()
    with torch.no_grad():
        assert small.eval()(random_pair(64, 64, 1))[0].shape == (1, 84, 84)


@pytest.mark.parametrize(
    ("name", "detector", "stock"),
    [
        ("own.yaml", "yolov8.yaml", "yolov8n.yaml"),
        ("own.yaml", "yolov8s.yaml", "yolov8s.yaml"),
        ("own-yolov8s.yaml", "yolov8-p2.yaml", "yolov8s-p2.yaml"),
        ("own-yolov8s.yaml", "yolov8n-p2.yaml", "yolov8s-p2.yaml"),
    ],
)
def test_scale_comes_from_the_name_then_from_the_detector(name, detector, stock, tmp_path) -> None:
    own = load_model_yaml(write_yaml(tmp_path, name, detector=detector))
    expected = yaml_model_load(stock)
    assert (own["scale"], own["head"]) == (expected["scale"], expected["head"])


def test_host_keys_may_be_set(tmp_path) -> None:
    own = load_model_yaml(write_yaml(tmp_path, detector="yolo26.yaml", nc=3, end2end=False, activation="nn.ReLU()"))
    assert (own["nc"], own["end2end"], own["activation"]) == (3, False, "nn.ReLU()")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fusion": {}}, r"has no 'detector:'; expected the name .* such as 'detector: yolov8.yaml'"),
        ({"detector": None}, "has no 'detector:'"),
        (
            {"detector": "yolov8.yaml", "head": [[-1, 1, "Conv", [8]]]},
            "'detector: yolov8.yaml' of .* has the head Conv, which has no fused form",
        ),
        ({"detector": "yolov8.yaml", "fusoin": {}}, r"unknown key 'fusoin' in .*, did you mean 'fusion'\?"),
        ({"detector": "yolov8.yaml", "fusion": {"chanels": 8}}, r"unknown key 'chanels' in 'fusion', did you mean"),
    ],
)
def test_wrong_yamls_are_refused(content, message, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        FusionDetectionModel(write_yaml(tmp_path, **content))


@pytest.mark.parametrize("text", ["", "- yolov8.yaml", "yolov8.yaml"])
def test_yaml_that_is_no_mapping_is_refused(text, tmp_path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"own\.yaml' does not map keys to values"):
        load_model_yaml(path)


@pytest.mark.parametrize("ch", [1, 2, 5, 6])
def test_images_that_are_no_pairs_are_refused(ch) -> None:
    with pytest.raises(ValueError, match=rf"a pair has 4 channels \(R, G, B, IR\), the data set says {ch}"):
        FusionDetectionModel("metafusion-yolov8n.yaml", ch=ch)


def test_section_shapes_the_front_end(tmp_path) -> None:
    section = {"meet": "P3", "channels": 16, "meta_channels": 20, "heads": 4, "initial_infrared_weight": 0.8}
    path = write_yaml(tmp_path, detector="yolov8.yaml", nc=3, fusion=section)
    model = FusionDetectionModel(path, verbose=False)
    assert model.config == FusionConfig.from_dict(section)
    assert model.fusion.mix[0].out_channels == 16
    assert model.fusion.meta.coarse[0].out_channels == 20
    assert model.fusion.attention.heads == 4
    assert model.eval().fusion(random_pair()).weights[:, 1].mean().item() == pytest.approx(0.8, abs=0.05)
    assert (model.model[-1].nc, model.yaml["nc"], model.yaml["channels"]) == (3, 3, 4)
    rebuilt = FusionDetectionModel(deepcopy(model.yaml), nc=5, verbose=False)  # as the trainer does it
    assert rebuilt.config == model.config
    assert rebuilt.model[-1].nc == 5


# Parity with the host ------------------------------------------------------------------------------------------------
def test_keys_of_the_detector_are_those_of_the_host(shared, stock) -> None:
    state = shared.state_dict()
    own = {key: value.shape for key, value in state.items() if key.startswith("model.")}
    assert own == {key: value.shape for key, value in stock.state_dict().items()}
    assert all(key.startswith(("fusion.", "teacher.")) for key in state.keys() - own.keys())
    assert torch.equal(shared.stride, stock.stride)


def test_all_keys_of_a_stock_checkpoint_load(pretrained) -> None:
    model = fused_model()
    before = deepcopy(model.state_dict())
    model.load(pretrained, verbose=False)
    expected, state = pretrained.float().state_dict(), model.state_dict()
    assert len(expected) == 355
    assert [key for key, value in expected.items() if not torch.equal(state[key], value)] == []
    rest = state.keys() - expected.keys()
    assert any(key.startswith("teacher.") for key in rest)
    assert all(torch.equal(state[key], before[key]) for key in rest)


def test_stock_checkpoint_gives_its_own_boxes(pretrained) -> None:
    model = FusionDetectionModel("metafusion-yolov8n.yaml", verbose=False)
    model.load(pretrained, verbose=False)
    images = random_pair()[:, :3]
    with torch.no_grad():
        assert torch.equal(model.eval()(images)[0], pretrained.eval()(images)[0])


def test_state_of_the_host_lacks_only_what_is_ours(shared, stock) -> None:
    missing, unexpected = deepcopy(shared).load_state_dict(stock.state_dict(), strict=False)
    assert unexpected == []
    assert {key.partition(".")[0] for key in missing} == {"fusion", "teacher"}


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_fused_images_give_the_output_of_the_host_bit_for_bit(mode, shared, stock) -> None:
    images, training = random_pair()[:, :3], mode == "train"
    outputs = []
    for net in (deepcopy(shared).train(training), deepcopy(stock).train(training)):
        with torch.no_grad():
            outputs.append(leaves(net(images)))
    assert len(outputs[0]) == len(outputs[1]) > 1
    assert all(torch.equal(own, host) for own, host in zip(*outputs, strict=True))


def test_loss_of_fused_images_is_that_of_the_host(shared, stock) -> None:
    batch = labelled(random_pair()[:, :3])
    own, host = (deepcopy(net).train().loss(batch) for net in (shared, stock))
    assert torch.equal(own[0], host[0])
    assert own[1] == host[1]


def test_pair_gives_what_the_detector_says_about_its_fused_image(shared, stock) -> None:
    pair = random_pair()
    with torch.no_grad():
        fused = shared.fuse_images(pair).fused
        (boxes, raw), host = shared(pair), leaves(stock(fused))
    own = leaves((boxes, {key: value for key, value in raw.items() if key not in ("fusion", "backbone")}))
    assert not torch.allclose(fused, pair[:, :3], atol=0.01)
    assert all(torch.equal(a, b) for a, b in zip(own, host, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_raw_predictions_carry_what_the_loss_needs(training, shared, stock) -> None:
    model, pair = deepcopy(shared).train(training), random_pair()
    with torch.no_grad():
        outputs = model(pair), deepcopy(stock).train(training)(pair[:, :3])
    raw, host = (preds if training else preds[1] for preds in outputs)
    assert raw.keys() == host.keys() | {"fusion", "backbone"}
    torch.testing.assert_close(raw["fusion"].fused, shared.fuse_images(pair).fused)
    assert {stride: f.shape for stride, f in raw["backbone"].items()} == {16: (2, 128, 4, 6), 32: (2, 256, 2, 3)}
    with torch.no_grad():
        fused = model(pair[:, :3])
    assert (fused if training else fused[1]).keys() == host.keys()  # nothing was fused
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("batch", [1, 2])
def test_embeddings_of_a_pair_are_those_of_its_fused_image(batch, shared, stock) -> None:
    pair = random_pair(batch=batch)
    with torch.no_grad():
        own = shared.predict(pair, embed=[9])
        host = stock.predict(shared.fuse_images(pair).fused, embed=[9])
    assert all(torch.equal(a, b) for a, b in zip(own, host, strict=True))


# Training ------------------------------------------------------------------------------------------------------------
@both_losses
def test_one_step_reaches_front_end_and_detector(model) -> None:
    total, items = model(labelled(random_pair()))
    last = "l1_loss" if model.yaml.get("reg_max") == 1 else "dfl_loss"
    assert list(items) == [*FUSION_TERMS, "box_loss", "cls_loss", last]
    assert max(map(len, items)) <= 10
    assert total.shape == (5,)  # fusion, teaching, box, class, and the last
    assert all(value > 0 for value in items.values())
    total.sum().backward()
    for part in (model.fusion, model.fusion.meta, model.teacher, model.model[0], model.model[-1]):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@both_losses
@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("separate", [False, True], ids=["loss(batch)", "loss(batch, preds)"])
def test_detection_loss_reaches_the_front_end_in_joint_phases_only(model, joint, separate) -> None:
    model.joint = joint
    batch = labelled(random_pair())
    preds = model(batch["img"]) if separate else None  # the host's way when it compiles the model
    total, _ = model.loss(batch, preds)
    total[2:].sum().backward()
    fusion = sum(float(p.grad.abs().sum()) for p in model.fusion.parameters() if p.grad is not None)
    detector = sum(float(p.grad.abs().sum()) for p in model.model.parameters() if p.grad is not None)
    assert detector > 0
    assert (fusion > 0) == joint


@both_losses
@pytest.mark.parametrize("joint", [True, False])
def test_fusion_losses_reach_the_front_end_in_all_phases(model, joint) -> None:
    model.joint = joint
    total, _ = model.loss(labelled(random_pair()))
    total[:2].sum().backward()
    assert sum(float(p.grad.abs().sum()) for p in model.fusion.parameters() if p.grad is not None) > 0
    assert all(p.grad is None or not p.grad.any() for p in model.model.parameters())


@both_losses
def test_loss_is_the_same_with_predictions_at_hand(shared) -> None:
    batch = labelled(random_pair())
    model, preds = deepcopy(shared), shared(batch["img"])
    with torch.no_grad():
        own = model.loss(batch)
        for _ in range(2):  # the predictions are not used up
            given = model.loss(batch, preds)  # the host's way when it validates
            assert torch.equal(own[0], given[0])
            assert own[1] == given[1]
    assert list(own[1])[: len(FUSION_TERMS)] == FUSION_TERMS


def test_gains_of_the_section_weight_the_loss() -> None:
    names = ("ssim", "gradient", "intensity", "meta", "detection")
    losses = []
    for gains in ((1, 1, 1, 1, 1), (2, 0, 3, 4, 0.5)):
        model = fused_model(gains=dict(zip(names, gains, strict=True)))
        losses.append(model.loss(labelled(random_pair())))
    (total, items), (weighted, _) = losses
    torch.testing.assert_close(weighted[1:], total[1:] * torch.tensor([4, 0.5, 0.5, 0.5]))
    torch.testing.assert_close(weighted[0], 2 * (2 * items["ssim_loss"] + 3 * items["int_loss"]))  # a batch of two


@both_losses
def test_batch_without_boxes(model) -> None:
    batch = {
        **labelled(random_pair()),
        "cls": torch.zeros(0, 1),
        "bboxes": torch.zeros(0, 4),
        "batch_idx": torch.zeros(0),
    }
    total, _ = model.loss(batch)
    total.sum().backward()
    assert total.isfinite().all()


def test_two_headed_detector_can_do_without_nms() -> None:
    model = fused_model("yolo26").eval()
    model.end2end = True
    with torch.no_grad():
        boxes = model(random_pair())[0]
    assert boxes.shape == (2, 126, 6)  # x1, y1, x2, y2, score, class of 96 + 24 + 6 places
    assert model.loss(labelled(random_pair()))[0].isfinite().all()


@pytest.mark.parametrize("family", ["yolov8"], indirect=True, scope="module")
@pytest.mark.parametrize("method", [method for method in METHODS if method != "learned"])
def test_detectors_train_on_fixed_rules(method, family) -> None:
    model = fused_model(family, method=method).train()
    assert isinstance(model.fusion, PixelRule)
    assert model.teacher is None
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {"model"}
    batch = labelled(random_pair())
    total, items = model.loss(batch)
    assert "meta_loss" not in items
    host, _ = deepcopy(model).loss({**batch, "img": model.fuse_images(batch["img"]).fused})
    assert torch.equal(total[1:], host)
    total.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.model[0].conv.weight.grad.any()


# What the host does to models ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "copy", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copies_are_the_same_model(copy, shared) -> None:
    again = copy(shared)
    assert type(again) is FusionDetectionModel
    assert type(again).__module__ == "metafusion_yolo.nn.tasks"  # part of the checkpoint format
    section = {"fusion": shared.config.to_dict(), "fusion_format": FUSION_FORMAT}  # complete in a copy
    assert (again.config, again.joint, again.yaml) == (shared.config, shared.joint, {**shared.yaml, **section})
    with torch.no_grad():
        assert torch.equal(again(random_pair())[0], shared(random_pair())[0])


def test_folding_batch_norms_changes_nothing(shared) -> None:
    folded = deepcopy(shared).fuse(verbose=False)
    assert folded.is_fused()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        expected, outputs = shared(random_pair())[0], folded(random_pair())[0]
    assert expected[:, 4:].std() > 0.005
    torch.testing.assert_close(outputs[:, :4], expected[:, :4], atol=1e-3, rtol=0)  # pixels
    torch.testing.assert_close(outputs[:, 4:], expected[:, 4:], atol=1e-4, rtol=0)


@both_losses
@pytest.mark.parametrize("camera", [None, "visible", "infrared"])
def test_augmented_prediction_fuses_once_and_augments_the_fused_image(camera, shared, stock) -> None:
    pair = random_pair(64, 64)
    if camera:
        pair[:, {"visible": slice(0, 3), "infrared": slice(3, 4)}[camera]] = 0
    calls = []
    handle = shared.fusion.register_forward_hook(lambda module, args, output: calls.append(output.fused))
    with torch.no_grad():
        own = shared.predict(pair, augment=True)[0]
    handle.remove()
    with torch.no_grad():
        host = stock.predict(calls[0], augment=True)[0]
        plain = stock.predict(calls[0])[0]
    assert len(calls) == 1
    assert own.shape[2] > plain.shape[2]
    assert torch.equal(own, host)


def test_summary_counts_the_front_end(caplog, shared) -> None:
    with caplog.at_level("INFO", logger="ultralytics"):
        layers, parameters, *_ = shared.info(imgsz=64)
    assert parameters == sum(p.numel() for p in shared.parameters())
    assert layers > 0
    front_end = sum(p.numel() for p in shared.fusion.parameters())
    assert f"Fusion front-end (included above, except in the GFLOPs): {front_end:,} parameters, " in caplog.text


def test_gflops_of_the_front_end() -> None:
    fusion = FusionDetectionModel("metafusion-yolov8n.yaml", verbose=False).fusion
    height, width = 64, 96
    counts = []

    def count(module, args, output) -> None:
        places = output.numel() // output.shape[1 if isinstance(module, nn.Conv2d) else -1]
        counts.append(2 * module.weight.numel() * places)

    for module in fusion.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    fusion(random_pair(height, width, 1))
    queries, keys = height * width // 16**2, height * width // 32**2
    attention = 2 * (queries + keys) * 32 * 16  # 2 heads of 16 features: the summaries, and their mixtures
    expected = (sum(counts) + attention) / 1e9  # interpolation is not counted
    assert gflops(fusion, 4, [height, width]) == pytest.approx(expected, rel=1e-9)
    assert gflops(fusion, 4, 64) == gflops(fusion, 4, [64, 64])


def leaves(output) -> list[torch.Tensor]:
    """Return the tensors of nested outputs in order."""
    if isinstance(output, torch.Tensor):
        return [output]
    items = output.values() if isinstance(output, dict) else output
    return [leaf for item in items for leaf in leaves(item)]
