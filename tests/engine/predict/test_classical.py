"""Classical fusion: known values, a pyramid that loses nothing, and real pairs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metafusion_yolo.engine.predict.classical import RULES, fuse_laplacian, fuse_pair, laplacian_pyramid


def grey(pair: np.ndarray) -> np.ndarray:
    return pair[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114]


@pytest.fixture
def pair() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(0).integers(60, 180, (37, 53, 4), dtype=np.uint8), (0, 0), 1)


@pytest.mark.parametrize("rule", RULES)
def test_two_equal_images_fuse_to_the_same(rule) -> None:
    plane = np.random.default_rng(1).integers(0, 256, (33, 50, 1), dtype=np.uint8)
    assert np.abs(fuse_pair(plane.repeat(4, 2), rule).astype(int) - plane).max() <= 1


@pytest.mark.parametrize(("rule", "combine"), [("average", lambda a, b: (a + b) / 2), ("maximum", np.maximum)])
def test_luminance_follows_the_rule_and_chroma_the_visible_image(pair, rule, combine) -> None:
    fused = fuse_pair(pair, rule)
    assert fused.shape == (37, 53, 3) and fused.dtype == np.uint8
    inside = (fused > 0).all(-1) & (fused < 255).all(-1)
    assert inside.mean() > 0.9
    assert np.abs(grey(fused) - combine(grey(pair), pair[..., 3]))[inside].max() < 1.5
    colour = pair[..., :3] - grey(pair)[..., None]
    assert np.abs(fused - grey(fused)[..., None] - colour)[inside].max() < 2


@pytest.mark.parametrize("size", [(37, 53), (64, 64), (5, 90), (2, 2), (1, 7)])
def test_a_pyramid_loses_nothing(size) -> None:
    image = np.random.default_rng(2).random(size, dtype=np.float32)
    *details, rest = laplacian_pyramid(image, levels=4)
    for detail in reversed(details):
        rest = cv2.pyrUp(rest, dstsize=detail.shape[::-1]) + detail
    assert np.abs(rest - image).max() < 1e-5


def test_the_pyramid_keeps_the_stronger_detail() -> None:
    y, x = np.mgrid[0:64, 0:64]
    strong, weak = (0.5 + a * np.sin(2 * np.pi * (x + y) / 6).astype(np.float32) for a in (0.3, 0.1))
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(fuse_laplacian(strong, weak) - strong)[inner].max() < 0.02
    assert np.abs(fuse_laplacian(np.full_like(strong, 0.5), strong) - strong)[inner].max() < 0.02


def test_an_unknown_rule_is_refused(pair) -> None:
    with pytest.raises(ValueError, match="unknown fusion rule 'laplace', did you mean 'laplacian'"):
        fuse_pair(pair, "laplace")


@pytest.mark.parametrize("rule", RULES)
def test_real_pairs_of_many_sizes(tno, rule) -> None:
    for file in sorted((tno / "images").rglob("*"))[:6]:
        visible = cv2.imread(str(file))
        infrared = cv2.imread(str(next((tno / "infrared").rglob(f"{file.stem}.*"))), cv2.IMREAD_GRAYSCALE)
        if visible is None or infrared.shape != visible.shape[:2]:
            continue
        pair = np.dstack((visible[..., ::-1], infrared))
        fused = fuse_pair(pair, rule)
        assert fused.shape == visible.shape
        mean = (grey(pair) + infrared) / 2
        assert np.corrcoef(grey(fused).ravel(), mean.ravel())[0, 1] > 0.6
