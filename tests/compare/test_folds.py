"""Folds of whole blocks of neighbouring frames."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def drive(tmp_path) -> list[Path]:
    """Six blocks of three frames, 200 apart; block n has n persons a frame, and one car on the whole."""
    images = []
    for block in range(6):
        for frame in range(3):
            image = tmp_path / "images" / f"FLIR_{1000 + 200 * block + 20 * frame:05d}.jpg"
            label = tmp_path / "labels" / f"{image.stem}.txt"
            label.parent.mkdir(exist_ok=True)
            label.write_text("0 .5 .5 .1 .1\n" * block + ("2 .5 .5 .1 .1\n" if frame == 0 else ""))
            images.append(image)
    return images


def test_a_block_ends_where_the_frame_numbers_jump(drive) -> None:
    from metafusion_yolo.compare.folds import blocks_of

    assert [len(block) for block in blocks_of(drive[::-1])] == [3] * 6
    assert [len(block) for block in blocks_of(drive, gap=200)] == [18]
    assert blocks_of([Path("no-number.jpg")]) == [[Path("no-number.jpg")]]


def test_every_image_is_in_one_fold_and_no_block_is_split(drive) -> None:
    from metafusion_yolo.compare.folds import blocks_of, folds_of

    folds = folds_of(drive, 3, (0, 2))
    assert sorted(image for fold in folds for image in fold) == sorted(drive)
    for block in blocks_of(drive):
        assert sum(bool(set(block) & set(fold)) for fold in folds) == 1


def test_images_and_boxes_are_spread(drive) -> None:
    from metafusion_yolo.compare.folds import counts, folds_of

    loads = np.array([sum(counts(image, (0, 2)) for image in fold) for fold in folds_of(drive, 3, (0, 2))])
    assert (loads[:, 0] == 6).all()
    assert (loads[:, 2] == 2).all()
    assert loads[:, 1].max() - loads[:, 1].min() <= 6  # 45 persons in blocks of up to 15: 15 each, or close to it


def test_the_order_of_the_images_does_not_matter(drive) -> None:
    from metafusion_yolo.compare.folds import folds_of

    assert folds_of(drive, 3, (0, 2)) == folds_of(drive[::-1], 3, (0, 2))
