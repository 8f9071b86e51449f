"""Fusion losses against scikit-image, SciPy and naive loops in float64."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from scipy import ndimage

from metafusion_yolo.functional.losses import (
    DISTANCES,
    gradient_loss,
    intensity_loss,
    meta_loss,
    saliency_weighted_source,
    sobel_magnitude,
    ssim_loss,
)
from tests.functional.test_ssim import MARGIN, random_images, reference_ssim

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Features = dict[int, torch.Tensor]
LOSSES: tuple[Loss, ...] = (ssim_loss, gradient_loss, intensity_loss)
NOTICEABLE = 1e-3  # contrasts up to a quarter of an 8-bit step count as none

each_loss = pytest.mark.parametrize("loss", LOSSES)
each_distance = pytest.mark.parametrize("distance", DISTANCES)


def reference_variance(x: np.ndarray) -> np.ndarray:
    """Gaussian-windowed variance of an image (H, W) by a naive loop over the windows inside it."""
    offsets = np.arange(-MARGIN, MARGIN + 1)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    height, width = x.shape
    variance = np.empty((height - 2 * MARGIN, width - 2 * MARGIN))
    for row, column in np.ndindex(*variance.shape):
        patch = x[row : row + 2 * MARGIN + 1, column : column + 2 * MARGIN + 1]
        variance[row, column] = (window * (patch - (window * patch).sum()) ** 2).sum()
    return variance


def reference_sobel(x: np.ndarray) -> np.ndarray:
    return ((np.abs(ndimage.sobel(x, axis=0)) + np.abs(ndimage.sobel(x, axis=1))) / 8)[1:-1, 1:-1]


def without_noise(saliency: float, noise: float) -> float:
    return saliency if saliency > noise else 0.0


def reference_target(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    target = np.empty_like(visible)
    for place in np.ndindex(*visible.shape):
        s_v, s_i = (without_noise(abs(x[place] - x.mean()), NOTICEABLE) for x in (visible, infrared))
        target[place] = (s_v * visible[place] + s_i * infrared[place]) / (s_v + s_i)
    return target


def reference_ssim_loss(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    var_v, var_i = reference_variance(visible), reference_variance(infrared)
    share = var_v / (var_v + var_i)
    ssim = share * reference_ssim(visible, fused) + (1 - share) * reference_ssim(infrared, fused)
    return 1 - ssim[::3, ::3].mean()


def reference_gradient_loss(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    sharper = np.maximum(reference_sobel(visible), reference_sobel(infrared))
    return np.abs(reference_sobel(fused) - sharper).mean()


def reference_intensity_loss(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    return np.abs(fused - reference_target(visible, infrared)).mean()


@each_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype(loss: Loss, dtype: torch.dtype) -> None:
    value = loss(*(image.to(dtype) for image in random_images()))
    assert value.shape == ()
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert value > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype_of_maps(dtype: torch.dtype) -> None:
    x, y = (image.to(dtype) for image in random_images(2))
    target = saliency_weighted_source(x, y)
    assert target.shape == (2, 1, 16, 19)
    assert target.dtype == torch.promote_types(dtype, torch.float32)
    assert sobel_magnitude(x).shape == (2, 1, 14, 17)


@each_loss
def test_exceptions(loss: Loss) -> None:
    fused, visible, infrared = random_images()
    with pytest.raises(ValueError, match=r"infrared \(1, 1, 16, 19\) must have the shape of fused \(2, 1, 16, 19\)"):
        loss(fused, visible, infrared[:1])
    with pytest.raises(ValueError, match=r"visible must be one channel \(B, 1, H, W\), got \(2, 3, 16, 19\)"):
        loss(fused, visible.repeat(1, 3, 1, 1), infrared)
    with pytest.raises(ValueError, match=r"fused must be one channel \(B, 1, H, W\), got \(1, 16, 19\)"):
        loss(fused[0], visible[0], infrared[0])
    with pytest.raises(TypeError, match=r"infrared must be a floating-point tensor in \[0, 1\], got torch.uint8"):
        loss(fused, visible, (infrared * 255).byte())
    with pytest.raises(TypeError, match=r"visible must be a floating-point tensor in \[0, 1\], got float64"):
        loss(fused, visible.numpy(), infrared)


def test_exceptions_of_maps() -> None:
    x, y = random_images(2, size=(16, 10))
    with pytest.raises(ValueError, match="images must be at least 11 x 11 pixels, got 16 x 10"):
        ssim_loss(x, y, y)
    with pytest.raises(ValueError, match="images must be at least 3 x 3 pixels, got 16 x 2"):
        gradient_loss(x[..., :2], y[..., :2], y[..., :2])
    with pytest.raises(ValueError, match=r"infrared .* must have the shape of visible"):
        saliency_weighted_source(x, y[:1])


def test_sobel_magnitude_matches_scipy() -> None:
    (image,) = random_images(1, batch=1)
    np.testing.assert_allclose(sobel_magnitude(image)[0, 0].numpy(), reference_sobel(image[0, 0].numpy()), atol=1e-14)


def test_saliency_weighted_source_matches_the_loop() -> None:
    visible, infrared = random_images(2, batch=1)
    expected = reference_target(visible[0, 0].numpy(), infrared[0, 0].numpy())
    np.testing.assert_allclose(saliency_weighted_source(visible, infrared)[0, 0].numpy(), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (ssim_loss, reference_ssim_loss),
        (gradient_loss, reference_gradient_loss),
        (intensity_loss, reference_intensity_loss),
    ],
)
def test_losses_match_their_references(loss: Loss, reference: Callable[..., float]) -> None:
    for seed in range(3):
        fused, visible, infrared = random_images(seed=seed, batch=1)
        visible[..., :8] = 0.5 + 0.05 * visible[..., :8]  # the sources are not equally busy everywhere
        fused = 0.5 * visible + 0.3 * infrared + 0.2 * fused
        expected = reference(*(image[0, 0].numpy() for image in (fused, visible, infrared)))
        assert expected > 0.01
        assert loss(fused, visible, infrared).item() == pytest.approx(expected, abs=1e-12)
        assert loss(fused.float(), visible.float(), infrared.float()).item() == pytest.approx(expected, abs=2e-5)


@each_loss
def test_identical_images_lose_nothing(loss: Loss) -> None:
    (image,) = random_images(1)
    for dtype in (torch.float32, torch.float64):
        assert loss(*(image.to(dtype),) * 3).item() == pytest.approx(0, abs=1e-7)


def test_known_values() -> None:
    zeros, ones = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    ramp = torch.linspace(0, 1, 16).expand_as(zeros)
    c1 = 0.01**2
    assert ssim_loss(zeros, ones, ones).item() == pytest.approx(1 - c1 / (1 + c1), rel=1e-5)
    assert gradient_loss(zeros, ramp, zeros).item() == pytest.approx(1 / 15, rel=1e-5)
    assert gradient_loss(zeros, ramp, ramp.mT).item() == pytest.approx(1 / 15, rel=1e-5)  # the larger one, not the sum
    assert gradient_loss(1 - ramp, ramp, ramp).item() == pytest.approx(0, abs=1e-6)  # magnitudes have no sign
    assert intensity_loss(zeros, ones, ones).item() == 1


def test_the_source_that_stands_out_sets_the_target() -> None:
    visible, infrared = (torch.tensor(v).view(1, 1, 2, 2) for v in ([0.4, 0.6, 0.5, 0.5], [0.2, 0.2, 0.2, 0.6]))
    expected = [(0.1 * 0.4 + 0.1 * 0.2) / 0.2, (0.1 * 0.6 + 0.1 * 0.2) / 0.2, 0.2, 0.6]
    assert saliency_weighted_source(visible, infrared).flatten().tolist() == pytest.approx(expected, abs=1e-6)


@each_loss
def test_each_source_counts_and_neither_is_favoured(loss: Loss) -> None:
    fused, visible, infrared = random_images()
    value = loss(fused, visible, infrared).item()
    assert value == pytest.approx(loss(fused, infrared, visible).item(), abs=1e-12)
    assert value != pytest.approx(loss(fused, visible, 1 - infrared**2).item(), abs=1e-4)


@each_loss
def test_gradcheck(loss: Loss) -> None:
    # Kinks, where a magnitude is 0 or two are equal, lie further from these points than the step of gradcheck.
    fused, visible, infrared = random_images(size=(12, 13), batch=1, seed=1)
    assert torch.autograd.gradcheck(lambda image: loss(image, visible, infrared), (fused.requires_grad_(),))


@each_loss
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_gradients_are_finite_at_the_kinks(loss: Loss, level: float) -> None:
    flat = torch.full((1, 1, 16, 16), level)
    (textured,) = (image.float() for image in random_images(1, size=(16, 16), batch=1))
    for start, source in ((flat, flat), (flat, textured), (textured, textured)):
        fused = start.clone().requires_grad_()
        loss(fused, source, torch.zeros_like(flat)).backward()
        assert fused.grad is not None
        assert fused.grad.isfinite().all()


@each_loss
def test_batch_is_the_mean_of_its_images(loss: Loss) -> None:
    images = random_images(batch=3)
    images[1][1] = 0  # a blank source beside others that are not
    singles = [loss(*(image[k : k + 1] for image in images)).item() for k in range(3)]
    assert loss(*images).item() == pytest.approx(np.mean(singles), abs=1e-12)


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 0.7])
def test_blank_source_has_no_say(loss: Loss, dtype: torch.dtype, level: float) -> None:
    fused, other = (image.to(dtype) for image in random_images(2, size=(32, 32)))
    other = other / 2
    other[..., :16] = other[..., 16:].mean((2, 3), keepdim=True)  # there neither source varies or stands out
    blank = torch.full_like(other, level)
    alone = loss(fused, other, other)
    assert alone > 0.01
    assert torch.equal(loss(fused, blank, other), loss(fused, other, blank))
    assert loss(fused, blank, other).item() == pytest.approx(alone.item(), abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_blank_source_has_zero_weight(level: float) -> None:
    (other,) = (image.float() for image in random_images(1))
    other[0, 0, 0, :9] = other[0].mean()
    blank = torch.full_like(other, level)
    assert torch.equal(saliency_weighted_source(blank, other), other)
    assert torch.equal(saliency_weighted_source(other, blank), other)


def test_two_blank_sources_weigh_the_same() -> None:
    zeros, ones = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    assert torch.equal(saliency_weighted_source(zeros, ones), torch.full_like(zeros, 0.5))
    assert ssim_loss(ones, ones, zeros).item() == pytest.approx(0.5 * (1 - 1e-4 / (1 + 1e-4)), rel=1e-4)


def test_target_is_not_differentiated_through() -> None:
    fused, visible, infrared = (image.requires_grad_() for image in random_images())
    assert not saliency_weighted_source(visible, infrared).requires_grad
    intensity_loss(fused, visible, infrared).backward()
    assert visible.grad is None
    assert fused.grad is not None


@each_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_single_precision(loss: Loss, dtype: torch.dtype) -> None:
    images = [image.float() for image in random_images()]
    expected = loss(*images)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(*images), expected)
        fused = images[0].to(dtype).requires_grad_()  # as a network under autocast returns it
        value = loss(fused, *images[1:])
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), abs=5e-3)
    value.backward()
    assert fused.grad is not None
    assert fused.grad.dtype == dtype
    assert fused.grad.isfinite().all()


# Meta-features -------------------------------------------------------------------------------------------------------
CHANNELS = {16: 5, 32: 7}  # by stride


def random_features(seed: int, dtype: torch.dtype = torch.float64, levels: Sequence[int] = (16, 32)) -> Features:
    """Return features of two images of 64 x 96 pixels by stride."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {stride: (2, CHANNELS[stride], 64 // stride, 96 // stride) for stride in levels}
    return {s: torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype) for s, shape in shapes.items()}


def reference_distance(distance: str, predicted: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of two feature maps (C, h, w), place by place."""
    distances = []
    for row, column in np.ndindex(*predicted.shape[1:]):
        p, t = predicted[:, row, column], target[:, row, column]
        normal = (t - t.mean()) / np.sqrt(((t - t.mean()) ** 2).mean() + 1e-5)
        distances.append(
            {
                "cosine": 1 - (p * t).sum() / np.sqrt((p**2).sum() * (t**2).sum()),
                "l1": np.abs(p - normal).mean(),
                "l2": ((p - normal) ** 2).mean(),
            }[distance]
        )
    return np.mean(distances)


@each_distance
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype_of_meta_loss(distance: str, dtype: torch.dtype) -> None:
    value = meta_loss(random_features(0, dtype), random_features(1, dtype), distance)
    assert value.shape == ()
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert value > 0


def test_exceptions_of_meta_loss() -> None:
    predicted, target = random_features(0), random_features(1)
    with pytest.raises(ValueError, match=r"features at stride 32 must be \(2, 7, 2, 3\), got \(2, 7, 1, 3\)"):
        meta_loss({**predicted, 32: predicted[32][..., :1, :]}, target)
    with pytest.raises(ValueError, match="expected at least one level and one of cosine, l1, l2, got 'cosin'"):
        meta_loss(predicted, target, "cosin")
    with pytest.raises(ValueError, match="expected at least one level"):
        meta_loss({}, target)


@each_distance
def test_meta_loss_matches_the_loop(distance: str) -> None:
    for seed in range(3):
        predicted, target = random_features(seed, levels=[16]), random_features(seed + 10, levels=[16])
        target[16] = 3 * target[16] + 1  # backbone features are neither centred nor of unit size
        maps = zip(predicted[16].numpy(), target[16].numpy(), strict=True)
        expected = np.mean([reference_distance(distance, p, t) for p, t in maps])
        assert meta_loss(predicted, target, distance).item() == pytest.approx(expected, abs=1e-12)
        singles = ({16: features[16].float()} for features in (predicted, target))
        assert meta_loss(*singles, distance).item() == pytest.approx(expected, abs=1e-5)


@each_distance
def test_levels_count_the_same_and_those_not_predicted_do_not(distance: str) -> None:
    predicted, target = random_features(0), random_features(1)
    singles = [meta_loss({stride: predicted[stride]}, target, distance).item() for stride in (16, 32)]
    assert meta_loss(predicted, target, distance).item() == pytest.approx(np.mean(singles), abs=1e-12)
    assert singles[0] != pytest.approx(singles[1], abs=1e-3)


def test_known_values_of_meta_loss() -> None:
    target = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)  # -1 and 1 when normalised
    same, across = {16: 5 * target}, {16: torch.tensor([-3.0, 1.0]).view(1, 2, 1, 1)}
    assert meta_loss(same, {16: target}).item() == pytest.approx(0, abs=1e-6)  # lengths do not matter
    assert meta_loss(across, {16: target}).item() == pytest.approx(1, abs=1e-6)
    assert meta_loss({16: -target}, {16: target}).item() == pytest.approx(2, abs=1e-6)
    zeros = {16: torch.zeros_like(target)}
    assert meta_loss(zeros, {16: target}, "l1").item() == pytest.approx(1, abs=1e-4)
    assert meta_loss({16: 2 + zeros[16]}, {16: target}, "l1").item() == pytest.approx((3 + 1) / 2, abs=1e-4)
    assert meta_loss({16: 2 + zeros[16]}, {16: target}, "l2").item() == pytest.approx((9 + 1) / 2, abs=1e-4)


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_scale_of_the_backbone_does_not_matter(distance: str) -> None:
    predicted, target = random_features(0), random_features(1)
    scaled = {stride: 100 * features - 20 for stride, features in target.items()}
    value = meta_loss(predicted, scaled, distance).item()
    assert value == pytest.approx(meta_loss(predicted, target, distance).item(), rel=1e-3)


@each_distance
def test_layout_in_memory_does_not_matter(distance: str) -> None:
    predicted, target = random_features(0), random_features(1)
    other = {stride: t.contiguous(memory_format=torch.channels_last) for stride, t in target.items()}
    torch.testing.assert_close(meta_loss(predicted, other, distance), meta_loss(predicted, target, distance))


@each_distance
def test_gradcheck_of_meta_loss(distance: str) -> None:
    target = random_features(1, levels=[16])
    predicted = random_features(0, levels=[16])[16].requires_grad_()
    assert torch.autograd.gradcheck(lambda p: meta_loss({16: p}, target, distance), (predicted,))
    if distance != "l1":  # piecewise linear
        assert torch.autograd.gradgradcheck(lambda p: meta_loss({16: p}, target, distance), (predicted,))


@each_distance
def test_no_gradient_reaches_the_detector(distance: str) -> None:
    predicted = {stride: features.requires_grad_() for stride, features in random_features(0).items()}
    target = {stride: features.requires_grad_() for stride, features in random_features(1).items()}
    meta_loss(predicted, target, distance).backward()
    assert all(features.grad is None for features in target.values())
    assert all(features.grad is not None and features.grad.any() for features in predicted.values())


@each_distance
def test_autocast_computes_the_meta_loss_in_single_precision(distance: str) -> None:
    predicted, target = random_features(0, torch.float32), random_features(1, torch.float32)
    expected = meta_loss(predicted, target, distance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(meta_loss(predicted, target, distance), expected)
