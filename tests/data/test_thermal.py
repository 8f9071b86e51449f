"""From sensor counts to the 8-bit plane."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.thermal import Thermal


@pytest.fixture
def scene() -> np.ndarray:
    """A scene of a 14-bit sensor: 244 neighbouring levels, each equally often."""
    return np.random.default_rng(0).permutation(np.arange(7000, 7244).repeat(60)).reshape(120, 122)


def to_uint8(counts: np.ndarray, **section) -> np.ndarray:
    return Thermal.from_yaml(section).to_uint8(counts)


# Percentiles, the default ---------------------------------------------------------------------------------------------
def test_uint8_passes_unchanged():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert to_uint8(image) is image


@pytest.mark.parametrize(
    "dtype", [np.uint16, np.int16, np.int32, np.uint32, np.int64, np.float32, np.float64], ids=lambda d: d.__name__
)
def test_a_narrow_scene_keeps_its_levels_and_fills_the_range(scene, dtype):
    image = to_uint8(scene.astype(dtype))
    assert (image.shape, image.dtype) == (scene.shape, np.uint8)
    assert len(np.unique(image)) >= 240
    assert (image.min(), image.max()) == (0, 255)


def test_hot_stays_bright(scene):
    image = to_uint8(scene.astype(np.uint16))
    order = np.argsort(scene, axis=None)
    assert (np.diff(image.ravel()[order].astype(int)) >= 0).all()


def test_stretch_matches_the_formula(scene):
    counts = scene.astype(np.uint16)
    low, high = np.percentile(scene, [0.1, 99.9])
    expected = np.clip((scene - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(to_uint8(counts), expected, atol=0.5 + 1e-6)


@pytest.mark.parametrize("size", [(1, 2), (3, 5), (40, 50), (97, 101)])
@pytest.mark.parametrize("seed", range(5))
def test_16_bit_limits_are_the_percentiles_of_numpy(size, seed):
    counts = np.random.default_rng(seed).choice([0, 7000, 7001, 7300, 9000, 65535], size).astype(np.uint16)
    low, high = np.percentile(counts, [0.1, 99.9])
    if low < high:
        assert Thermal().limits(counts) == pytest.approx((low, high), abs=1e-6)
        np.testing.assert_array_equal(to_uint8(counts), to_uint8(counts.astype(np.int32)))


def test_large_offset_costs_no_levels(scene):
    assert len(np.unique(to_uint8(scene.astype(np.int64) + 10**9))) >= 240


def test_dead_pixels_do_not_set_the_range(scene):
    counts = scene.astype(np.uint16)
    counts[0, 0], counts[0, 1] = 0, 65535
    image = to_uint8(counts)
    assert (image[0, 0], image[0, 1]) == (0, 255)
    assert len(np.unique(image)) >= 240


def test_one_small_hot_target_before_an_even_background_is_kept():
    counts = np.full((100, 100), 7000, np.uint16)
    counts[50, 50] = 7100
    image = to_uint8(counts)
    assert image[50, 50] == 255
    assert image.sum() == 255


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("normalize", ["percentile", "minmax", "clahe"])
def test_constant_image_becomes_black(dtype, normalize):
    assert not to_uint8(np.full((4, 5), 7000, dtype), normalize=normalize).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("normalize", ["percentile", "minmax"])
def test_values_that_are_not_finite_count_as_the_coldest(scene, value, normalize):
    counts = scene.astype(np.float32)
    counts[3, 4] = value
    image = to_uint8(counts, normalize=normalize)
    assert image[3, 4] == 0
    assert len(np.unique(image)) >= 240


def test_nothing_finite_becomes_black():
    image = to_uint8(np.full((4, 5), np.nan, np.float32))
    assert (image.shape, image.dtype, image.any()) == ((4, 5), np.uint8, False)


@pytest.mark.parametrize("normalize", ["percentile", "minmax", "clahe"])
def test_source_is_left_alone(scene, normalize):
    counts = scene.astype(np.float32)
    counts[0, 0] = np.nan
    before = counts.copy()
    to_uint8(counts, normalize=normalize, invert=True)
    np.testing.assert_array_equal(counts, before)


# The other ways -------------------------------------------------------------------------------------------------------
def test_minmax_uses_the_extremes(scene):
    counts = scene.astype(np.uint16)
    counts[0, 0] = 8000  # one pixel, which the percentiles would cut off
    np.testing.assert_allclose(to_uint8(counts, normalize="minmax"), (counts - 7000.0) / 1000 * 255, atol=0.5 + 1e-6)


def test_minmax_stretches_8_bit_images_too():
    image = np.linspace(100, 150, 256).astype(np.uint8).reshape(16, 16)
    stretched = to_uint8(image, normalize="minmax")
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_fixed_range_gives_the_same_grey_in_every_image():
    thermal = Thermal("fixed", (7000, 7255))
    cold, warm = np.full((4, 5), 7100, np.uint16), np.full((4, 5), 7200, np.uint16)
    assert (thermal.to_uint8(cold) == 100).all()
    assert (thermal.to_uint8(warm) == 200).all()
    assert thermal.to_uint8(np.array([[0, 6999, 7256, 65535]], np.uint16)).tolist() == [[0, 0, 255, 255]]


def test_clahe_lifts_a_faint_local_contrast_and_keeps_levels(scene):
    counts = np.full((64, 64), 7000.0)
    counts[32:] = 9000
    counts[:16, :16] += np.random.default_rng(0).integers(0, 50, (16, 16))  # 2.5 % of the range
    plain, equalized = (to_uint8(counts.astype(np.uint16), normalize=n) for n in ("percentile", "clahe"))
    assert equalized[:16, :16].std() > 2 * plain[:16, :16].std()
    assert len(np.unique(to_uint8(scene.astype(np.uint16), normalize="clahe"))) >= 240


def test_clahe_is_that_of_opencv_on_16_bits(scene):
    low, high = np.percentile(scene, [0.1, 99.9])
    full = np.clip((scene - low) / (high - low) * 65535 + 0.5, 0, 65535).astype(np.uint16)
    expected = cv2.createCLAHE(2.0, (8, 8)).apply(full) / 256
    np.testing.assert_allclose(to_uint8(scene.astype(np.uint16), normalize="clahe"), expected, atol=1)


@pytest.mark.parametrize("section", [{}, {"normalize": "minmax"}, {"normalize": "fixed", "range": [7000, 7243]}])
def test_invert_turns_black_hot_round(scene, section):
    counts = scene.astype(np.uint16)
    np.testing.assert_array_equal(to_uint8(counts, invert=True, **section), 255 - to_uint8(counts, **section))


def test_invert_turns_8_bit_images_round():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_uint8(image, invert=True), 255 - image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_invert_does_not_make_a_dead_camera_white(dtype):
    assert not to_uint8(np.zeros((4, 5), dtype), invert=True).any()


# Sequences ------------------------------------------------------------------------------------------------------------
def test_a_sequence_has_one_range_for_all_its_images():
    sequence = [np.full((9, 9), 7000 + 51 * i, np.uint16) for i in range(6)]
    assert Thermal().limits_of(sequence) is None
    thermal = Thermal("minmax", scope="sequence")
    limits = thermal.limits_of(sequence)
    assert limits == (7000, 7255)
    assert [int(thermal.to_uint8(image, limits)[0, 0]) for image in sequence] == [0, 51, 102, 153, 204, 255]


def test_a_sequence_may_mix_depths_and_be_empty():
    thermal = Thermal("minmax", scope="sequence")
    assert thermal.limits_of([np.full((9, 9), 7000, np.uint16), np.full((9, 9), 7500.5, np.float32)]) == (7000, 7500.5)
    assert thermal.limits_of([]) is None


# The section of the YAML ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "section",
    [
        {},
        {"normalize": "minmax", "invert": True},
        {"normalize": "fixed", "range": [7000, 9000.5]},
        {"normalize": "clahe", "scope": "sequence"},
    ],
)
def test_section_survives_a_round_trip(section):
    thermal = Thermal.from_yaml(section)
    assert Thermal.from_yaml(thermal.to_yaml()) == thermal
    for key, value in section.items():
        assert thermal.to_yaml()[key] == value


def test_no_section_is_the_default():
    assert Thermal.from_yaml(None) == Thermal() == Thermal.from_yaml({})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"normalise": "fixed"}, "unknown key 'normalise' under 'thermal:' in d.yaml, did you mean 'normalize'"),
        ({"normalize": "percentiles"}, "thermal: normalize: 'percentiles' is unknown, did you mean 'percentile'"),
        ({"scope": "video"}, r"thermal: scope: 'video' is unknown, .*sequence.* \(in d.yaml\)"),
        ({"invert": "no"}, "thermal: invert must be true, false, auto or a list of folders, not 'no'"),
        ({"invert": "auto", "unit": "kelvin"}, "thermal: invert: auto is for counts without a meaning"),
        ({"unit": ["celsius"]}, "thermal: unit: .* is unknown"),
        ({"normalize": "fixed"}, r"thermal: range: \[low, high\] goes with normalize: fixed"),
        ({"range": [0, 1]}, r"thermal: range: \[low, high\] goes with normalize: fixed, and with nothing else"),
        ({"normalize": "fixed", "range": [9000, 7000]}, r"low < high, not \[9000.0, 7000.0\]"),
        ({"normalize": "fixed", "range": 7000}, r"range must be \[low, high\], two numbers, not 7000 \(in d.yaml\)"),
        ({"normalize": "fixed", "range": [0, float("inf")]}, "two numbers"),
        ({"normalize": "fixed", "range": [True, 5]}, "two numbers"),
        ("percentile", "'thermal: 'percentile'' in d.yaml must be a mapping; keys: normalize, range, invert, scope"),
    ],
)
def test_wrong_section_is_refused_in_a_line(section, message):
    with pytest.raises(ValueError, match=message) as caught:
        Thermal.from_yaml(section, "d.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "high", "fits"), [("uint8", 9000, False), ("uint8", 200, True), ("uint16", 9000, True)]
)
def test_fixed_range_of_counts_does_not_fit_8_bits(dtype, high, fits):
    assert (Thermal("fixed", (0, high)).problem(np.zeros((2, 2), dtype)) == "") == fits
    assert Thermal().problem(np.zeros((2, 2), np.uint8)) == ""


# Sequences ------------------------------------------------------------------------------------------------------------
def test_black_hot_sequences_are_turned_by_their_folder():
    thermal = Thermal.from_yaml({"invert": ["night/drive-2"]})
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(thermal.to_uint8(image, file="pairs/night/drive-2/7.png"), 255 - image)
    for other in ("pairs/night/drive-1/7.png", "pairs/drive-2/7.png", None):
        assert np.array_equal(thermal.to_uint8(image, file=other), image)
    assert Thermal.from_yaml(thermal.to_yaml()) == thermal
    with pytest.raises(ValueError, match="a list of folders, not"):
        Thermal.from_yaml({"invert": [3]})


def test_gain_that_follows_the_scene_does_not_flicker():
    rng = np.random.default_rng(0)
    frames = []
    for number in range(60):  # a hot object of changing size crosses a still scene that warms by 10 counts a frame
        frame = np.linspace(7000, 7200, 60 * 80).reshape(60, 80) + 10 * number
        side = int(rng.integers(0, 9))
        frame[20 : 20 + side, number : number + side] = 9000
        frames.append(frame.astype(np.uint16))

    def background(scope: str) -> np.ndarray:
        thermal, limits, seen = Thermal(scope=scope), None, []
        limits = thermal.limits_of(frames[:1])
        for frame in frames:
            limits = thermal.follow(limits, frame)
            seen.append(float(thermal.to_uint8(frame, limits)[40:].mean()))
        return np.abs(np.diff(seen[10:]))

    assert np.median(background("follow")) < 5 < np.max(background("image"))
    assert np.max(background("follow")) < 0.25 * np.max(background("image"))
    assert Thermal(scope="sequence").follow((0.0, 1.0), frames[0]) == (0.0, 1.0)
