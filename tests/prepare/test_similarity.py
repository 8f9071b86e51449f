"""Images that show the same scene are found, others are not."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import cv2
import numpy as np
import pytest

from metafusion_yolo.prepare.similarity import DUPLICATE, NEIGHBOUR, groups, nearest, similarity, thumbnail
from tests.conftest import SHARED

FIXED = SHARED / "data" / "llvip256"


def noise(seed: int, shape: tuple[int, ...] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(48, 64), (480, 640, 3), (7, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_thumbnails_have_norm_1(shape, dtype) -> None:
    small = thumbnail(noise(0, shape).astype(dtype) * (1 if dtype == np.uint8 else 100))
    assert (small.shape, small.dtype) == ((16, 16), np.float32)
    assert np.linalg.norm(small) == pytest.approx(1, abs=1e-5)
    assert small.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("value", [0, 37, 255])
def test_a_blank_image_is_like_nothing(value) -> None:
    blank = thumbnail(np.full((48, 64), value, np.uint8))
    assert similarity(blank, blank) == 0


def test_brightness_and_contrast_do_not_count() -> None:
    image = noise(0)
    assert similarity(thumbnail(image), thumbnail(image // 3 + 90)) > 0.99
    assert similarity(thumbnail(image), thumbnail(255 - image)) == pytest.approx(-1, abs=1e-3)


def test_groups_against_a_naive_search() -> None:
    """Chains of random unit vectors, grouped by walking from one to all that it is like."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    linked = {i: set() for i in range(60)}
    for i, j in combinations(range(60), 2):
        if vectors[i] @ vectors[j] >= (0.9 if j > i + 1 else 0.7):
            linked[i].add(j)
            linked[j].add(i)
    expected, seen = [], set()
    for i in range(60):
        reach, todo = set(), [i]
        while todo:
            if (k := todo.pop()) not in reach:
                reach.add(k)
                todo += linked[k]
        if i not in seen:
            expected.append(sorted(reach))
        seen |= reach
    assert groups(vectors, 0.9, 0.7) == expected
    assert 1 < len(expected) < 60


def test_pairs_are_found_over_the_edge_of_a_block(monkeypatch) -> None:
    monkeypatch.setattr("metafusion_yolo.prepare.similarity.BLOCK", 2)
    monkeypatch.setattr("metafusion_yolo.prepare.similarity.WIDE", 3)
    a, b = np.eye(2, 4, dtype=np.float32)
    assert groups(np.stack([a, b, b, a, b, -a])) == [[0, 3], [1, 2, 4], [5]]
    vectors = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    product = vectors[:5] @ vectors[5:].T
    assert [k for k, _ in nearest(vectors[:5], vectors[5:])] == product.argmax(1).tolist()


def test_many_alike_frames_take_no_more_memory_or_time_than_different_ones() -> None:
    """Frames of a fixed camera are each like every other: two million links at 2,000."""
    frames = np.ones((2000, 4), np.float32) / 2
    frames[::2] *= -1  # two scenes by turns, so that no frame is like the next
    tracemalloc.start()
    assert list(map(len, groups(frames))) == [1000, 1000]
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_very_many_images_are_not_compared_all_with_all(monkeypatch) -> None:
    """Pairs planted close to the limit are found, and nothing else is, with the work of a few comparisons each."""
    rng = np.random.default_rng(0)
    first = np.linalg.qr(rng.normal(size=(300, 512, 1)))[0][..., 0].astype(np.float32)
    aside = rng.normal(size=first.shape).astype(np.float32)
    aside -= (aside * first).sum(1, keepdims=True) * first
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    second = (0.77 * first + np.sqrt(1 - 0.77**2) * aside)[rng.permutation(300)]
    plain = groups(np.concatenate([first, second]))
    monkeypatch.setattr("metafusion_yolo.prepare.similarity.ALL_WITH_ALL", 0)
    found = groups(np.concatenate([first, second]))
    assert len(plain) == 300 and {*map(tuple, found)} - {*map(tuple, plain)} <= {(i,) for i in range(600)}
    assert len(found) <= 303


def test_no_images_have_no_groups() -> None:
    assert groups(np.zeros((0, 16, 16), np.float32)) == []


# Real images ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def road(roadscene) -> dict[str, np.ndarray]:
    """Visible images by name."""
    return {file.name: cv2.imread(str(file)) for file in sorted(roadscene.glob("images/*/*.jpg"), key=lambda f: f.name)}


def test_neighbouring_frames_of_real_drives_are_found_and_few_others(road) -> None:
    names = list(road)
    small = np.stack([thumbnail(image) for image in road.values()])
    flat = small.reshape(len(small), -1)
    found = {(names[i], names[j]) for i, j in np.argwhere(np.triu(flat @ flat.T >= DUPLICATE, 1))}
    assert ("FLIR_06099.jpg", "FLIR_06128.jpg") in found
    assert len(found) <= 0.001 * len(names) ** 2 / 2
    assert max(map(len, groups(small))) <= 3
    assert NEIGHBOUR < DUPLICATE


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.roll(image, image.shape[1] // 50, 1),
        lambda image: image[10:-10, 16:-16],
        lambda image: (image * 0.4).astype(np.uint8),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 1),
        lambda image: cv2.resize(image, (320, 256)),
    ],
    ids=["shifted by 2 %", "cut by 3 %", "darker", "compressed", "smaller"],
)
def test_what_hardly_changes_an_image_leaves_it_a_duplicate(road, change) -> None:
    like = [similarity(thumbnail(image), thumbnail(change(image))) for image in list(road.values())[::4]]
    assert np.mean(np.array(like) >= DUPLICATE) >= 0.97


@pytest.mark.skipif(not FIXED.is_dir(), reason=f"no fixed cameras at '{FIXED}'")
def test_the_short_way_finds_what_the_plain_one_does(road, monkeypatch) -> None:
    """Real pairs, of drives and of fixed cameras: the same scenes, and the same pairs of two splits."""
    looks = [thumbnail(image).ravel() for image in road.values()]
    looks += [thumbnail(cv2.imread(str(file))).ravel() for file in sorted(FIXED.glob("images/*/*"))]
    looks = np.stack(looks)
    results = []
    for limit in (10_000, 0):
        monkeypatch.setattr("metafusion_yolo.prepare.similarity.ALL_WITH_ALL", limit)
        best = np.array([score for _, score in nearest(looks[::2], looks[1::2])])
        results.append((groups(looks), best.round(4)[best >= DUPLICATE].tolist()))
    assert results[0] == results[1] and max(map(len, results[0][0])) > 50 < len(results[0][1])
