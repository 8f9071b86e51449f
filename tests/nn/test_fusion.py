"""The front-end as a whole: ranges, absent cameras, the untrained start, derivatives and exports."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import STRIDE, FusionNet, FusionOutput, affine_coefficients, present

SIZES = [(64, 64), (64, 96), (320, 256)]


def random_pair(height: int = 64, width: int = 96, batch: int = 2, *, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))


def untrained_net(**sizes: float) -> FusionNet:
    torch.manual_seed(0)
    return FusionNet(**sizes)


def random_net(scale: float = 0.3, **sizes: float) -> FusionNet:
    """Return a front-end whose zero-initialised layers are random, as after some training."""
    net = untrained_net(**sizes)
    for layer in (net.attention.to_out, net.decoder.maps):
        nn.init.normal_(layer.weight, std=scale)
        nn.init.normal_(layer.bias, std=scale)
    return net


def flat(output: FusionOutput) -> tuple[torch.Tensor, ...]:
    return output.fused, output.luminance, output.weights, output.coefficients, *output.meta_features.values()


class Outputs(nn.Module):
    """A front-end with a tuple for its output, which is all that exporters know."""

    def __init__(self, net: FusionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pair: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return flat(self.net(pair))


def blank(pair: torch.Tensor, camera: str, level: float = 0.0) -> torch.Tensor:
    pair = pair.clone()
    pair[:, {"visible": slice(0, 3), "infrared": slice(3, 4)}[camera]] = level
    return pair


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.3, 30.0])
def test_shapes_and_ranges(size, scale) -> None:
    height, width = size
    with torch.no_grad():
        output = random_net(scale)(random_pair(height, width))
    assert output.fused.shape == (2, 3, height, width)
    assert output.luminance.shape == (2, 1, height, width)
    assert output.weights.shape == (2, 2, height // 4, width // 4)
    assert output.coefficients.shape == (2, 4, height // 4, width // 4)
    assert {stride: f.shape for stride, f in output.meta_features.items()} == {
        stride: (2, 48, height // stride, width // stride) for stride in (16, STRIDE)
    }
    for tensor in (output.fused, output.luminance, output.weights, output.coefficients[:, 3:]):
        assert tensor.min() >= 0
        assert tensor.max() <= 1
    torch.testing.assert_close(output.weights.sum(1), torch.ones(2, height // 4, width // 4), atol=1e-6, rtol=0)
    assert output.weights.std() > 0.01  # the weights are maps, not constants
    gains = output.coefficients[:, :2] - output.weights
    assert gains.abs().max() > 0.05
    assert (gains.abs() <= output.weights + 1e-6).all()  # what is not trusted is not strengthened
    assert output.weights.min() > 0.017  # bounded log-odds: either camera can come back


def test_fused_luminance_is_affine_in_the_sources() -> None:
    pair = random_pair().double()
    output = random_net(0.1).double()(pair)
    luminance, infrared = rgb_to_luminance(pair[:, :3]), pair[:, 3:]
    coefficients = functional.interpolate(output.coefficients[:, :3], pair.shape[-2:], mode="bilinear")
    planes = torch.cat((luminance, infrared, torch.ones_like(infrared)), 1)
    expected = (coefficients * planes).sum(1, keepdim=True).clamp(0, 1)
    torch.testing.assert_close(output.luminance, expected, atol=1e-12, rtol=0)


def test_coefficients_weigh_the_brightness_and_strengthen_the_detail() -> None:
    weights, gains, means, pixels = (random_pair(8, 8, seed=i)[:, :2].double() for i in range(4))
    gains = 2 * gains - 1
    coefficients = affine_coefficients(weights, gains, means)
    affine = (coefficients[:, :2] * pixels).sum(1) + coefficients[:, 2]
    torch.testing.assert_close(affine, (weights * pixels + gains * (pixels - means)).sum(1))


def test_a_share_of_the_visible_chroma_is_kept() -> None:
    pair = 0.35 + 0.3 * random_pair().double()
    output = random_net(0.05).double()(pair)
    fused = output.fused
    share = functional.interpolate(output.coefficients[:, 3:], pair.shape[-2:], mode="bilinear")
    assert share.std() > 1e-4
    inside = ((fused > 0) & (fused < 1)).all(1, keepdim=True)
    assert inside.float().mean() > 0.9
    for channel in (0, 2):  # Cr and Cb are multiples of R - Y and B - Y
        before = pair[:, channel : channel + 1] - rgb_to_luminance(pair[:, :3])
        after = fused[:, channel : channel + 1] - rgb_to_luminance(fused)
        torch.testing.assert_close(after[inside], (share * before)[inside], atol=1e-12, rtol=0)
    assert (rgb_to_luminance(fused) - rgb_to_luminance(pair[:, :3])).abs().mean() > 0.01


def test_untrained_net_keeps_nearly_all_colour() -> None:
    chroma = untrained_net()(random_pair()).coefficients[:, 3]
    assert 0.9 < chroma.min() <= chroma.max() < 1


@pytest.mark.parametrize("size", SIZES[:2])
def test_images_of_a_batch_do_not_mix(size) -> None:
    net, pair = random_net().double(), random_pair(*size).double()
    pair[1] = blank(pair[1:], "infrared")[0]  # a dead camera in one of them
    together = flat(net(pair))
    for i in range(2):
        for both, alone in zip(together, flat(net(pair[i : i + 1])), strict=True):
            torch.testing.assert_close(both[i], alone[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("camera", "level"), [("visible", 0.0), ("infrared", 0.0), ("infrared", 114 / 255)])
def test_blank_camera_has_no_say(camera, level, size) -> None:
    pair = blank(random_pair(*size), camera, level)
    net = random_net(3.0)
    nn.init.zeros_(net.decoder.maps.weight[1:])  # no detail: the gain of the camera that is left stays in use
    nn.init.zeros_(net.decoder.maps.bias[1:])
    output = net(pair)
    blanked = ("visible", "infrared").index(camera)
    assert torch.equal(output.weights[:, blanked], torch.zeros_like(output.weights[:, 0]))
    assert torch.equal(output.weights[:, 1 - blanked], torch.ones_like(output.weights[:, 0]))
    rest = pair[:, :3] if camera == "infrared" else pair[:, 3:].expand(-1, 3, -1, -1)
    assert torch.equal(output.fused, rest)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_two_blank_cameras_give_something_finite(level, dtype) -> None:
    output = random_net().to(dtype)(torch.full((1, 4, 64, 64), level, dtype=dtype))
    assert all(tensor.isfinite().all() for tensor in flat(output))
    assert output.weights.float().sum(1).sub(1).abs().max() < 0.01


@pytest.mark.parametrize(
    ("step", "expected"), [(0.0, 0.0), (1 / 2000, 0.0), (1 / 255, 1.0)], ids=["none", "rounding", "one grey level"]
)
def test_present_means_more_than_rounding_noise(step, expected) -> None:
    images = torch.full((2, 1, 32, 32), 0.4)
    images[0, :, 8:24, 8:24] += step
    assert present(images, torch.rand(2, 1, 32, 32)).tolist() == [[[[expected]], [[1.0]]], [[[0.0]], [[1.0]]]]
    assert present(torch.rand(2, 1, 32, 32), images).tolist() == [[[[1.0]], [[expected]]], [[[1.0]], [[0.0]]]]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 0.9])
def test_untrained_weights_give_infrared_its_share(share) -> None:
    net = untrained_net(initial_infrared_weight=share)
    weights = net(random_pair()).weights[:, 1]
    assert weights.std() > 0  # the maps differ a little from the start, so that the features can learn
    torch.testing.assert_close(weights, torch.full_like(weights, share), atol=0.1, rtol=0)
    nn.init.zeros_(net.decoder.maps.weight)
    weights = net(random_pair()).weights[:, 1]
    torch.testing.assert_close(weights, torch.full_like(weights, share), atol=1e-6, rtol=0)


def test_share_jitter_moves_the_odds_of_each_pair_in_training() -> None:
    pair = random_pair(batch=64)
    plain, jittered = untrained_net(), untrained_net(share_jitter=2.0)
    torch.testing.assert_close(jittered.eval()(pair).weights, plain(pair).weights)
    logits = [net(pair).weights.logit(eps=1e-6)[:, 1] for net in (jittered.train(), plain)]
    change = (logits[0] - logits[1]).flatten(1)
    assert (change - change[:, :1]).abs().max() < 1e-3  # the same everywhere in a pair
    assert change.abs().max() < 2.001
    assert change[:, 0].min() < -1 < 1 < change[:, 0].max()


@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_share_jitter_leaves_a_blank_camera_out(camera) -> None:
    weights = untrained_net(share_jitter=10.0).train()(blank(random_pair(), camera)).weights
    assert not weights[:, ("visible", "infrared").index(camera)].any()


def test_untrained_net_about_averages_the_cameras_by_their_share() -> None:
    pair = random_pair()
    output = untrained_net(initial_infrared_weight=0.7)(pair)
    expected = 0.3 * rgb_to_luminance(pair[:, :3]) + 0.7 * pair[:, 3:]
    torch.testing.assert_close(output.luminance, expected, atol=0.1, rtol=0)
    assert (output.luminance - expected).abs().mean() < 0.02


def test_untrained_attention_leaves_the_features_alone() -> None:
    net, seen = untrained_net(), []
    net.attention.register_forward_hook(lambda module, args, kwargs, out: seen.append((kwargs, out)), with_kwargs=True)
    net(random_pair())
    [(kwargs, out)] = seen
    assert torch.equal(out, kwargs["query"])


def test_attention_looks_at_the_coarsest_meta_features() -> None:
    net, seen = random_net(), []
    net.attention.register_forward_hook(lambda module, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    output = net(random_pair())
    assert torch.equal(seen[0]["context"], output.meta_features[STRIDE])


def test_without_attention_there_are_no_meta_features() -> None:
    net = untrained_net(attention=False)
    output = net(random_pair())
    assert output.meta_features == {}
    rest = {name for name in untrained_net().state_dict() if not name.startswith(("meta.", "attention."))}
    assert net.state_dict().keys() == rest


def test_untrained_attention_changes_nothing() -> None:
    net, plain = untrained_net(), untrained_net(attention=False)
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if name in plain.state_dict()})
    with torch.no_grad():
        embedded, without = net(random_pair()), plain(random_pair())
    for name in ("fused", "luminance", "weights", "coefficients"):
        assert torch.equal(getattr(embedded, name), getattr(without, name)), name


def test_gradient_reaches_every_parameter() -> None:
    net = random_net(0.1)
    pair = 0.25 + 0.5 * random_pair()  # little clips
    net(pair).fused.square().sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []


def test_untrained_net_can_start_to_learn() -> None:
    net = untrained_net()
    net(0.25 + 0.5 * random_pair()).fused.square().sum().backward()
    silent = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    behind_zeros = ("attention.", "meta.")  # which wait for the layer after them to leave its zeros
    expected = {name for name, _ in net.named_parameters() if name.startswith(behind_zeros)}
    assert silent == expected - {"attention.to_out.weight", "attention.to_out.bias"}


def test_featureless_pair_shows_no_frame() -> None:
    pair = torch.tensor([0.2, 0.4, 0.6, 0.7], dtype=torch.float64).view(1, 4, 1, 1).expand(1, 4, 64, 96)
    output = random_net(0.3).double()(pair)
    for map_ in (output.weights, output.coefficients, output.fused):
        torch.testing.assert_close(map_, map_[..., :1, :1].expand_as(map_))


def test_gradcheck() -> None:
    net = random_net(0.1, channels=4, meta_channels=4, heads=2).double()
    pair = (0.3 + 0.4 * random_pair(32, 32, batch=1)).double()
    mask = torch.zeros(4, 32, 32, dtype=torch.bool)
    mask[:, 13, 13] = mask[0, 5, 22] = True  # off the samples that tell whether a camera is present
    values = pair[0, mask].clone().requires_grad_()

    def fuse(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = net(pair.masked_scatter(mask, values))
        middle, coarse = output.meta_features.values()
        return output.fused[..., 11:16, 11:16], output.weights[..., 1:6:2, 1:6:2], middle, coarse

    assert torch.autograd.gradcheck(fuse, values)


def test_an_image_that_nobody_asks_for_is_not_composed() -> None:
    calls, net = [], untrained_net()
    net.upsample.register_forward_hook(lambda *_: calls.append(1))
    output = net(random_pair())
    assert output.weights.shape[1] == 2 and not calls
    assert output.fused is output.fused and len(calls) == 4


def test_is_light() -> None:
    assert sum(p.numel() for p in FusionNet().parameters()) < 400_000


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
def test_half_precision(dtype, tolerance) -> None:
    net, pair = random_net(), random_pair()
    expected = net(pair)
    output = net.to(dtype)(pair.to(dtype))
    for name in ("fused", "weights"):
        half, full = getattr(output, name), getattr(expected, name)
        assert half.dtype == dtype
        torch.testing.assert_close(half.float(), full, atol=tolerance, rtol=0)


def test_exports_consist_of_what_every_format_knows() -> None:
    """Guard the converters that are not installed here: each refuses something, and says so only when it is run."""
    net = Outputs(untrained_net()).eval()
    net.net.upsample.export = net.net.decoder.balanced = True
    program = torch.export.export(net, (random_pair(batch=1),))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    operators = {str(node.target).split(".")[1] for node in calls if str(node.target).startswith("aten")}
    arithmetic = {
        "add",
        "add_",
        "sub",
        "rsub",
        "mul",
        "div",
        "neg",
        "sum",
        "amax",
        "amin",
        "matmul",
        "clamp",
        "hardtanh_",
    }
    layers = {"conv2d", "linear", "layer_norm", "max_pool2d", "avg_pool2d", "upsample_bilinear2d"}
    activations = {"relu_", "sigmoid", "tanh", "softmax"}
    shapes = {"slice", "split", "cat", "pad", "flatten", "reshape", "transpose", "pixel_shuffle"}
    assert operators == arithmetic | layers | activations | shapes
    assert not any("alpha" in node.kwargs for node in calls)  # LiteRT
    bounds = [node.args[1:] for node in calls if "hardtanh" in str(node.target)]
    assert [tuple(map(type, pair)) for pair in bounds] == [(float, float)] * 2  # ExecuTorch


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict:
    """Return the same front-end as a PyTorch module, a trace and an ONNX session, both made from one square pair."""
    net = Outputs(random_net(1.0)).eval()
    net.net.decoder.balanced = True
    example = random_pair(64, 64, batch=1)
    file = tmp_path_factory.mktemp("onnx") / "fusion.onnx"
    axes = {"pair": {0: "batch", 2: "height", 3: "width"}}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both are the old way, which the host still goes
        torch.onnx.export(net, (example,), file, input_names=["pair"], dynamic_axes=axes, dynamo=False)
        trace = torch.jit.trace(net, example, check_trace=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return {
        "torch": net,
        "trace": trace,
        "onnx": lambda pair: map(torch.from_numpy, session.run(None, {"pair": np.asarray(pair)})),
    }


@pytest.mark.parametrize("form", ["trace", "onnx"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("camera", [None, "visible", "infrared"])
def test_exports_agree_at_any_size_with_any_camera(exported, form, size, camera) -> None:
    pair = random_pair(*size)
    pair = blank(pair, camera) if camera else pair
    with torch.no_grad():
        expected, outputs = exported["torch"](pair), exported[form](pair)
    for tensor, reference in zip(outputs, expected, strict=True):
        torch.testing.assert_close(tensor, reference, atol=1e-4, rtol=0)
