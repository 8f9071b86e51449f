from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.support.drawing import color_weights, grid, scale_of, titled, with_legend, with_scale


def test_rows_of_unequal_pictures_are_filled_with_white():
    picture = grid(
        [[np.zeros((20, 30, 3), np.uint8), np.zeros((10, 30, 3), np.uint8)], [np.zeros((5, 30, 3), np.uint8)]]
    )
    assert picture.shape == (35, 70, 3)
    assert picture[:20, :30].max() == 0 and picture[10:20, 40:].min() == 255 and picture[30:, 30:].min() == 255


@pytest.mark.parametrize(
    ("low", "high", "limits", "words"),
    [
        (0.7, 0.7, (0, 1), "weights 0.70 everywhere: a constant mix"),
        (0.7, 0.71, (0, 1), "weights 0.70 everywhere: a constant mix"),
        (0.31, 0.88, (0.31, 0.88), "weights 0.31 to 0.88"),
    ],
)
def test_a_scale_spans_the_weights_or_says_that_there_is_nothing_to_see(low, high, limits, words):
    found, said = scale_of([np.full((2, 2), low), np.full((2, 2), high)])
    assert found == pytest.approx(limits) and said == words


def test_colours_run_from_end_to_end_of_the_scale():
    ends = color_weights(np.array([[0.3, 0.4]]), (0.3, 0.4))
    assert np.array_equal(ends, color_weights(np.array([[0.0, 1.0]])))
    legend = with_legend(np.zeros((4, 300, 3), np.uint8))[4:]
    assert (
        np.abs(legend[8, 101].astype(int) - ends[0, 0]).max() < 8
        and np.abs(legend[8, 198].astype(int) - ends[0, 1]).max() < 8
    )


def test_a_long_title_shrinks_to_its_picture():
    bar = titled("a title that is far too long for a small picture", np.full((40, 120, 3), 255, np.uint8))[:20]
    assert bar.min() < 128 and bar[:, -2:].min() > 200


@pytest.mark.parametrize("width", [60, 120, 320, 640])
def test_a_scale_says_as_much_as_fits_and_has_arrows_where_it_is_exceeded(width):
    ramp = np.full((1, 9, 3), (0, 0, 200), np.uint8)
    ends = [("5.0 °C (min -40.0)", "33.8 °C (max 310.0)"), ("5.0 °C", "33.8 °C")]
    picture = np.zeros((48, width, 3), np.uint8)
    bars = [with_scale(picture, ends, ramp, (False, arrow))[48:] for arrow in (False, True)]
    assert bars[0].shape == bars[1].shape
    columns = np.flatnonzero((bars[0] != bars[1]).any((0, 2)))
    bar = np.flatnonzero((bars[0] == ramp[0, 0]).all(2).any(0))
    assert bar[len(bar) // 2] < columns.min() and columns.max() == bar[-1]  # the right end alone is an arrow
    short = with_scale(picture, ends[1:], ramp, (False, False))[48:]
    assert (short != bars[0]).any() == (width > 200)
