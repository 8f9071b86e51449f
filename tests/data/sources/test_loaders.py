"""Sources of pairs for prediction. The infrared plane of the test pairs equals the red one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from metafusion_yolo import PairError
from metafusion_yolo.data.reading import PairReader, read_counts, read_visible
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource, loaders
from metafusion_yolo.data.sources.loaders import LoadPairs, load_pairs


def load(visible, infrared=BY_RULE, rig=None, **options):
    return load_pairs(PairedSource(visible, infrared), rig or Rig(), **options)


def read(visible, infrared=BY_RULE, **options) -> tuple[list[str], list[np.ndarray]]:
    """Return the names and pairs of a source."""
    batches = list(load(visible, infrared, **options))
    return [name for names, _, _ in batches for name in names], [pair for _, pairs, _ in batches for pair in pairs]


def assert_pairs(pairs: list[np.ndarray], folder, indices=None) -> None:
    indices = range(len(folder.visible)) if indices is None else indices
    assert len(pairs) == len(list(indices))
    for pair, i in zip(pairs, indices, strict=True):
        assert pair.dtype == np.uint8
        np.testing.assert_array_equal(pair, PairReader().read(folder.visible[i], folder.infrared[i]))


@pytest.fixture
def infrared_folder(pair_folder) -> Path:
    return pair_folder.root / "infrared" / "train"


# Files ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [str, Path])
def test_two_files(pair_folder, kind):
    names, pairs = read(kind(pair_folder.visible[2]), kind(pair_folder.infrared[2]))
    assert names == [str(pair_folder.visible[2])]
    assert_pairs(pairs, pair_folder, [2])


def test_two_files_need_not_share_a_name(pair_folder, tmp_path):
    visible, infrared = tmp_path / "a.png", tmp_path / "b.png"
    pair_folder.visible[1].rename(visible)
    pair_folder.infrared[1].rename(infrared)
    _, [pair] = read(visible, infrared)
    np.testing.assert_array_equal(pair[..., 3], pair[..., 0])


def test_file_finds_its_partner_by_the_rule(pair_folder):
    assert_pairs(read(pair_folder.visible[1])[1], pair_folder, [1])


def test_file_finds_its_partner_in_a_folder(pair_folder, infrared_folder):
    assert_pairs(read(pair_folder.visible[1], infrared_folder)[1], pair_folder, [1])


@pytest.mark.parametrize("infrared", ["by rule", "folder"])
@pytest.mark.parametrize("source", ["folder", "glob", "list", "text file", "text file, relative"])
def test_many_files(pair_folder, infrared_folder, source, infrared):
    images, files = pair_folder.images, [str(file) for file in pair_folder.visible]
    listing = images.parent / "list.txt"
    if source == "text file":
        listing.write_text("\ufeff" + "\n".join(files) + "\n\n", encoding="utf-8")
    else:
        listing.write_text("\n".join(f"./train/{Path(f).name} " for f in files))
    kinds = {"folder": images, "glob": f"{images}/*.png", "list": files}
    names, pairs = read(kinds.get(source, listing), BY_RULE if infrared == "by rule" else infrared_folder)
    assert [Path(name).resolve() for name in names] == pair_folder.visible
    assert_pairs(pairs, pair_folder)


@pytest.mark.parametrize("source", ["folder", "glob"])
def test_nested_folders_keep_the_relative_path(make_pair_folder, source):
    folder = make_pair_folder(2)
    for i, sub in enumerate(("day", "night")):
        for file in (folder.visible[i], folder.infrared[i]):
            (file.parent / sub).mkdir()
            file.rename(file.parent / sub / "same.png")
    roots = folder.images.parent, folder.root / "infrared"
    names, pairs = read(roots[0] if source == "folder" else f"{roots[0]}/*/*/*.png", roots[1])
    assert [Path(name).parent.name for name in names] == ["day", "night"]
    assert all((pair[..., 3] == pair[..., 0]).all() for pair in pairs)


def test_folder_above_both_cameras(pair_folder):
    assert_pairs(read(pair_folder.root)[1], pair_folder)


def test_list_keeps_its_order(pair_folder):
    assert_pairs(read([pair_folder.visible[i] for i in (3, 0, 2)])[1], pair_folder, [3, 0, 2])


def test_relative_paths_work(pair_folder, monkeypatch):
    monkeypatch.chdir(pair_folder.root)
    assert_pairs(read("images/train")[1], pair_folder)
    assert_pairs(read("images/*/*.png", "infrared")[1], pair_folder)
    assert_pairs(read("images/train/2.png")[1], pair_folder, [2])


def test_substitution_rule_of_the_checkpoint(pair_folder):
    rig = Rig({"from": "images/train", "to": "infrared/train"})
    assert_pairs(read(pair_folder.images, rig=rig)[1], pair_folder)


@pytest.mark.parametrize("source", ["file", "folder", "list"])
def test_no_infrared_image_leaves_the_plane_blank(pair_folder, source):
    kinds = {"file": pair_folder.visible[0], "folder": pair_folder.images, "list": pair_folder.visible}
    _, pairs = read(kinds[source], None)
    assert len(pairs) == (1 if source == "file" else 4)
    np.testing.assert_array_equal(pairs[0][..., :3], read_visible(pair_folder.visible[0]))
    assert not pairs[0][..., 3].any()


def test_real_pairs_by_the_rule(roadscene):
    names, pairs = read(roadscene / "images" / "val", batch=8)
    assert len(names) == len(list((roadscene / "images" / "val").iterdir())) > 0
    assert all(pair.shape[2] == 4 and pair[..., 3].std() > 5 for pair in pairs)


# Batches and laziness ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("batch", "sizes"), [(1, [1, 1, 1, 1]), (3, [3, 1]), (4, [4]), (9, [4])])
def test_batches(pair_folder, batch, sizes):
    loader = load(pair_folder.images, batch=batch)
    assert len(loader) == len(sizes)
    assert [len(pairs) for _, pairs, _ in loader] == sizes
    assert [len(pairs) for _, pairs, _ in loader] == sizes  # and once more


def test_pairs_are_read_as_they_are_needed(pair_folder, monkeypatch):
    seen = []
    monkeypatch.setattr(loaders, "read_visible", lambda file: (seen.append(Path(file).name), read_visible(file))[1])
    counts = lambda reader, file: (seen.append(Path(file).name), read_counts(file))[1]  # noqa: E731
    monkeypatch.setattr(loaders.PairReader, "counts", counts)
    stream = iter(load(pair_folder.images, batch=2))
    assert not seen
    next(stream)
    assert seen == ["0.png", "0.png", "1.png", "1.png"]


def test_log_lines_name_the_files(pair_folder):
    _, _, lines = next(iter(load(pair_folder.images, batch=4)))
    assert lines[3] == f"pair 4/4 {pair_folder.visible[3]}: "


def test_log_lines_tell_the_rate_and_the_time_left(pair_folder, monkeypatch):
    seconds = iter([100.0, 100.5, 102.0, 104.0, 112.0])  # at the start, then at each pair
    monkeypatch.setattr(loaders.time, "monotonic", lambda: next(seconds))
    lines = [line for _, _, lines in load(pair_folder.images) for line in lines]
    rates = ["", " (0.5/s, 0:00:06 left)", " (0.5/s, 0:00:04 left)", " (0.2/s, 0:00:04 left)"]
    assert lines == [
        f"pair {i}/4{rate} {file}: "
        for i, (rate, file) in enumerate(zip(rates, pair_folder.visible, strict=True), start=1)
    ]


# Memory --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def arrays(pair_folder) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The visible images in B, G, R, and the infrared ones."""
    return [cv2.imread(str(f)) for f in pair_folder.visible], [cv2.imread(str(f), 0) for f in pair_folder.infrared]


@pytest.mark.parametrize("form", ["arrays", "PIL images", "array and path", "path and array"])
def test_one_pair_in_memory(pair_folder, arrays, form):
    visible, infrared = arrays[0][0], arrays[1][0]
    if form == "PIL images":
        visible, infrared = Image.open(pair_folder.visible[0]), Image.open(pair_folder.infrared[0])
    elif form == "array and path":
        infrared = pair_folder.infrared[0]
    elif form == "path and array":
        visible = pair_folder.visible[0]
    assert_pairs(read(visible, infrared)[1], pair_folder, [0])
    assert_pairs(read((visible, infrared))[1], pair_folder, [0])
    assert_pairs(read([(visible, infrared)])[1], pair_folder, [0])


@pytest.mark.parametrize("container", [list, tuple])
def test_two_lists_in_memory(pair_folder, arrays, container):
    names, pairs = read(container(arrays[0]), container(arrays[1]), batch=3)
    assert names == [f"image{i}.jpg" for i in range(4)]
    assert_pairs(pairs, pair_folder)


def test_two_lists_of_paths(pair_folder):
    order = [2, 0]
    visible, infrared = ([files[i] for i in order] for files in (pair_folder.visible, pair_folder.infrared))
    assert_pairs(read(visible, infrared)[1], pair_folder, order)


def test_list_of_mixed_pairs(pair_folder, arrays):
    source = [
        (pair_folder.visible[0], pair_folder.infrared[0]),
        (arrays[0][1], arrays[1][1]),
        (Image.open(pair_folder.visible[2]), str(pair_folder.infrared[2])),
        str(pair_folder.visible[3]),
    ]
    assert_pairs(read(source)[1], pair_folder)


def test_list_of_pairs_may_lack_infrared_images(pair_folder, arrays):
    _, [first, second] = read([(arrays[0][0], None), (arrays[0][1], arrays[1][1])])
    assert not first[..., 3].any()
    np.testing.assert_array_equal(second, PairReader().read(pair_folder.visible[1], pair_folder.infrared[1]))


@pytest.mark.parametrize("many", [False, True])
def test_stacked_arrays_are_r_g_b_ir(pair_folder, many):
    stacks = [PairReader().read(v, ir) for v, ir in zip(pair_folder.visible, pair_folder.infrared, strict=True)]
    assert_pairs(read(stacks if many else stacks[0])[1], pair_folder, range(4) if many else [0])


def test_visible_images_in_memory_alone(arrays):
    for _, pairs in (read(arrays[0][0], None), read(arrays[0], None)):
        assert not pairs[0][..., 3].any()
        np.testing.assert_array_equal(pairs[0][..., 2::-1], arrays[0][0])


def test_infrared_image_of_another_size_is_resized(arrays):
    _, [pair] = read(arrays[0][0], cv2.resize(arrays[1][0], (32, 24)))
    assert pair.shape == (48, 64, 4)


def test_tensor_goes_to_the_host_as_it_is():
    pairs = torch.rand(2, 4, 32, 32)
    assert load(pairs) is pairs


# Cameras -------------------------------------------------------------------------------------------------------------
FIXED = Rig.from_yaml({"thermal": {"normalize": "fixed", "range": [7000, 7255]}})


@pytest.fixture
def deep() -> np.ndarray:
    return np.random.default_rng(0).integers(7000, 7256, (48, 64)).astype(np.uint16)


@pytest.mark.parametrize("form", ["array", "(H, W, 1)", "PIL image", "png", "tif", "npy", "float32"])
def test_16_bit_infrared_image_is_normalised_by_the_rig(tmp_path, arrays, deep, form):
    file = tmp_path / f"ir.{form}"
    if form == "npy":
        np.save(file, deep)
    elif form in ("png", "tif"):
        cv2.imwrite(str(file), deep)
    forms = {"array": deep, "(H, W, 1)": deep[..., None], "PIL image": Image.fromarray(deep)}
    forms["float32"] = deep.astype(np.float32)
    _, [pair] = read(arrays[0][0], forms.get(form, file), rig=FIXED)
    np.testing.assert_array_equal(pair[..., 3], deep - 7000)


def test_arrays_of_a_list_are_one_sequence(arrays):
    rig = Rig.from_yaml({"thermal": {"normalize": "minmax", "scope": "sequence"}})
    counts = [np.full((48, 64), 7000 + 85 * i, np.uint16) for i in range(4)]
    _, pairs = read(arrays[0], counts, rig=rig)
    assert [int(pair[0, 0, 3]) for pair in pairs] == [0, 85, 170, 255]


def test_files_of_a_folder_are_one_sequence(pair_folder):
    for i, file in enumerate(pair_folder.infrared):
        cv2.imwrite(str(file), np.full((48, 64), 7000 + 85 * i, np.uint16))
    rig = Rig.from_yaml({"thermal": {"normalize": "minmax", "scope": "sequence"}})
    assert [int(pair[0, 0, 3]) for pair in read(pair_folder.images, rig=rig)[1]] == [0, 85, 170, 255]
    assert [int(pair[0, 0, 3]) for pair in read(pair_folder.visible[1], rig=rig)[1]] == [85]


def test_planes_of_a_stacked_array_are_those_of_the_cameras(pair_folder):
    stack = PairReader().read(pair_folder.visible[0], pair_folder.infrared[0])
    rig = Rig.from_yaml({"thermal": {"invert": True}, "registration": [[1, 0, 3], [0, 1, 0], [0, 0, 1]]})
    _, [pair] = read(stack, rig=rig)
    np.testing.assert_array_equal(pair, read(pair_folder.visible[0], rig=rig)[1][0])


def test_arrays_beside_the_visible_images_are_found(pair_folder):
    for file in pair_folder.infrared[:2]:
        np.save(file.with_suffix(".npy"), cv2.imread(str(file), 0))
    pair_folder.infrared[0].unlink()  # of the other there is an image, so that its array is a cache
    assert_pairs(read(pair_folder.images)[1][1:], pair_folder, [1, 2, 3])
    np.testing.assert_array_equal(read(pair_folder.images)[1][0][..., 3], read(pair_folder.images)[1][0][..., 0])


# Problems ------------------------------------------------------------------------------------------------------------
def test_all_missing_partners_come_in_one_error(pair_folder):
    for i in (0, 2):
        pair_folder.infrared[i].unlink()
    for source in (pair_folder.images, [str(f) for f in pair_folder.visible]):
        with pytest.raises(PairError) as caught:
            load(source)
        lines = str(caught.value).splitlines()
        assert lines[0].startswith("2 problems in source='")
        assert "0.png" in lines[1]
        assert "2.png" in lines[2]
        assert all(
            "add the file, or set 'infrared:' in the data-set YAML (at predict: infrared=)" in x for x in lines[1:]
        )


def test_missing_partner_in_a_folder_is_named(pair_folder, infrared_folder):
    pair_folder.infrared[1].unlink()
    with pytest.raises(PairError, match=rf"looked for '{infrared_folder / '1'}\.\*'"):
        load(pair_folder.images, infrared_folder)


@pytest.mark.parametrize("visible", [4, 5])
def test_lists_of_different_lengths_are_never_cut(pair_folder, arrays, visible):
    first = (arrays[0] * 2)[:visible]
    with pytest.raises(PairError, match=f"{visible} visible and 3 infrared images; give lists with as many of each"):
        load(first, arrays[1][:3])
    with pytest.raises(PairError, match="4 visible and 3 infrared images"):
        load(pair_folder.visible, pair_folder.infrared[:3])


def test_one_infrared_image_does_not_serve_many(pair_folder, arrays):
    with pytest.raises(PairError, match="4 visible and 1 infrared images"):
        load(arrays[0], arrays[1][0])
    for source in (pair_folder.images, pair_folder.visible):
        with pytest.raises(PairError, match=r"infrared='.*0\.png' is one file for 4 visible images; give a folder"):
            load(source, pair_folder.infrared[0])


@pytest.mark.parametrize("form", ["array", "PIL image", "list", "pair and array"])
def test_image_in_memory_needs_its_partner(pair_folder, arrays, form):
    visible = arrays[0][0]
    kinds = {
        "PIL image": Image.fromarray(visible),
        "list": arrays[0],
        "pair and array": [tuple(arrays[0][:2]), visible],
    }
    with pytest.raises(
        PairError, match="no infrared image for an image in memory; give it as infrared=, or infrared=Non"
    ):
        load(kinds.get(form, visible))


@pytest.mark.parametrize("infrared", [None, "array"])
def test_stack_takes_no_infrared_image(arrays, infrared):
    stack = np.dstack((arrays[0][0], arrays[1][0]))
    infrared = arrays[1][0] if infrared == "array" else None
    with pytest.raises(PairError, match=r"an \(H, W, 4\) array already holds the infrared plane; leave infrared= out"):
        load(stack, infrared)
    with pytest.raises(PairError, match="a tensor source already holds the infrared plane"):
        load(torch.rand(1, 4, 32, 32), infrared)


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 32, 32), (32, 32), (1, 32, 32, 4)])
def test_tensor_has_four_channels(shape):
    with pytest.raises(PairError, match=r"must be \(B, 4, H, W\), R, G, B, IR in \[0, 1\], not \("):
        load(torch.rand(shape))


@pytest.mark.parametrize(
    "visible",
    [1.5, {"a": 1}, {"a.png"}, b"a.png", object(), [7], [None], [["a.png"]]],
    ids=lambda kind: type(kind).__name__,
)
@pytest.mark.parametrize("infrared", [BY_RULE, None])
def test_wrong_kind_of_source_is_refused(visible, infrared):
    with pytest.raises(TypeError, match=r"a visible image must be a path, PIL image or .* array, not "):
        load(visible, infrared)


@pytest.mark.parametrize("infrared", [7, [7], torch.zeros(4, 4), "list in list"], ids=lambda kind: type(kind).__name__)
def test_wrong_kind_of_infrared_source_is_refused(arrays, infrared):
    visible = [arrays[0][0]] if isinstance(infrared, list) else arrays[0][0]
    infrared = [arrays[1]] if infrared == "list in list" else infrared
    with pytest.raises(TypeError, match=r"an infrared image must be a path, PIL image or .* array, not "):
        load(visible, infrared)


@pytest.mark.parametrize("infrared", [BY_RULE, None, []])
def test_empty_list_is_refused(infrared):
    with pytest.raises(FileNotFoundError, match="the list of visible images is empty; give at least one"):
        load([], infrared)


@pytest.mark.parametrize("source", ["nowhere", "nowhere/7.png", "nowhere.txt"])
def test_source_that_does_not_exist_is_named(tmp_path, source):
    source = str(tmp_path / source)
    with pytest.raises(
        FileNotFoundError, match=f"'{source}' does not exist; give an image, a folder with images, a glob"
    ):
        load(source)


@pytest.mark.parametrize("source", ["", "*.png", "notes.pdf", "empty.txt"])
def test_source_without_images_is_named(tmp_path, source):
    for name in ("notes.pdf", "empty.txt"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=f"no images in '{tmp_path}.*'; give an image, a folder with images"):
        load(tmp_path / source)


def test_infrared_folder_that_does_not_exist_is_named(pair_folder):
    with pytest.raises(
        FileNotFoundError, match="infrared='nowhere' does not exist; give the file or folder of the part"
    ):
        load(pair_folder.images, "nowhere")


def test_missing_file_of_a_text_list_is_named(pair_folder):
    listing = pair_folder.root / "list.txt"
    listing.write_text(f"{pair_folder.visible[0]}\n{pair_folder.images}/nowhere.png\n")
    with pytest.raises(
        FileNotFoundError,
        match=rf"1 of 2 files listed in '{listing}' do not exist: '{pair_folder.images}/nowhere\.png'",
    ):
        load(listing)


@pytest.mark.parametrize("missing", ["visible", "infrared"])
def test_missing_file_of_two_lists_is_named(pair_folder, missing):
    getattr(pair_folder, missing)[1].unlink()
    with pytest.raises(FileNotFoundError, match=f"'{getattr(pair_folder, missing)[1]}' does not exist"):
        load(pair_folder.visible, pair_folder.infrared)


@pytest.mark.parametrize("camera", ["visible", "infrared"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_file_is_named_when_its_turn_comes(pair_folder, truncate, camera, suffix):
    file = getattr(pair_folder, camera)[1]
    cv2.imwrite(str(file.with_suffix(suffix)), cv2.imread(str(file)))
    if suffix != ".png":
        file.unlink()
    file = truncate(file.with_suffix(suffix))
    stream = iter(load(pair_folder.images))
    next(stream)
    with pytest.raises(PairError, match=f"'{file}' cannot be read"):
        next(stream)


def test_jpeg_that_lacks_only_its_end_is_no_half_image(pair_folder):
    file = pair_folder.visible[0].with_suffix(".jpg")
    cv2.imwrite(str(file), cv2.imread(str(pair_folder.visible[0])))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(PairError, match=rf"'{file}' cannot be read \(.*\); restore the file or remove the pair"):
        read(file, pair_folder.infrared[0])


def test_pair_that_does_not_fit_is_named(pair_folder):
    cv2.imwrite(str(pair_folder.infrared[0]), np.zeros((48, 48), np.uint8))
    visible, infrared = pair_folder.visible[0], pair_folder.infrared[0]
    with pytest.raises(PairError, match=f"'{visible}' and '{infrared}' have different sizes"):
        read(visible)


def test_loader_tells_the_host_what_it_is(pair_folder, arrays):
    files, memory = load(pair_folder.images, batch=2), load(arrays[0], arrays[1], batch=2)
    assert isinstance(files, LoadPairs)
    assert (files.source_type.from_img, memory.source_type.from_img) == (False, True)
    assert (files.nf, files.ni, files.mode, files.video_flag) == (4, 4, "image", [False])


# Batches -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_batch_can_end_where_the_size_changes(make_pair_folder, truncate, batch):
    folder = make_pair_folder(9, sizes=((48, 64), (48, 64), (48, 64), (64, 48), (64, 48)))
    truncate(folder.infrared[1])
    loader = load_pairs(PairedSource(folder.images, on_error="skip"), Rig(), batch)
    loader.alike = True
    for _ in range(2):
        batches = [([Path(name).stem for name in names], pairs, lines) for names, pairs, lines in loader]
        assert [name for names, _, _ in batches for name in names] == list("02345678")
        assert max(len(names) for names, _, _ in batches) == min(batch, 3)
        for names, pairs, lines in batches:
            assert len({pair.shape for pair in pairs}) == 1 and len(names) == len(pairs) == len(lines)
        assert list(loader.skipped) == [str(folder.visible[1])]


def test_pairs_that_are_done_are_left_out_as_often_as_they_are(pair_folder):
    first, second = map(str, pair_folder.visible[:2])
    loader = load([first, second, first, second, first])
    loader.leave_out([first, second, first])
    assert loader.of_files and (loader.nf, loader.done) == (2, 3)
    assert [name for names, _, _ in loader for name in names] == [second, first]
    assert not load(iter(pair_folder.visible)).of_files
