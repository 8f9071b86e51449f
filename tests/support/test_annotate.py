from __future__ import annotations

import numpy as np

from metafusion_yolo.support.annotate import Mark, draw_marks

GREY = np.full((256, 320, 3), 128, np.uint8)


def mark(x0, y0, x1, y1, *texts) -> Mark:
    return Mark(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float), texts, (255, 42, 4))


def test_an_outline_lies_around_its_object_and_hides_none_of_it():
    drawn = draw_marks(GREY, [mark(100, 100, 140, 180)])
    assert (drawn[101:180, 101:140] == 128).all()
    assert (drawn[99, 100:140] == (255, 42, 4)).all() and (GREY == 128).all()


def test_a_label_is_written_in_the_colour_of_its_object():
    plain, labelled = (
        draw_marks(GREY, [mark(100, 100, 140, 180)]),
        draw_marks(GREY, [mark(100, 100, 140, 180, "person")]),
    )
    changed = np.argwhere((plain != labelled).any(-1))
    assert changed[:, 0].max() < 100  # above the box
    label = labelled[changed[:, 0].min() : 99, 101:130]
    assert (label == (255, 42, 4)).all(-1).mean() > 0.4 and (label > 200).all(-1).any()


def test_a_label_that_stepped_aside_has_a_line_to_its_object():
    wall = [mark(x, y, x + 79, y + 39) for x in range(0, 320, 80) for y in range(80, 240, 40)]
    aside = draw_marks(GREY, [mark(150, 130, 170, 150, "person 0.82"), *wall])
    assert (aside != draw_marks(GREY, [mark(150, 130, 170, 150), *wall])).any()


def test_letters_beyond_latin_are_written():
    one, other = (
        draw_marks(GREY, [mark(100, 100, 140, 180, text)]) for text in ("\u0447\u0435\u043b", "\u03b1\u03b2\u03b3")
    )
    assert (one != other).any()


def test_a_label_leaves_what_is_spared_to_be_seen():
    plain = draw_marks(GREY, [mark(100, 100, 140, 180, "person")])
    rows, columns = np.argwhere((plain != draw_marks(GREY, [mark(100, 100, 140, 180)])).any(-1)).T
    spared = np.array([[columns.min(), rows.min(), columns.min() + 9, rows.min() + 9]])
    drawn = draw_marks(GREY, [mark(100, 100, 140, 180, "person")], spared=spared)
    assert (drawn[rows.min() : rows.min() + 9, columns.min() : columns.min() + 9] == 128).all()
    assert (drawn != draw_marks(GREY, [mark(100, 100, 140, 180)])).any()  # elsewhere
