"""What holds for any counts: hotter is never darker, the range is used, gain and offset of the sensor do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metafusion_yolo.data.thermal import NORMALIZATIONS, SCOPES, Thermal
from tests.data.test_pairs_properties import ANYTHING

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16)
TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64)
COUNTS = st.sampled_from(TYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        SHAPES,
        elements=st.floats(-1e6, 1e6, width=32) if dtype in (np.float32, np.float64) else None,
    )
)
RAW = hnp.arrays(np.uint16, SHAPES, elements=st.integers(0, 2**14 - 1))  # of a 14-bit sensor
BROKEN = hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32))  # with NaN, infinities and denormal numbers
STRETCHES = [Thermal(), Thermal("minmax"), Thermal("fixed", (100.0, 9000.0))]
KINDS = [*STRETCHES, Thermal("clahe")]
names = [thermal.normalize for thermal in KINDS]


def is_monotone(counts: np.ndarray, grey: np.ndarray) -> bool:
    order = np.argsort(counts, axis=None, kind="stable")
    return bool((np.diff(grey.ravel()[order].astype(int)) >= 0).all())


@pytest.mark.parametrize("thermal", STRETCHES, ids=names[:3])
@given(counts=COUNTS)
def test_hotter_is_never_darker(thermal, counts):
    grey = thermal.to_uint8(counts)
    assert grey.dtype == np.uint8 and grey.shape == counts.shape
    assert is_monotone(counts, grey)
    turned = Thermal(thermal.normalize, thermal.range, invert=True).to_uint8(counts)
    if grey.min() < grey.max():
        np.testing.assert_array_equal(turned, 255 - grey)
    else:
        assert not turned.any()  # what shows nothing is blank, either way


@given(counts=COUNTS)
def test_extremes_use_the_whole_range(counts):
    grey = Thermal("minmax").to_uint8(counts)
    if counts.min() < counts.max():
        assert grey.flat[counts.argmin()] == 0 and grey.flat[counts.argmax()] == 255
    else:
        assert not grey.any()


@pytest.mark.parametrize("thermal", KINDS, ids=names)
@given(counts=BROKEN)
def test_numbers_that_are_none_count_as_the_coldest(thermal, counts):
    with np.errstate(all="raise"):
        grey = thermal.to_uint8(counts)
    assert grey.dtype == np.uint8 and grey.shape == counts.shape
    finite = np.isfinite(counts)
    if thermal.normalize != "clahe":
        assert is_monotone(counts[finite], grey[finite])
        assert not finite.any() or (grey[~finite] <= grey[finite].min()).all()
    if not finite.any():
        assert not grey.any()


@pytest.mark.parametrize("thermal", KINDS, ids=names)
@given(value=st.integers(0, 2**14 - 1), dtype=st.sampled_from((np.uint16, np.int32, np.float64)))
def test_a_camera_that_shows_nothing_shows_no_pattern(thermal, value, dtype):
    assert len(np.unique(thermal.to_uint8(np.full((9, 7), value, dtype)))) == 1


@pytest.mark.parametrize(
    "thermal", [Thermal(), Thermal("minmax"), Thermal("clahe")], ids=["percentile", "minmax", "clahe"]
)
@given(counts=RAW, offset=st.integers(0, 2000), gain=st.integers(1, 3))
def test_offset_and_gain_of_the_sensor_do_not_matter(thermal, counts, offset, gain):
    moved = thermal.to_uint8((counts.astype(np.int64) * gain + offset).astype(np.uint16))
    difference = np.abs(thermal.to_uint8(counts).astype(int) - moved)
    assert difference.max() <= (1 if thermal.normalize != "clahe" else 2)  # at a tie of the rounding


@pytest.mark.parametrize("thermal", STRETCHES, ids=names[:3])
@given(counts=RAW)
def test_the_type_of_the_file_does_not_matter(thermal, counts):
    """The table of 16-bit counts, and their histogram, against the plain way through floating point."""
    np.testing.assert_array_equal(thermal.to_uint8(counts), thermal.to_uint8(counts.astype(np.float64)))


@given(counts=RAW, seed=st.integers(0, 9))
def test_no_pixel_depends_on_where_it_lies(counts, seed):
    order = np.random.default_rng(seed).permutation(counts.size)
    shuffled = counts.ravel()[order].reshape(counts.shape)
    for thermal in STRETCHES:
        np.testing.assert_array_equal(thermal.to_uint8(shuffled).ravel(), thermal.to_uint8(counts).ravel()[order])


@given(images=st.lists(RAW, min_size=1, max_size=4))
def test_images_of_a_sequence_share_their_grey(images):
    thermal = Thermal("minmax", scope="sequence")
    limits = thermal.limits_of(image.repeat(3, 0).repeat(3, 1) for image in images)  # of which it takes a ninth
    grey = np.concatenate([thermal.to_uint8(image, limits).ravel() for image in images])
    together = np.concatenate([image.ravel() for image in images])
    assert is_monotone(together, grey)
    assert thermal.limits(together) == limits


SECTIONS = st.dictionaries(
    st.sampled_from(["normalize", "range", "invert", "scope", "normalise"]),
    st.sampled_from([*NORMALIZATIONS, *SCOPES])
    | st.booleans()
    | st.lists(st.integers(-9, 9) | st.floats(), min_size=1, max_size=3)
    | ANYTHING,
    max_size=4,
)


@given(section=SECTIONS | ANYTHING)
def test_any_section_is_read_or_refused_in_a_line(section):
    try:
        thermal = Thermal.from_yaml(section, "pairs.yaml")
    except ValueError as error:
        assert "\n" not in str(error) and "pairs.yaml" in str(error)
    else:
        assert Thermal.from_yaml(thermal.to_yaml()) == thermal


@given(low=st.integers(0, 9000), width=st.integers(1, 9000), counts=RAW)
def test_a_fixed_range_is_kept_to(low, width, counts):
    assume(low + width < 2**16)
    grey = Thermal("fixed", (low, low + width)).to_uint8(counts)
    assert not grey[counts <= low].any()
    assert (grey[counts >= low + width] == 255).all()
