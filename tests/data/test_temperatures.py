"""Temperatures under outlines are those of the counts of the thermal camera, where it saw the object."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.registration import scaling
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.data.thermal import Thermal
from tests.data.test_geometry_properties import RIGS

CENTI = {"unit": "celsius", "scale": 0.01, "offset": -273.15}


def truth(height: int = 60, width: int = 80) -> np.ndarray:
    """A scene in degrees celsius, of whole hundredths: 5 to 40, no two neighbours alike."""
    return np.random.default_rng(0).integers(500, 4000, (height, width)) / 100


def corners(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float)


def thermogram(counts: np.ndarray, zoom: int = 1, **thermal) -> Thermogram:
    height, width = counts.shape
    matrix = scaling((width, height), (zoom * width, zoom * height))
    return Thermogram(counts, Thermal(**(thermal or {"unit": "celsius"})), matrix)


@pytest.mark.parametrize("zoom", [1, 2, 5])
@pytest.mark.parametrize("box", [(3, 4, 20, 30), (0, 0, 80, 60), (10, 10, 11, 12), (70, 50, 80, 60)])
def test_a_box_holds_the_pixels_that_slicing_takes(zoom, box):
    x1, y1, x2, y2 = box
    inside = truth()[y1:y2, x1:x2]
    reading = thermogram(truth(), zoom).under(zoom * corners(*box))
    assert reading[:3] == pytest.approx((inside.min(), inside.mean(), inside.max()), abs=1e-9)
    row, column = np.argwhere(truth() == inside.max())[0] if (truth() == inside.max()).sum() == 1 else (None, None)
    if row is not None:
        assert reading.hot_infrared == (column, row)
        assert reading.hot == pytest.approx((zoom * (column + 0.5), zoom * (row + 0.5)))


def test_contrast_is_to_what_lies_around():
    scene = np.full((60, 80), 12.0)
    scene[20:30, 30:40] = 31.5
    assert thermogram(scene).under(corners(30, 20, 40, 30)).contrast == pytest.approx(19.5)
    assert thermogram(scene).under(corners(0, 0, 80, 60)).contrast is None  # nothing is around it


def test_a_turned_box_and_a_mask_hold_what_lies_in_them():
    scene = truth()
    for outline in ([(38, 20), (56, 37), (37, 55), (21, 36)], [(10, 8), (60, 9), (58, 50), (30, 22), (12, 55)]):
        polygon = np.array(outline, np.float32) + np.float32((0.31, 0.17))
        centres = [[(x + 0.5, y + 0.5) for x in range(80)] for y in range(60)]
        inside = np.array([[cv2.pointPolygonTest(polygon, point, False) > 0 for point in row] for row in centres])
        reading = thermogram(scene).under(polygon)
        assert reading[:3] == pytest.approx((scene[inside].min(), scene[inside].mean(), scene[inside].max()), abs=1e-9)


def test_an_object_smaller_than_a_pixel_takes_the_pixel_it_is_in():
    scene = truth()
    assert thermogram(scene, zoom=8).under(corners(81, 41, 83, 43)).maximum == scene[5, 10]


def test_what_the_camera_does_not_see_has_no_temperature():
    heat = Thermogram(truth(), Thermal(unit="celsius"), np.array([[1.0, 0, 100], [0, 1, 0], [0, 0, 1]]))
    assert heat.under(corners(10, 10, 30, 30)) is None
    half = heat.under(corners(90, 10, 110, 20))  # the left half is outside its view
    assert half.maximum == truth()[10:20, :10].max()
    empty = np.full((60, 80), np.nan)
    assert thermogram(empty).under(corners(10, 10, 30, 30)) is None
    empty[15, 12] = 20.0  # no data but at one place
    assert thermogram(empty).under(corners(10, 10, 30, 30)).hot_infrared == (12, 15)


@settings(max_examples=80, deadline=None)
@given(matrix=RIGS, spot=st.tuples(st.integers(2, 77), st.integers(2, 57)), side=st.floats(6, 60))
def test_the_hot_spot_is_found_where_any_registration_puts_it(matrix, spot, side):
    matrix = np.array(matrix)
    scene = np.full((60, 80), 15.0)
    scene[spot[1], spot[0]] = 80.0
    there = cv2.perspectiveTransform(np.array([[spot]], float), matrix)[0, 0] + 0.5
    x, y = there + side * np.array([0.13, -0.21])  # the box need not be centred on it
    heat = Thermogram(scene, Thermal(unit="celsius"), matrix)
    reading = heat.under(corners(x - side / 2, y - side / 2, x + side / 2, y + side / 2))
    assume(reading is not None)
    assert reading.maximum == 80.0
    assert reading.hot_infrared == spot
    assert np.abs(np.array(reading.hot) - there).max() < 1e-6
    # the picture that is drawn shows it there too: warped, its brightest place is within a pixel of the camera's
    size = 1200, 1200
    assume((there > 3).all() and (there < 1197).all())
    blob = cv2.GaussianBlur(scene.astype(np.float32) - 15, (0, 0), 1.5)
    warped = cv2.warpPerspective(blob, matrix, size, flags=cv2.INTER_LINEAR)
    row, column = np.unravel_index(warped.argmax(), warped.shape)
    pixel = max(1.0, np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))  # one pixel of either camera
    assert np.hypot(column + 0.5 - there[0], row + 0.5 - there[1]) <= 1.5 * pixel


# Files ----------------------------------------------------------------------------------------------------------------
WRITERS = {
    "centikelvin.tiff": (lambda t: np.round(100 * t + 27315).astype(np.uint16), {"scale": 0.01, "offset": -273.15}),
    "float.tif": (lambda t: t.astype(np.float32), {}),
    "kelvin.npy": (lambda t: t + 273.15, {"unit": "kelvin"}),
    "decikelvin.png": (lambda t: np.round(10 * t + 2731.5).astype(np.uint16), {"scale": 0.1, "offset": -273.15}),
    "bytes.png": (lambda t: np.round(5 * t).astype(np.uint8), {"scale": 0.2}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_temperatures_in_files_are_within_a_tenth_of_the_truth(tmp_path, name):
    convert, section = WRITERS[name]
    file, counts = tmp_path / name, convert(truth())
    np.save(file, counts) if name.endswith("npy") else cv2.imwrite(str(file), counts)
    reader = PairReader(Rig(thermal=Thermal.from_yaml({"unit": "celsius", **section})))
    heat = reader.thermogram(reader.counts(file), (160, 120))
    offset = 273.15 if heat.unit == "kelvin" else 0
    reading = heat.under(corners(20, 10, 60, 50))
    inside = truth()[5:25, 10:30] + offset
    assert reading[:3] == pytest.approx((inside.min(), inside.mean(), inside.max()), abs=0.1)


def test_a_range_in_the_unit_is_that_of_the_counts():
    scene = np.linspace(-40, 80, 4800).reshape(60, 80)
    counts = np.round((scene + 273.15) * 100).astype(np.uint16)
    fixed = Thermal.from_yaml({"normalize": "fixed", "range": [-20, 60], **CENTI})
    assert np.array_equal(fixed.to_uint8(counts), Thermal("fixed", (25315, 33315)).to_uint8(counts))
    assert fixed.temperatures(fixed.counts(21.5)) == pytest.approx(21.5)
    assert Thermal.from_yaml(fixed.to_yaml()) == fixed


@pytest.mark.parametrize(
    ("section", "counts", "said"),
    [
        ({"unit": "celsius"}, np.full((9, 9), 90, np.uint8), "8 bits, which cannot be temperatures"),
        (
            {"unit": "celsius"},
            np.full((9, 9), 29315, np.uint16),
            "about 29315 celsius; if .* 'thermal: {unit: celsius, scale: 0.01, offset: -273.15}'",
        ),
        (
            {"unit": "kelvin"},
            np.full((9, 9), 21.0),
            "would be about 21 kelvin; write unit, scale and offset of its counts under",
        ),
    ],
)
def test_counts_that_are_no_temperatures_are_refused(section, counts, said):
    with pytest.raises(PairError, match=said):
        PairReader(Rig(thermal=Thermal(**section))).stack(np.zeros((9, 9, 3), np.uint8), counts)


def test_a_range_without_a_temperature_in_it_is_said(caplog):
    thermal = Thermal.from_yaml({"normalize": "fixed", "range": [300, 400], "unit": "celsius"})
    PairReader(Rig(thermal=thermal)).stack(np.zeros((60, 80, 3), np.uint8), truth())
    assert "nothing is within 'thermal: range:'" in caplog.text


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_a_colour_bar_leaves_out_a_few_far_off_pixels_and_keeps_the_rest(dtype):
    counts = truth().astype(dtype)
    assert thermogram(counts).limits == thermogram(counts).extremes  # nothing is far off
    counts[7, 9] = 310
    heat = thermogram(counts)
    assert heat.extremes[1] == 310
    assert heat.limits[1] <= 40
    assert heat.limits[0] == heat.extremes[0]
    fixed = thermogram(counts, unit="celsius", normalize="fixed", range=(0.0, 20.0))
    assert fixed.limits == (0, 20)
    assert thermogram(np.full((4, 4), np.nan)).extremes is None


def test_where_there_is_no_data_a_picture_is_grey():
    counts = truth()
    counts[10:20] = np.nan
    heat = thermogram(counts)
    picture = heat.picture((160, 60))
    assert (picture[11:19, :80] == 128).all()  # not measured
    assert (picture[:, 82:] == 128).all()  # not seen
    assert np.ptp(picture[:9, :80].astype(int), axis=2).any()
