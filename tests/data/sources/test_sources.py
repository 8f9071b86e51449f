"""Lists of pairs, generators, images that hold both cameras, and what an unreadable pair does to the rest."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from metafusion_yolo import PairError
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource
from metafusion_yolo.data.sources.loaders import LoadPairs, load_pairs


def load(visible, infrared=BY_RULE, batch=1, **options) -> LoadPairs:
    return load_pairs(PairedSource(visible, infrared, **options), Rig(), batch)


def pairs_of(loader) -> list[np.ndarray]:
    return [pair for _, pairs, _ in loader for pair in pairs]


def stacks(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (8, 12, 4), dtype=np.uint8) for _ in range(count)]


# Lists of pairs ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("header", ["", "visible,infrared\n", "Visible, Infrared\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("absolute", [True, False])
def test_csv_list(pair_folder, header, mark, absolute) -> None:
    root = pair_folder.root
    files = zip(pair_folder.visible, reversed(pair_folder.infrared), strict=True)  # by no rule of names
    rows = [[str(f if absolute else f.relative_to(root.resolve())) for f in pair] for pair in files]
    listing = root / "pairs.csv"
    text = header.replace(",", mark) + "\n".join(mark.join(row) for row in rows) + "\n\n"
    listing.write_text("\ufeff" + text, encoding="utf-8")
    loader = load(listing)
    assert [[Path(f).resolve() for f in pair] for pair in loader.pairs] == [
        [Path(v), Path(i)] for v, i in zip(pair_folder.visible, reversed(pair_folder.infrared), strict=True)
    ]
    assert len(pairs_of(loader)) == len(rows)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("a.jpg\n", ValueError, "row 1 of '.*' has 1 columns; give two, visible and infrared"),
        ("visible,infrared\n", FileNotFoundError, "no pairs in"),
        ("", FileNotFoundError, "no pairs in '.*'; give a row for each, visible,infrared"),
        ("a.jpg,b.png\n", FileNotFoundError, "2 of 2 files listed in '.*' do not exist: 'a.jpg', 'b.png'"),
    ],
)
def test_csv_list_that_is_no_list_of_pairs(tmp_path, text, error, message) -> None:
    listing = tmp_path / "pairs.csv"
    listing.write_text(text)
    with pytest.raises(error, match=message):
        load(listing)


def test_csv_list_needs_no_infrared(tmp_path) -> None:
    with pytest.raises(PairError, match="already lists pairs; leave infrared= out"):
        load(tmp_path / "pairs.csv", "infrared/")


# Generators ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 3])
def test_generator_is_read_as_it_goes(batch) -> None:
    images, asked = stacks(5), []

    def generate():
        for image in images:
            asked.append(len(asked))
            yield image

    loader = iter(load(generate(), batch=batch))
    assert asked == []
    _, first, _ = next(loader)
    assert len(asked) == len(first) == batch
    rest = [pair for _, pairs, _ in loader for pair in pairs]
    for pair, image in zip([*first, *rest], images, strict=True):
        np.testing.assert_array_equal(pair, image)


def test_endless_generator() -> None:
    loader = iter(load(itertools.cycle(stacks(2))))
    assert [next(loader)[0] for _ in range(50)][-1] == ["image49.jpg"]


def test_generator_of_anything(pair_folder) -> None:
    [stack] = stacks(1)
    picture = Image.fromarray(stack[..., :3]), Image.fromarray(stack[..., 3])
    files = pair_folder.visible[0], pair_folder.infrared[0]
    pairs = pairs_of(load(iter([stack, picture, files, str(pair_folder.visible[0])])))
    np.testing.assert_array_equal(pairs[0], pairs[1])
    np.testing.assert_array_equal(pairs[2], pairs[3])


def test_two_generators() -> None:
    images = stacks(3)
    pairs = pairs_of(load((i[..., 2::-1].copy() for i in images), (i[..., 3] for i in images)))
    np.testing.assert_array_equal(pairs, images)


def test_two_generators_of_different_lengths() -> None:
    images = stacks(3)
    with pytest.raises(PairError, match="the generators of visible and infrared images differ in length"):
        pairs_of(load((i[..., :3].copy() for i in images), (i[..., 3] for i in images[:2])))


def test_generator_beside_something_else() -> None:
    with pytest.raises(PairError, match="a generator needs infrared= to be one too"):
        load(iter(stacks(1)), "infrared/")


# Images that hold both -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", ["file", "array"])
@pytest.mark.parametrize("layout", ["horizontal", "vertical-infrared-first"])
def test_halves_of_an_image(tmp_path, layout, form) -> None:
    [stack] = stacks(1)
    visible, infrared = stack[..., 2::-1], np.repeat(stack[..., 3:], 3, 2)  # B, G, R, as OpenCV writes it
    both = np.hstack((visible, infrared)) if layout == "horizontal" else np.vstack((infrared, visible))
    file = tmp_path / "both.png"
    cv2.imwrite(str(file), both)
    [pair] = pairs_of(load(file if form == "file" else both, layout=layout))
    np.testing.assert_array_equal(pair, stack)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_file_of_four_channels(tmp_path, suffix) -> None:
    [stack] = stacks(1)
    file = tmp_path / f"both{suffix}"
    Image.fromarray(stack, "RGBA").save(file)
    [pair] = pairs_of(load(file, layout="stacked"))
    np.testing.assert_array_equal(pair, stack)


def test_file_of_other_channels(tmp_path) -> None:
    file = tmp_path / "three.png"
    cv2.imwrite(str(file), stacks(1)[0][..., :3])
    with pytest.raises(PairError, match=r"'.*' has the channels RGB; layout=stacked reads four, R, G, B, IR, of 8"):
        pairs_of(load(file, layout="stacked"))


def test_image_that_holds_both_takes_no_partner(pair_folder) -> None:
    with pytest.raises(PairError, match="layout=horizontal says that the images hold both cameras; leave infrared="):
        load(pair_folder.images, pair_folder.root, layout="horizontal")


# Unreadable pairs ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 3])
def test_unreadable_pair_is_skipped_and_reported_once(pair_folder, truncate, caplog, batch) -> None:
    truncate(pair_folder.infrared[1])
    loader = load(pair_folder.images, batch=batch, on_error="skip")
    names = [name for names, _, _ in loader for name in names]
    assert [Path(name) for name in names] == [f for f in pair_folder.visible if f != pair_folder.visible[1]]
    assert list(loader.skipped) == [str(pair_folder.visible[1])]
    loader.close()
    [record] = [r for r in caplog.records if "skipped" in r.message]
    assert f"1 of {len(pair_folder.visible)} pairs skipped" in record.message
    assert str(pair_folder.infrared[1]) in record.message


def test_unreadable_pair_stops_by_default(pair_folder, truncate) -> None:
    truncate(pair_folder.visible[1])
    with pytest.raises(PairError, match="cannot be read"):
        pairs_of(load(pair_folder.images))


def test_nothing_readable_is_an_error(pair_folder, truncate) -> None:
    for file in pair_folder.visible:
        truncate(file)
    with pytest.raises(PairError, match=f"none of {len(pair_folder.visible)} pairs can be read"):
        pairs_of(load(pair_folder.images, on_error="skip"))


def test_wrong_item_of_a_generator_is_skipped() -> None:
    images = stacks(2)
    loader = load(iter([images[0], "nowhere.jpg", 7, images[1]]), on_error="skip")
    np.testing.assert_array_equal(pairs_of(loader), images)
    assert list(loader.skipped) == ["image1.jpg", "image2.jpg"]


@pytest.mark.parametrize("infrared", ["{root}/heat/*.png", "rgb/*_V -> heat/FLIR_*_T"])
def test_globs_and_rules_of_infrared_images(pair_folder, infrared) -> None:
    root = pair_folder.root
    for folder, name, files in (("rgb", "{}_V", pair_folder.visible), ("heat", "FLIR_{}_T", pair_folder.infrared)):
        (root / folder).mkdir()
        for file in files:
            file.rename(root / folder / f"{name.format(file.stem)}.png")
    by_folders = [cv2.imread(str(file), 0) for file in sorted((root / "heat").iterdir())]
    read = pairs_of(load(str(root / "rgb"), infrared.format(root=root)))
    np.testing.assert_array_equal(np.stack(read)[..., 3], np.stack(by_folders))
    (root / "heat/FLIR_2_T.png").unlink()
    with pytest.raises(PairError, match=r"2_V\.png"):
        load(str(root / "rgb"), infrared.format(root=root))
