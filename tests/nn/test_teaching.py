"""What the detector teaches: where its backbone is heard, and the look-ahead against finite differences."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from metafusion_yolo.functional.losses import meta_loss
from metafusion_yolo.nn.fusion import FusionNet, FusionOutput
from metafusion_yolo.nn.meta import MetaProjection
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from metafusion_yolo.nn.teaching import MetaTeacher, backbone_taps, frozen_copy, look_ahead_loss, rows

LR = 2.0  # of the inner step, so large that it shows


# Listening to the backbone -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=["yolov8", "yolo11", "yolo26"])
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def detector(family) -> FusionDetectionModel:
    torch.manual_seed(0)
    content = load_model_yaml(f"metafusion-{family}n.yaml")
    return FusionDetectionModel({**content, "fusion": {"meet": "image"}}, verbose=False)


def backbone(detector: FusionDetectionModel) -> nn.Sequential:
    return detector.model[: len(detector.yaml["backbone"])]


def outputs(layers: nn.Sequential, images: Tensor) -> list[Tensor]:
    """Return what each layer makes of the one before."""
    features = []
    for layer in layers:
        images = layer(images)
        features.append(images)
    return features


def test_taps_are_where_the_detectors_have_them(family, detector) -> None:
    expected = {
        "yolov8": {16: (6, 128), 32: (9, 256)},  # C2f, SPPF
        "yolo11": {16: (6, 128), 32: (10, 256)},  # C3k2, C2PSA
        "yolo26": {16: (6, 128), 32: (10, 256)},
    }[family]
    taps = backbone_taps(backbone(detector))
    assert {stride: taps[stride] for stride in (16, 32)} == expected


def test_taps_are_the_last_layers_at_their_strides(detector) -> None:
    layers = deepcopy(backbone(detector)).eval()
    with torch.no_grad():
        features = outputs(layers, torch.rand(1, 3, 96, 160))
    last = {96 // f.shape[-2]: (i, f.shape[1]) for i, f in enumerate(features)}
    assert backbone_taps(layers) == last
    assert list(last) == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("training", [True, False])
def test_finding_taps_leaves_the_backbone_as_it_was(training, detector) -> None:
    layers = deepcopy(backbone(detector)).train(training)
    state = deepcopy(layers.state_dict())
    backbone_taps(layers)
    assert all(torch.equal(value, state[key]) for key, value in layers.state_dict().items())
    assert all(module.training is training for module in layers.modules())
    assert all(parameter.grad is None for parameter in layers.parameters())


@pytest.mark.parametrize("levels", [(16, 32), (32,)])
def test_teacher_hears_the_last_layers_of_the_backbone(levels, detector) -> None:
    layers = deepcopy(detector.model).eval()
    teacher = MetaTeacher(layers, len(detector.yaml["backbone"]), meta_channels=4, levels=levels)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad(), teacher.listening(layers) as heard:
        features = outputs(backbone(detector).eval(), images)
        assert not heard  # these are the layers of another model
        own = outputs(layers[: len(features)], images)
    assert set(heard) == set(levels)
    for stride, found in heard.items():
        index, channels = backbone_taps(backbone(detector))[stride]
        assert found is own[index]
        assert torch.equal(found, features[index])
        assert found.shape == (2, channels, 64 // stride, 96 // stride)


def test_teacher_predicts_what_it_hears(detector) -> None:
    teacher = MetaTeacher(detector.model, len(detector.yaml["backbone"]), meta_channels=4, levels=(16, 32))
    meta_features = {16: torch.rand(2, 4, 4, 6), 32: torch.rand(2, 4, 2, 3)}
    with torch.no_grad(), teacher.listening(detector.model) as heard:
        detector(torch.rand(2, 3, 64, 96))
        predicted = teacher(FusionOutput(*2 * [torch.empty(0)], meta_features, *2 * [None]))
    assert {s: f.shape for s, f in predicted.items()} == {s: f.shape for s, f in heard.items()}
    for stride, projected in teacher.projection(meta_features).items():
        assert torch.equal(predicted[stride], projected)


def test_teacher_stops_listening(detector) -> None:
    teacher = MetaTeacher(detector.model, len(detector.yaml["backbone"]), meta_channels=4, levels=(16, 32))
    with pytest.raises(RuntimeError, match="stop"), teacher.listening(detector.model) as heard:
        raise RuntimeError("stop")
    assert heard == {}
    assert not any(module._forward_hooks for module in detector.modules())
    with teacher.listening(detector.model):
        assert sum(len(module._forward_hooks) for module in detector.modules()) == 2
    assert not any(module._forward_hooks for module in detector.modules())


# The look-ahead ------------------------------------------------------------------------------------------------------
class Lesson:
    """A small network whose meta-features matter, what it is taught, and on which pairs."""

    def __init__(self, distance: str = "cosine", dtype: torch.dtype = torch.float64, seed: int = 0) -> None:
        torch.manual_seed(0)
        self.distance = distance
        self.net = FusionNet(channels=4, meta_channels=4, heads=1).to(dtype)
        for layer in (self.net.attention.to_out, self.net.decoder.maps):
            nn.init.normal_(layer.weight, std=0.5)
        self.teacher = MetaProjection(4, {16: 5, 32: 6}).to(dtype)
        torch.manual_seed(seed)
        self.train, self.test = 0.3 + 0.4 * torch.rand(2, 2, 4, 64, 64, dtype=dtype)  # little clips
        self.target = {16: torch.randn(2, 5, 4, 4, dtype=dtype), 32: torch.randn(2, 6, 2, 2, dtype=dtype)}
        self.image = torch.rand(2, 1, 64, 64, dtype=dtype)

    def align(self, output: FusionOutput) -> Tensor:
        return meta_loss(self.teacher(output.meta_features), self.target, self.distance)

    def lose(self, output: FusionOutput) -> Tensor:
        return (output.luminance - self.image).square().mean()

    def look_ahead(self, first_order: bool = False, lr: float = LR) -> Tensor:
        train, test = (self.train, self.align), (self.test, self.lose)
        return look_ahead_loss(self.net, train, test, self.teacher, lr, first_order)

    def in_two_steps(self) -> tuple[Tensor, FusionNet]:
        """Return the outer loss of a copy of the network that has taken the inner step, and the copy."""
        net = deepcopy(self.net)
        students = [p for name, p in net.named_parameters() if not name.startswith("meta.")]
        slopes = torch.autograd.grad(self.align(net(self.train)), students, allow_unused=True)
        with torch.no_grad():
            for parameter, slope in zip(students, slopes, strict=True):
                if slope is not None:
                    parameter -= LR * slope
        return self.lose(net(self.test)), net

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(nn.ModuleDict({"net": self.net, "teacher": self.teacher}).named_parameters())

    def taught(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.parameters().items() if name.startswith(("net.meta.", "teacher."))}

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients so far, and forget them."""
        gradients = {name: p.grad for name, p in self.parameters().items() if p.grad is not None}
        for parameter in self.parameters().values():
            parameter.grad = None
        return gradients


@pytest.mark.parametrize("distance", ["cosine", "l1", "l2"])
def test_value_is_the_loss_after_a_step(distance) -> None:
    lesson = Lesson(distance)
    expected, _ = lesson.in_two_steps()
    for first_order in (False, True):
        torch.testing.assert_close(lesson.look_ahead(first_order).detach(), expected.detach(), rtol=1e-12, atol=0)
    assert lesson.lose(lesson.net(lesson.test)).item() != pytest.approx(expected.item(), rel=1e-5)  # the step shows


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_gradient_is_that_of_finite_differences(distance) -> None:
    lesson = Lesson(distance)
    lesson.look_ahead().backward()
    gradients, step = lesson.gradients(), 1e-4
    for name, parameter in lesson.taught().items():
        values, slopes = parameter.detach().view(-1), gradients[name].view(-1)
        for i in slopes.abs().topk(2).indices.tolist():  # the steepest, where differences are most exact
            start, ends = values[i].item(), []
            for end in (start + step, start - step):
                values[i] = end
                ends.append(lesson.in_two_steps()[0].item())
            values[i] = start
            assert slopes[i].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5), (name, i)


def test_first_order_gradient_holds_the_step_constant() -> None:
    lesson = Lesson()
    loss, ahead = lesson.in_two_steps()
    loss.backward()  # the copy has the weights after the step for its own
    expected = {f"net.meta.{name}": p.grad for name, p in ahead.meta.named_parameters()}
    lesson.look_ahead(first_order=True).backward()
    first = lesson.gradients()
    assert first.keys() == expected.keys()  # none for the teacher
    for name, gradient in first.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-15)
    lesson.look_ahead().backward()
    second = lesson.gradients()
    assert all((first[name] - second[name]).abs().max() > 5e-4 * first[name].abs().max() for name in first)


def test_only_what_makes_and_teaches_the_meta_features_learns() -> None:
    lesson = Lesson()
    lesson.look_ahead().backward()
    gradients = lesson.gradients()
    assert gradients.keys() == lesson.taught().keys()
    assert all(gradient.any() for gradient in gradients.values())


def test_frozen_parameters_get_no_gradient() -> None:
    lesson = Lesson()
    lesson.look_ahead().backward()
    expected = lesson.gradients()
    for parameter in lesson.net.meta.coarse.parameters():
        parameter.requires_grad = False
    lesson.look_ahead().backward()
    gradients = lesson.gradients()
    assert gradients.keys() == {name for name in expected if not name.startswith("net.meta.coarse.")}
    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients.items())


def test_network_stays_as_it_is() -> None:
    lesson = Lesson()
    for parameter in lesson.parameters().values():
        parameter.grad = torch.full_like(parameter, 7)
    before = {name: p.detach().clone() for name, p in lesson.parameters().items()}
    lesson.look_ahead()
    for name, parameter in lesson.parameters().items():
        assert torch.equal(parameter, before[name]), name
        assert (parameter.grad == 7).all(), name
        assert parameter.requires_grad, name


def test_gradient_scales_with_the_loss() -> None:
    lesson = Lesson()
    lesson.look_ahead().backward()
    plain = lesson.gradients()
    (1024 * lesson.look_ahead()).backward()  # as the scaler of mixed precision does
    scaled = lesson.gradients()
    assert all(torch.equal(scaled[name], 1024 * gradient) for name, gradient in plain.items())


def test_gradients_of_batches_add_up() -> None:
    first, second = Lesson(), Lesson(seed=1)
    second.net, second.teacher = first.net, first.teacher
    singles = []
    for lesson in (first, second):
        lesson.look_ahead().backward()
        singles.append(lesson.gradients())
    for lesson in (first, second):
        lesson.look_ahead().backward()
    for name, gradient in first.gradients().items():
        torch.testing.assert_close(gradient, singles[0][name] + singles[1][name])
        assert not torch.allclose(singles[0][name], singles[1][name])


def test_goes_with_other_losses_of_the_same_parameters() -> None:
    lesson = Lesson()
    lesson.align(lesson.net(lesson.train)).backward()
    alone = lesson.gradients()
    lesson.look_ahead().backward()
    ahead = lesson.gradients()
    (lesson.align(lesson.net(lesson.train)) + lesson.look_ahead()).backward()
    for name, gradient in lesson.gradients().items():
        torch.testing.assert_close(gradient, alone[name] + ahead.get(name, 0))


def test_autocast_computes_in_single_precision() -> None:
    lesson = Lesson(dtype=torch.float32)
    expected = lesson.look_ahead()
    expected.backward()
    gradients = lesson.gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lesson.net(lesson.train).meta_features[32].dtype == torch.bfloat16  # which it would be otherwise
        value = lesson.look_ahead()
    value.backward()
    assert torch.equal(value, expected)
    assert all(torch.equal(gradient, gradients[name]) for name, gradient in lesson.gradients().items())


# What it is made of --------------------------------------------------------------------------------------------------
def test_frozen_copy_is_changed_instead_of_the_model() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"model": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), "rest": nn.BatchNorm2d(1)})
    model.train()
    state = deepcopy(model.state_dict())
    frozen = frozen_copy(model, "model.")
    assert frozen.keys() == {key for key in state if key.startswith("model.")}
    own = {key.removeprefix("model."): value for key, value in frozen.items()}
    images = torch.rand(2, 1, 8, 8)
    output = functional_call(model["model"], own, (images,))
    assert not output.requires_grad
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert frozen["model.1.num_batches_tracked"] == 1
    assert torch.equal(output, model["model"](images))  # and the same is computed
    assert torch.equal(frozen["model.1.running_mean"], model["model"][1].running_mean)


def test_rows_are_images_with_their_boxes() -> None:
    batch = {
        "img": torch.rand(4, 4, 8, 8),
        "cls": torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]]),
        "bboxes": torch.rand(5, 4),
        "batch_idx": torch.tensor([1.0, 0.0, 3.0, 1.0, 2.0]),  # in no order, as a data set may give them
        "hidden": torch.rand(4, 2, 8, 8),
        "sources": torch.rand(4, 4, 8, 8),
        "im_file": ("a", "b", "c", "d"),
    }
    part = rows(batch, 1, 3)
    assert part.keys() == {"img", "hidden", "sources", "cls", "bboxes", "batch_idx"}
    assert all(torch.equal(part[name], batch[name][1:3]) for name in ("img", "hidden", "sources"))
    assert part["cls"].tolist() == [[0.0], [3.0], [4.0]]
    assert torch.equal(part["bboxes"], batch["bboxes"][[0, 3, 4]])
    assert part["batch_idx"].tolist() == [0.0, 0.0, 1.0]


def test_rows_without_boxes_are_still_images() -> None:
    batch = {
        "img": torch.rand(2, 4, 8, 8),
        "cls": torch.zeros(1, 1),
        "bboxes": torch.rand(1, 4),
        "batch_idx": torch.zeros(1),
    }
    part = rows(batch, 1, 2)
    assert part["img"].shape == (1, 4, 8, 8)
    assert (part["cls"].shape, part["bboxes"].shape, part["batch_idx"].shape) == ((0, 1), (0, 4), (0,))
