"""Where no split is published, scenes stay together."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.prepare.convert.formats import Pair
from metafusion_yolo.prepare.convert.scenes import share_out, split_by_scene
from tests.prepare.convert.miniatures import image


@pytest.fixture
def make_pairs(tmp_path):
    """Return the function that writes pairs whose images show scenes of these numbers."""

    def make(*scenes: int) -> list[Pair]:
        return [
            Pair(
                "",
                f"{i:03d}",
                image(tmp_path / f"vis/{i:03d}.png", scene),
                image(tmp_path / f"ir/{i:03d}.png", scene + 500, grey=True),
                {},
            )
            for i, scene in enumerate(scenes)
        ]

    return make


def sides(pairs: list[Pair], scenes: tuple[int, ...]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for pair, scene in zip(pairs, scenes, strict=True):
        found.setdefault(scene, set()).add(pair.split)
    return found


def test_a_scene_is_on_one_side_and_the_shares_are_80_to_20(make_pairs) -> None:
    scenes = tuple(int(s) for s in np.random.default_rng(0).integers(0, 25, 60))
    pairs, note = split_by_scene(make_pairs(*scenes))
    found = sides(pairs, scenes)
    assert all(len(splits) == 1 for splits in found.values())
    assert 0.15 <= np.mean([pair.split == "val" for pair in pairs]) <= 0.25
    assert f"none is published; {len(found)} scenes of pairs that look alike" in note


def test_the_order_of_the_pairs_does_not_matter(make_pairs) -> None:
    pairs = make_pairs(*range(20))
    assert split_by_scene(pairs[::-1]) == split_by_scene(pairs) == split_by_scene(pairs)


def test_pairs_alike_in_one_camera_only_are_two_scenes(make_pairs, tmp_path) -> None:
    pairs = make_pairs(0, 0, 1, 2)
    image(pairs[1].infrared, 77, grey=True)
    assert "4 scenes" in split_by_scene(pairs)[1]


@pytest.mark.parametrize("scenes", [(), (0,), (0, 0, 0)])
def test_one_scene_cannot_be_split(make_pairs, scenes) -> None:
    with pytest.raises(ValueError, match="by their looks, which cannot be split; sort them into folders train and val"):
        split_by_scene(make_pairs(*scenes))


def test_an_image_that_cannot_be_read_is_a_scene_of_its_own(make_pairs) -> None:
    pairs = make_pairs(0, 1, 1, 2)
    pairs[0].visible.write_bytes(b"no image")
    assert "3 scenes" in split_by_scene(pairs)[1]


@pytest.mark.parametrize(
    ("sizes", "val"),
    [([1] * 10, 2), ([50, 30, 10, 5, 5], 20), ([900, 50, 50], 100), ([2, 1], 1), ([4, 1], 1)],
)
def test_large_scenes_are_for_training(sizes, val) -> None:
    assert sum(size for size, side in zip(sizes, share_out(sizes), strict=True) if side == "val") == val


def test_real_neighbours_stay_together(roadscene) -> None:
    files = sorted(roadscene.glob("images/*/*.jpg"), key=lambda file: file.name)
    pairs = [Pair("", file.stem, file, next((roadscene / "infrared").glob(f"*/{file.stem}.*")), {}) for file in files]
    split, _ = split_by_scene(pairs)
    of = {pair.name: pair.split for pair in split}
    assert of["FLIR_06099"] == of["FLIR_06128"]
    assert 0.15 <= np.mean([side == "val" for side in of.values()]) <= 0.25
