"""What all fusion metrics have in common, and four of them against scikit-image, SciPy and loops in float64."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.measure import shannon_entropy
from skimage.metrics import structural_similarity

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import (
    LESS_IS_BETTER,
    METRICS,
    entropy,
    fusion_artifacts,
    gradient_preservation,
    ssim,
    sum_of_correlations_of_differences,
)

Metric = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Images = tuple[torch.Tensor, ...]
RANGES = {
    "EN": (0, 8),
    "SD": (0, 127.5),
    "SF": (0, 255 * math.sqrt(2)),
    "AG": (0, 255),
    "MI": (0, 16),
    "NMI": (0, 2),
    "CC": (-1, 1),
    "SCD": (-2, 2),
    "MSE": (0, 1),
    "PSNR": (0, 100),
    "SSIM": (-1, 1),
    "MS-SSIM": (0, 1),
    "VIF": (0, math.inf),
    "Qabf": (0, 0.975),
    "Nabf": (0, 1),
    "FMI": (0, 1),
}
SAME = {"SCD": 0, "MSE": 0, "PSNR": 100, "NMI": 2, "CC": 1, "SSIM": 1, "MS-SSIM": 1, "VIF": 2, "Nabf": 0, "FMI": 1}
BLANK = {"PSNR": 100, "SSIM": 1, "MS-SSIM": 1}  # 0 for the others
ALL_PRESERVED = 0.9994 / (1 + math.exp(-15 * 0.5)) * 0.9879 / (1 + math.exp(-22 * 0.2))

ALONE = [METRICS[name] for name in ("EN", "SD", "SF", "AG")]  # look at the fused image alone

each_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def random_images(count: int = 3, *, seed: int = 0, size: tuple[int, int] = (44, 47), batch: int = 2) -> Images:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(batch, 1, *size, dtype=torch.float64, generator=generator) for _ in range(count))


def fused_images(seed: int = 0, batch: int = 1) -> Images:
    """Return sources that are not equally busy everywhere, and a fused image that shows some of both."""
    fused, visible, infrared = random_images(seed=seed, batch=batch)
    visible[..., :8] = 0.5 + 0.05 * visible[..., :8]
    return 0.5 * visible + 0.3 * infrared + 0.2 * fused, visible, infrared


def as_8_bit(images: Images) -> Images:
    return tuple((image * 255).round() / 255 for image in images)


def reference_entropy(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    return shannon_entropy(np.rint(fused * 255).astype(np.uint8), base=2)


def reference_ssim(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    """Mean over the sources; scikit-image leaves half a window of border out of its mean."""
    settings = {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5, "data_range": 1}
    return np.mean([structural_similarity(fused, source, **settings) for source in (visible, infrared)])


def reference_scd(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    pairs = ((fused - visible, infrared), (fused - infrared, visible))
    return sum(stats.pearsonr(x.ravel(), y.ravel()).statistic for x, y in pairs)


def reference_edge(image: np.ndarray, row: int, column: int) -> tuple[float, float]:
    """Strength and angle at one pixel as in scripts on 8-bit images: whole numbers, not divided by 8."""
    s_x, s_y = 0.0, 0.0
    for offset, weight in ((-1, 1), (0, 2), (1, 1)):
        s_x += weight * (image[row + offset, column + 1] - image[row + offset, column - 1])
        s_y += weight * (image[row - 1, column + offset] - image[row + 1, column + offset])
    return math.sqrt(s_x**2 + s_y**2), math.pi / 2 if s_x == 0 else math.atan(s_y / s_x)


def reference_qabf(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    """Qabf on [0, 255] by a loop over the pixels inside the border."""
    fused, visible, infrared = (np.round(255 * x, 9) for x in (fused, visible, infrared))
    numerator = denominator = 0.0
    for row in range(1, fused.shape[0] - 1):
        for column in range(1, fused.shape[1] - 1):
            g_f, a_f = reference_edge(fused, row, column)
            for source in (visible, infrared):
                g, a = reference_edge(source, row, column)
                strength = g_f / g if g > g_f else g / g_f if g_f > 0 else 0.0
                orientation = 1 - abs(a - a_f) / (math.pi / 2)
                q_g = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
                q_a = 0.9879 / (1 + math.exp(-22 * (orientation - 0.8)))
                numerator += q_g * q_a * g
                denominator += g
    return numerator / denominator


def reference_nabf(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> float:
    """Nabf on [0, 255] by a loop over the pixels inside the border."""
    fused, visible, infrared = (np.round(255 * x, 9) for x in (fused, visible, infrared))
    numerator = denominator = 0.0
    for row in range(1, fused.shape[0] - 1):
        for column in range(1, fused.shape[1] - 1):
            g_f, a_f = reference_edge(fused, row, column)
            edges = [reference_edge(source, row, column) for source in (visible, infrared)]
            new = g_f > edges[0][0] and g_f > edges[1][0]
            for g, a in edges:
                strength = g_f / g if g > g_f else g / g_f if g_f > 0 else 0.0
                orientation = 1 - abs(a - a_f) / (math.pi / 2)
                q_g = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
                q_a = 0.9879 / (1 + math.exp(-22 * (orientation - 0.8)))
                numerator += new * (1 - q_g * q_a) * g
                denominator += g
    return numerator / denominator


@each_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype(metric: Metric, dtype: torch.dtype) -> None:
    for batch in (0, 1, 3):
        value = metric(*(image.to(dtype) for image in random_images(batch=batch)))
        assert value.shape == (batch,)
        assert value.dtype == torch.promote_types(dtype, torch.float32)
        assert value.isfinite().all()


@each_metric
def test_exceptions(metric: Metric) -> None:
    fused, visible, infrared = random_images()
    with pytest.raises(ValueError, match=r"infrared \(1, 1, 44, 47\) must have the shape of fused \(2, 1, 44, 47\)"):
        metric(fused, visible, infrared[:1])
    with pytest.raises(ValueError, match=r"visible must be one channel \(B, 1, H, W\), got \(2, 3, 44, 47\)"):
        metric(fused, visible.repeat(1, 3, 1, 1), infrared)
    with pytest.raises(ValueError, match=r"fused must be one channel \(B, 1, H, W\), got \(1, 44, 47\)"):
        metric(fused[0], visible[0], infrared[0])
    with pytest.raises(TypeError, match=r"infrared must be a floating-point tensor in \[0, 1\], got torch.uint8"):
        metric(fused, visible, (infrared * 255).byte())
    with pytest.raises(TypeError, match=r"visible must be a floating-point tensor in \[0, 1\], got float64"):
        metric(fused, visible.numpy(), infrared)
    with pytest.raises(ValueError, match=r"fused must lie in \[0, 1\], got 0 to 255; divide 8-bit images by 255"):
        metric((fused > 0.5) * 255.0, visible, infrared)
    with pytest.raises(ValueError, match=r"infrared must lie in \[0, 1\], got -0.5 to 0"):
        metric(fused, visible, (infrared > 0.5) / 2 - 0.5)
    with pytest.raises(ValueError, match=r"visible must lie in \[0, 1\], got nan to nan"):
        metric(fused, visible.where(visible < 0.9, torch.nan), infrared)


@pytest.mark.parametrize(
    ("metric", "least"),
    [(METRICS[name], least) for name, least in (("EN", 1), ("AG", 2), ("SSIM", 11), ("MS-SSIM", 11), ("VIF", 41))]
    + [(METRICS[name], 3) for name in ("Qabf", "Nabf", "FMI")],
)
def test_exceptions_of_small_images(metric: Metric, least: int) -> None:
    images = random_images(size=(48, least))
    assert metric(*images).isfinite().all()
    with pytest.raises(ValueError, match=f"images must be at least {least} x {least} pixels, got 48 x {least - 1}"):
        metric(*(image[..., 1:] for image in images))


def test_rounding_beyond_the_range_is_let_pass() -> None:
    fused, visible, infrared = random_images()
    fused[0, 0, 0, :2] = torch.tensor([-1e-6, 1 + 1e-6])
    for metric in METRICS.values():
        torch.testing.assert_close(metric(fused, visible, infrared), metric(fused.clamp(0, 1), visible, infrared))


@pytest.mark.parametrize("prepare", [tuple, as_8_bit], ids=["continuous", "8-bit"])
@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (entropy, reference_entropy),
        (ssim, reference_ssim),
        (sum_of_correlations_of_differences, reference_scd),
        (gradient_preservation, reference_qabf),
        (fusion_artifacts, reference_nabf),
    ],
)
def test_metrics_match_their_references(
    metric: Metric, reference: Callable[..., float], prepare: Callable[[Images], Images]
) -> None:
    for seed in range(3):
        images = prepare(fused_images(seed))
        expected = reference(*(image[0, 0].numpy() for image in images))
        assert expected > 1e-9
        assert metric(*images).item() == pytest.approx(expected, abs=1e-10)
        assert metric(*(image.float() for image in images)).item() == pytest.approx(expected, abs=2e-5)


@each_precision
def test_rounding_errors_turn_no_edge(dtype: torch.dtype) -> None:
    """In images of few grey levels many slopes across are 0, to which single precision would give a sign."""
    images = as_8_bit(tuple(0.4 + 0.02 * image for image in random_images(batch=1)))
    expected = reference_qabf(*(image[0, 0].numpy() for image in images))
    greys = [image.to(dtype).expand(-1, 3, -1, -1) for image in images]
    for variant in ([image.to(dtype) for image in images], [rgb_to_luminance(grey) for grey in greys]):
        assert gradient_preservation(*variant).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_values_are_in_range(name: str) -> None:
    low, high = RANGES[name]
    (image,) = random_images(1, size=(41, 41), batch=1)
    planes = [plane.float() for plane in (image, 1 - image, image.round(), image * 0, image * 0 + 0.3, image * 0 + 1)]
    for images in itertools.product(planes, repeat=3):
        assert low - 1e-6 <= METRICS[name](*images).item() <= high + 1e-6


def test_rounding_errors_make_no_edge() -> None:
    """The luminance of a grey image in colours differs from the image by roundings."""
    visible, infrared = as_8_bit(random_images(2, batch=1))
    grey = rgb_to_luminance(infrared.float().expand(-1, 3, -1, -1))
    assert not torch.equal(grey, infrared.float())
    assert fusion_artifacts(grey, visible.float(), infrared.float()).item() == 0


@each_precision
def test_identical_images(dtype: torch.dtype) -> None:
    image = random_images(1)[0].to(dtype)
    for name, value in SAME.items():
        assert METRICS[name](image, image, image).tolist() == pytest.approx([value] * 2, abs=1e-5), name
    assert gradient_preservation(image, image, image).tolist() == pytest.approx([ALL_PRESERVED] * 2, abs=1e-6)


@each_precision
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_blank_images(dtype: torch.dtype, level: float, noise: float) -> None:
    fused, other = (image.to(dtype) for image in random_images(2))
    blank = (torch.full_like(other, level) + noise * (other > 0.5)).clamp(0, 1)
    for name, metric in METRICS.items():
        assert metric(blank, blank, blank).tolist() == pytest.approx([BLANK.get(name, 0)] * 2, abs=1e-4), name
    alone = [np.corrcoef((x - blank[0, 0, 0, 0]).ravel(), y.ravel())[0, 1] for x, y in zip(fused, other, strict=True)]
    assert sum_of_correlations_of_differences(fused, other, blank).tolist() == pytest.approx(alone, abs=1e-5)
    torch.testing.assert_close(
        gradient_preservation(fused, other, blank), gradient_preservation(fused, other, other), atol=1e-5, rtol=0
    )
    assert gradient_preservation(blank, fused, other).max() < 1e-3  # every edge is lost


def test_known_values_of_entropy() -> None:
    levels = torch.arange(256, dtype=torch.float64).view(1, 1, 16, 16) / 255
    zeros = torch.zeros_like(levels)
    for fused, bits in ((levels, 8), ((levels * 255 % 4) / 255, 2), (levels.round(), 1), (zeros, 0), (zeros + 1, 0)):
        assert entropy(fused, zeros, zeros).item() == pytest.approx(bits, abs=1e-12)
        assert entropy(fused.float(), zeros.float(), zeros.float()).item() == pytest.approx(bits, abs=1e-6)
    assert entropy(zeros + 0.4 / 255 * (levels > 0.5), zeros, zeros).item() == 0  # less than half a level


def test_known_values_of_ssim() -> None:
    zeros, c1 = torch.zeros(1, 1, 16, 16, dtype=torch.float64), 0.01**2
    assert ssim(zeros, zeros, zeros + 1).item() == pytest.approx((1 + c1 / (1 + c1)) / 2, abs=1e-12)
    image = random_images(1)[0]
    assert ssim(1 - image, image, image).max() < 0  # opposite structure


def test_known_values_of_scd() -> None:
    """Orthogonal patterns, so that the correlations can be had by hand."""
    stripes = torch.tensor([0.0, 0.5, 0.0, 0.5], dtype=torch.float64).expand(1, 1, 4, 4)
    bars = stripes.mT
    for fused, expected in (
        (stripes + bars, 2),
        ((stripes + bars) / 2, math.sqrt(2)),
        (stripes, math.sqrt(0.5)),  # the other source adds nothing
        (torch.maximum(stripes, bars), 2 / math.sqrt(3)),
        (0.5 - stripes, -math.sqrt(0.5)),  # upside down counts against it
        (0.5 - bars, -math.sqrt(0.5)),
        (stripes * 0, 0),  # what is missing of one source is not in the other
    ):
        assert sum_of_correlations_of_differences(fused, stripes, bars).item() == pytest.approx(expected, abs=1e-12)


def test_known_values_of_gradient_preservation() -> None:
    def share(strength: float, alignment: float) -> float:
        q_g = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
        return q_g * 0.9879 / (1 + math.exp(-22 * (alignment - 0.8)))

    right = torch.linspace(0, 0.25, 9, dtype=torch.float64).expand(1, 1, 9, 9)
    up = right.mT.flip(2)
    for fused, visible, infrared, expected in (
        (right, right, right, share(1, 1)),
        (0.25 - right, right, right, share(1, 1)),  # contrast upside down
        (right / 2, right, right, share(0.5, 1)),
        (2 * right, right, right, share(0.5, 1)),  # too much is as bad as too little
        (up, right, right, share(1, 0)),
        (up + right, right, right, share(math.sqrt(0.5), 0.5)),
        (0.25 + up - right / 2, up + right / 2, up + right / 2, share(1, 1 - 2 * math.atan(2) / (math.pi / 2))),
        (right, right, 3 * up, (share(1, 1) + 3 * share(1 / 3, 0)) / 4),  # weighted by the strength
    ):
        assert gradient_preservation(fused, visible, infrared).item() == pytest.approx(expected, abs=1e-12)


@each_metric
def test_neither_source_is_favoured(metric: Metric) -> None:
    fused, visible, infrared = fused_images(batch=2)
    value = metric(fused, visible, infrared)
    torch.testing.assert_close(value, metric(fused, infrared, visible))
    assert (value != metric(fused, visible, 1 - infrared**2)).all() == (metric not in ALONE)


@each_metric
def test_batch_is_its_images(metric: Metric) -> None:
    images = random_images(batch=4)
    images[1][1] = 0.3  # blank images beside others
    images[0][2] = 0.3
    images[2][2:] = 0.3
    singles = [metric(*(image[k : k + 1] for image in images)).item() for k in range(4)]
    assert metric(*images).tolist() == pytest.approx(singles, abs=1e-12)


@each_metric
def test_inputs_stay_as_they_are(metric: Metric) -> None:
    images = random_images()
    copies = [image.clone() for image in images]
    metric(*images)
    assert all(map(torch.equal, images, copies))


@each_metric
def test_autocast_computes_in_single_precision(metric: Metric) -> None:
    images = [image.float() for image in random_images()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = metric(*images)
    assert torch.equal(value, metric(*images))


def test_keys_of_the_table() -> None:
    assert METRICS["EN"] is entropy
    assert METRICS.keys() == RANGES.keys()
    assert METRICS.keys() >= LESS_IS_BETTER
