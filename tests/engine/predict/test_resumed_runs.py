"""A run over many pairs that is cut off goes on with `resume=True`, and leaves what an undisturbed one leaves."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO, PairError
from metafusion_yolo.engine.predict import fuser
from metafusion_yolo.engine.predict.fuser import fuse_images
from metafusion_yolo.engine.predict.journal import Journal
from tests.engine.conftest import IMGSZ
from tests.engine.predict.test_outputs import EVERYTHING, LOW, write_videos
from tests.processes import Command, needs_fork

WRITTEN = {"save": True, "save_txt": True, "save_conf": True, **EVERYTHING, **LOW}


@pytest.fixture(scope="module")
def model(run) -> MetaFusionYOLO:
    return MetaFusionYOLO(run.best)


@pytest.fixture(scope="module")
def many(run, tmp_path_factory) -> list[tuple[str, str]]:
    """Forty pairs, every name twice."""
    folder = tmp_path_factory.mktemp("many")
    images = sorted(run.source.glob("*.png"))
    for part in ("images", "infrared"):
        for i in range(40):
            target = folder / part / "ab"[i % 2] / f"{i // 2:02d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run.data.parent / part / "val" / images[i % len(images)].name, target)
    return [
        (str(file), str(folder / "infrared" / file.relative_to(folder / "images")))
        for file in sorted((folder / "images").rglob("*.png"))
    ]


@pytest.fixture(scope="module")
def undisturbed(model, many, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    model.predict(many, project=str(folder), name="p", batch=3, **WRITTEN)
    return contents(folder / "p")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def cut_off(model, source, folder: Path, after: int, **kwargs) -> None:
    stream = model.predict(source, stream=True, project=str(folder), name="p", **{**WRITTEN, **kwargs})
    for _ in range(after):
        next(stream)
    stream.close()


# Detection -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [1, 17])
def test_a_resumed_run_leaves_what_an_undisturbed_one_does(after, model, many, undisturbed, tmp_path):
    cut_off(model, many, tmp_path, after, batch=3)
    folder = tmp_path / "p"
    done = len((folder / Journal.NAME).read_text().splitlines()) - 1
    assert done == after
    with (folder / Journal.NAME).open("a") as journal:  # what a kill may leave: half a line, half a record, ...
        journal.write('"half a li')
    records = (folder / "predictions.json").read_bytes()
    (folder / "predictions.json").write_bytes(records[:-2] + b',\n{"visible": "')
    with (folder / "predictions.csv").open("a") as table:
        table.write(f"{many[-1][0]},")
    (folder / "fused" / "19.png.part").write_bytes(b"half")
    results = model.predict(many, project=str(tmp_path), name="p", batch=3, resume=True, **WRITTEN)
    assert [result.path for result in results] == [visible for visible, _ in many[done:]]
    assert contents(folder) == undisturbed


def test_all_pairs_are_done_once(model, many, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Journal, "add", lambda self, path, add=Journal.add: (seen.append(path), add(self, path)))
    for after in (5, 9, 2):
        cut_off(model, many, tmp_path, after, resume=True)
    model.predict(many, project=str(tmp_path), name="p", resume=True, **WRITTEN)
    assert seen == [visible for visible, _ in many]


@needs_fork
def test_a_killed_process_is_gone_on_with(run, many, undisturbed, tmp_path):
    listing = tmp_path / "pairs.csv"
    listing.write_text("visible,infrared\n" + "".join(f"{visible},{infrared}\n" for visible, infrared in many))
    arguments = {**WRITTEN, "verbose": True, "source": listing, "model": run.best, "project": tmp_path, "name": "p"}
    words = ["predict", "batch=3", "resume=True", *(f"{key}={value}" for key, value in arguments.items())]
    journal, kills = tmp_path / "p" / Journal.NAME, 0

    def done() -> int:
        try:
            return journal.read_text().count("\n")
        except FileNotFoundError:  # not there yet, or no longer: all are done
            return 0

    for wanted in (4, 20, 41):
        process = Command(words, tmp_path / "said.txt")
        process.wait(until=lambda wanted=wanted: done() > wanted)
        if process.code is None:
            process.send(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        assert process.code in (0, -signal.SIGKILL), process.said()[-20:]
    assert kills == 2 and process.code == 0
    assert contents(tmp_path / "p") == undisturbed


def test_a_pair_that_is_repaired_does_not_cost_the_others_again(model, make_pair_folder, truncate, tmp_path):
    folder = make_pair_folder(6)
    whole = folder.infrared[3].read_bytes()
    truncate(folder.infrared[3])
    options = {"project": str(tmp_path), "name": "p", "save_json": True, "save_fused": True, **LOW}
    with pytest.raises(PairError, match=r"3\.png' cannot be read"):
        model.predict(folder.images, **options)
    folder.infrared[3].write_bytes(whole)
    results = model.predict(folder.images, resume=True, **options)
    assert [Path(result.path).name for result in results] == ["3.png", "4.png", "5.png"]
    assert len(list((tmp_path / "p" / "fused").iterdir())) == 6


def test_pairs_that_were_skipped_are_counted_and_listed_at_the_end(model, make_pair_folder, truncate, tmp_path, caplog):
    folder = make_pair_folder(6)
    for i in (1, 4):
        truncate(folder.infrared[i])
    options = {"project": str(tmp_path), "name": "p", "save_json": True, "on_error": "skip", **LOW}
    results = model.predict(folder.images, **{**options, "verbose": True})
    assert len(results) == 4
    [skipped] = [record for record in caplog.records if "pairs skipped:" in record.message]
    told = skipped.message
    assert "2 of 6 pairs skipped:" in told and "1.png' cannot be read" in told and "4.png'" in told
    assert not any("pair 6/6" in record.message for record in caplog.records[caplog.records.index(skipped) :])
    assert not (tmp_path / "p" / Journal.NAME).exists()


def test_a_run_of_which_only_wrong_pairs_are_left_ends(model, make_pair_folder, truncate, tmp_path):
    folder = make_pair_folder(3)
    truncate(folder.infrared[2])
    cut_off(model, folder.images, tmp_path, 2, on_error="skip")
    assert model.predict(folder.images, project=str(tmp_path), name="p", resume=True, on_error="skip", **WRITTEN) == []
    assert len(list((tmp_path / "p" / "fused").iterdir())) == 2


# What cannot be ------------------------------------------------------------------------------------------------------
def test_a_run_is_resumed_with_its_own_settings(model, many, tmp_path):
    cut_off(model, many, tmp_path, 3)
    before = contents(tmp_path / "p")
    for change, told in (
        ({"conf": 0.9}, "was started with conf=0.0005, not 0.9; resume it with the same arguments"),
        ({"save_weights": False}, "was started with save_weights=True, not False"),
    ):
        with pytest.raises(ValueError, match=told):
            model.predict(many, project=str(tmp_path), name="p", resume=True, **{**WRITTEN, **change})
    assert contents(tmp_path / "p") == before


def test_a_finished_run_is_not_resumed(model, many, tmp_path):
    options = {"project": str(tmp_path), "name": "p", "resume": True, **WRITTEN}
    model.predict(many[:2], **options)  # there was none: it starts
    before = contents(tmp_path / "p")
    with pytest.raises(ValueError, match=r"the run in '.*p' is finished, nothing to resume; give another name="):
        model.predict(many[:2], **options)
    assert contents(tmp_path / "p") == before


def test_what_has_no_files_is_not_resumed(model, many, tmp_path):
    refused = "in memory start over"
    options = {"resume": True, "project": str(tmp_path), "name": "p", **LOW}
    videos = write_videos(tmp_path, frames=2)
    for arguments in (
        {"source": many},  # nothing is written
        {"source": torch.zeros(1, 4, IMGSZ, IMGSZ), "save": True},
        {"source": iter([many[0]]), "save": True},
        {**videos, "save": True},
        {"source": many, "save": True, "save_crop": True},
    ):
        with pytest.raises(ValueError, match=refused):
            model.predict(**arguments, **options)
    with pytest.raises(ValueError, match=refused):
        model.track(many, save=True, **options)
    with pytest.raises(ValueError, match=refused):
        list(fuse_images(**videos, method="average", resume=True, project=str(tmp_path), name="f"))
    assert not (tmp_path / "p").exists() and not (tmp_path / "f").exists()


# Fused images --------------------------------------------------------------------------------------------------------
def test_fused_images_are_gone_on_with(model, many, tmp_path):
    options = {"verbose": False, "imgsz": IMGSZ}
    expected = [file.name for file in model.fuse_images(many, project=str(tmp_path), name="whole", **options)]
    stream = model.fuse_images(many, project=str(tmp_path), name="cut", **options)
    first = [next(stream) for _ in range(7)]
    stream.close()
    kept = {file: file.stat().st_mtime_ns for file in first}
    files = [*model.fuse_images(many, project=str(tmp_path), name="cut", resume=True, **options)]
    assert [file.name for file in files] == expected
    assert {file: file.stat().st_mtime_ns for file in first} == kept
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    with pytest.raises(ValueError, match="is finished, nothing to resume"):
        list(fuse_images(many, method="average", project=str(tmp_path), name="cut", resume=True))


def test_blocks_that_end_in_any_order_keep_their_names(many, tmp_path, monkeypatch):
    def backwards(make, blocks, *_):
        work = make("cpu")
        return ((number, work(blocks[number])) for number in reversed(range(len(blocks))))

    (tmp_path / "bad.png").write_bytes(b"no image")
    pairs = [*many[:-1], (many[-1][0], str(tmp_path / "bad.png"))]
    options = {"method": "average", "on_error": "skip", "verbose": False, "project": str(tmp_path)}
    assert len([*fuse_images(pairs, name="whole", **options)]) == 39
    monkeypatch.setattr(fuser, "each", backwards)
    stream = fuse_images(pairs, name="cut", engine="ray", **options)
    first = [next(stream) for _ in range(7)]
    stream.close()
    files = [*fuse_images(pairs, name="cut", engine="ray", resume=True, **options)]
    assert {*first} < {*files} and len(files) == 39 and all(file.is_file() for file in files)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_full_disk_stops_fusing_and_is_gone_on_with(model, many, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    options = {"verbose": False, "imgsz": IMGSZ, "project": str(tmp_path), "name": "f"}
    stream = model.fuse_images(many, **options)
    next(stream)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match=r"cannot write '.*\.png': File too large"):
            list(stream)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(file.suffix for file in (tmp_path / "f").iterdir()) == [".png", ".txt"]
    assert len([*model.fuse_images(many, resume=True, **options)]) == 40
