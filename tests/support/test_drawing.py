from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.support.drawing import color_weights, grid, scale_of, titled, with_legend


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
