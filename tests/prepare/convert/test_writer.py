"""All of a data set is written, or nothing; again changes nothing; what is not ours is never touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from PIL.PngImagePlugin import PngImageFile

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.prepare.convert import convert, writer
from tests.prepare.convert.miniatures import MINIATURES, voc, voc_object


@pytest.fixture
def src(tmp_path) -> Path:
    """LLVIP, three pairs."""
    MINIATURES["llvip"].write(tmp_path / "downloads" / "LLVIP")
    return tmp_path / "downloads" / "LLVIP"


@pytest.fixture
def dst(tmp_path) -> Path:
    return tmp_path / "my data" / "llvip"


def state(root: Path) -> dict[str, tuple]:
    """Return all there is to know of the files below a folder, hidden ones too."""
    files = [Path(folder, name) for folder, folders, names in os.walk(root) for name in (*folders, *names)]
    return {str(file): (file.lstat().st_mtime_ns, file.lstat().st_ino, file.lstat().st_size) for file in files}


# Once, twice ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MINIATURES)
@pytest.mark.parametrize("copy", [False, True])
def test_a_second_run_changes_nothing_and_says_so(tmp_path, name, copy) -> None:
    MINIATURES[name].write(tmp_path / "src")
    first = convert(name, tmp_path / "src", tmp_path / "dst", copy=copy)
    before = state(tmp_path)
    second = convert(name, tmp_path / "src", tmp_path / "dst", copy=copy)
    assert state(tmp_path) == before
    assert (first.unchanged, second.unchanged) == (False, True)
    assert str(second) == f"{first}\n\nNothing changed since the last conversion: nothing was written."
    assert second.yaml == first.yaml


def test_caches_of_the_host_are_no_change(src, dst) -> None:
    convert("llvip", src, dst)
    (dst / "labels" / "train.cache").write_bytes(b"cache")
    (dst / "images" / "train" / "010001.0123abcd.pair.npy").write_bytes(b"cache")
    assert convert("llvip", src, dst).unchanged


@pytest.mark.parametrize(
    "change",
    [
        lambda src: voc(src / "Annotations" / "010002.xml", voc_object("person", (8, 6, 24, 18))),
        lambda src: (src / "infrared/train/010001.jpg").unlink(),
    ],
    ids=["label", "image"],
)
def test_after_a_change_of_the_source_it_is_converted_anew(src, dst, change, tmp_path) -> None:
    convert("llvip", src, dst)
    change(src)
    assert not convert("llvip", src, dst).unchanged
    convert("llvip", src, tmp_path / "fresh")
    names = [{file.relative_to(root).as_posix() for file in root.rglob("*.*")} for root in (dst, tmp_path / "fresh")]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda dst: (dst / "labels/train/010001.txt").write_text("0 0.5 0.5 0.5 0.5"),
        lambda dst: (dst / "images/train/010001.jpg").unlink(),
        lambda dst: (dst / "images/train/mine.jpg").touch(),
        lambda dst: (dst / "llvip.yaml").open("a").write("registration: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]"),
    ],
    ids=["label", "image", "more", "YAML"],
)
def test_what_was_changed_by_hand_is_kept(src, dst, change) -> None:
    convert("llvip", src, dst)
    change(dst)
    before = state(dst)
    for copy in (False, True):
        with pytest.raises(ValueError, match=r"was changed since its conversion; delete it or name"):
            convert("llvip", src, dst, copy=copy)
    assert state(dst) == before


def test_folders_of_the_source_may_be_links(src, dst, tmp_path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("visible", "infrared", "Annotations"):
        (linked / name).symlink_to(src / name)
    assert convert("llvip", linked, dst).pairs == {"train": 2, "test": 1}
    voc(src / "Annotations" / "010002.xml", voc_object("person", (8, 6, 24, 18)))
    assert convert("llvip", linked, dst).boxes["person"]["train"] == 3


def test_other_options_replace_an_earlier_conversion(src, dst) -> None:
    convert("llvip", src, dst)
    report = convert("llvip", src, dst, copy=True)
    assert (report.files, report.unchanged) == ("copied", False)
    assert not any(file.is_symlink() for file in dst.rglob("*"))


def test_another_format_replaces_an_earlier_conversion(src, dst, tmp_path) -> None:
    convert("llvip", src, dst)
    MINIATURES["yolo"].write(tmp_path / "other")
    convert("yolo", tmp_path / "other", dst)
    assert sorted(path.name for path in dst.iterdir()) == [
        "conversion.json",
        "images",
        "infrared",
        "labels",
        "yolo.yaml",
    ]


# Interrupted ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full"), MemoryError])
@pytest.mark.parametrize("part", ["place", "label_rows", "_write_yaml", "image_size"])
def test_an_interrupted_run_leaves_nothing(src, dst, monkeypatch, error, part) -> None:
    calls, real = [], getattr(writer, part)

    def fail(*args):
        calls.append(args)
        if len(calls) > (0 if part == "_write_yaml" else 2):
            raise error
        return real(*args)

    monkeypatch.setattr(writer, part, fail)
    dst.parent.mkdir()
    with pytest.raises(error if isinstance(error, type) else type(error)):
        convert("llvip", src, dst)
    assert list(dst.parent.iterdir()) == []


def test_an_interrupted_run_leaves_an_earlier_conversion_as_it_was(src, dst, monkeypatch) -> None:
    convert("llvip", src, dst)
    before = state(dst.parent)
    monkeypatch.setattr(writer, "place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        convert("llvip", src, dst, copy=True)
    assert state(dst.parent) == before


def test_where_it_cannot_be_moved_the_earlier_conversion_comes_back(src, dst, monkeypatch) -> None:
    convert("llvip", src, dst)
    before, rename = state(dst), Path.rename

    def fail(path, target):
        if path.name.endswith(".partial"):
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no"):
        convert("llvip", src, dst, copy=True)
    assert state(dst) == before
    assert list(dst.parent.iterdir()) == [dst]


def test_leftovers_of_a_killed_run_are_cleared(src, dst) -> None:
    for name in (".llvip.partial", ".llvip.old"):
        (dst.parent / name / "images").mkdir(parents=True)
    convert("llvip", src, dst)
    assert [path.name for path in dst.parent.iterdir()] == ["llvip"]


# Whose folder it is --------------------------------------------------------------------------------------------------
def test_an_empty_folder_is_taken(src, dst) -> None:
    dst.mkdir(parents=True)
    assert convert("llvip", src, dst).yaml.is_file()


@pytest.mark.parametrize("name", ["thesis.tex", "images/train/mine.jpg", ".git/config", "conversion.json"])
def test_a_folder_with_something_else_is_refused(src, dst, name) -> None:
    (dst / name).parent.mkdir(parents=True)
    (dst / name).write_text("{}")
    before = state(dst)
    with pytest.raises(
        ValueError, match=f"dst=.*llvip holds '{name.split('/')[0]}', which is not from a conversion; name"
    ):
        convert("llvip", src, dst)
    assert state(dst) == before


def test_a_conversion_to_which_something_was_added_is_refused(src, dst) -> None:
    convert("llvip", src, dst)
    (dst / "notes.txt").touch()
    (src / "visible/train/010001.jpg").touch()
    with pytest.raises(ValueError, match=r"holds 'notes\.txt', which is not from a conversion"):
        convert("llvip", src, dst)


def test_a_file_is_refused(src, dst) -> None:
    dst.parent.mkdir()
    dst.touch()
    with pytest.raises(ValueError, match="llvip is a file; name a new or an empty folder"):
        convert("llvip", src, dst)


@pytest.mark.parametrize("where", [".", "converted", ".."])
def test_source_and_destination_lie_apart(src, where) -> None:
    with pytest.raises(ValueError, match="must not contain one another; name a folder elsewhere"):
        convert("llvip", src, src / where)


def test_a_missing_source_is_named(dst) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"no folder '{dst}/none'; src= must name the root folder of the data set"
    ):
        convert("llvip", dst / "none", dst)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "llvp"}, "unknown format 'llvp', did you mean 'llvip'?"),
        ({"labels": "visable"}, "'labels=visable' is invalid, did you mean 'visible'?"),
        ({"labels": "union"}, "labels=union, but 'llvip' is labelled once for both cameras here; leave labels= out"),
    ],
)
def test_wrong_options(src, dst, arguments, message) -> None:
    with pytest.raises(ValueError) as error:
        convert(**{"format": "llvip", "src": src, "dst": dst, **arguments})
    assert str(error.value) == message
    assert not dst.exists()


def test_nothing_to_validate_with(src, dst) -> None:
    for file in (src / "infrared/test").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="expected pairs to train and to validate with, found splits: train; is src="):
        convert("llvip", src, dst)
    assert not dst.exists()


# Images --------------------------------------------------------------------------------------------------------------
def test_where_links_are_refused_files_are_copied(src, dst, monkeypatch) -> None:
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(os, "symlink", refuse)
    convert("llvip", src, dst)
    image = dst / "images/train/010001.jpg"
    assert not image.is_symlink()
    assert image.samefile(src / "visible/train/010001.jpg")
    monkeypatch.setattr(os, "link", refuse)
    shutil.rmtree(dst)
    convert("llvip", src, dst)
    assert not image.samefile(src / "visible/train/010001.jpg")
    assert image.read_bytes() == (src / "visible/train/010001.jpg").read_bytes()


def test_of_a_png_only_the_head_is_read(tmp_path, monkeypatch) -> None:
    """Pillow decodes all of a PNG to look for an orientation behind its pixels: a minute for a thousand images."""
    MINIATURES["vedai"].write(tmp_path / "src")
    monkeypatch.setattr(PngImageFile, "load", lambda self: pytest.fail("decoded"))
    assert convert("vedai", tmp_path / "src", tmp_path / "dst").pairs == {"train": 2, "test": 1}


def test_a_border_needs_an_image(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(PairError, match="cannot be read as an image"):
        writer.cut_image(tmp_path / "a.jpg", 100)


def test_the_yaml_says_where_it_comes_from(src, dst) -> None:
    report = convert("llvip", src, dst)
    text = report.yaml.read_text()
    assert text.startswith(
        "# LLVIP (Jia et al., 2021), bupt-ai-cz.github.io/LLVIP\n# split: as published; the test split"
    )
    assert yaml.safe_load(text) == {
        "path": str(dst),
        "train": "images/train",
        "val": "images/test",
        "test": "images/test",
        "infrared": "infrared",
        "names": {0: "person"},
    }


def test_the_report_counts_and_names(src, dst) -> None:
    (src / "infrared/train/010002.jpg").unlink()
    assert str(convert("llvip", src, dst)) == (
        "LLVIP (Jia et al., 2021), bupt-ai-cz.github.io/LLVIP\n"
        "  split: as published; the test split validates\n"
        "  images: linked\n"
        "\n"
        "          train   test\n"
        "  pairs       1      1\n"
        "  person      2      1\n"
        "\n"
        "Left out or changed:\n"
        f"       1  pair without its infrared image; first: {src}/visible/train/010002.jpg"
    )
