"""A manifest in, Parquet files out: what each row says, what is done again, and what a killed worker costs."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from benchmarks.scale import disturbed, rows, write_model, write_pairs
from metafusion_yolo import scale
from metafusion_yolo.cli import main
from metafusion_yolo.runtime import Detector, read_counts, read_visible
from metafusion_yolo.scale.store import Store
from metafusion_yolo.scale.work import _columns
from metafusion_yolo.serve.engines import Found
from metafusion_yolo.support.errors import UserError
from metafusion_yolo.support.files import replacing
from tests.conftest import draw_visible

pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
COUNT = 11  # pairs, in three files


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An ONNX file that finds something everywhere, beside its checkpoint."""
    return write_model(tmp_path_factory.mktemp("model"), 64)


@pytest.fixture
def manifest(tmp_path) -> Path:
    """Pairs of two sizes and depths, relative to their manifest: one missing, one damaged, one without a name."""
    lines = ["infrared,visible,time"]
    for i in range(COUNT):
        image, _ = draw_visible(i, *((48, 64) if i % 3 else (40, 40)))
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
        np.save(tmp_path / f"{i}.npy", image[..., 0].astype(np.uint16) * 20 + 7000)
        lines.append(f"{i}.npy,{i}.png,12:00")
    (tmp_path / "3.png").unlink()
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:60])
    lines[-1] = ",10.png,12:00"
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path / "pairs.csv"


def test_each_row_is_what_the_runtime_finds_or_an_error(model, manifest, tmp_path) -> None:
    done = scale.predict(model, manifest, tmp_path / "out")
    assert (done.pairs, done.before, done.failed) == (COUNT, 0, 3) and "3 pairs have an error" in str(done)
    found, detector = rows(tmp_path / "out").to_pylist(), Detector(model)
    assert [row["row"] for row in found] == list(range(COUNT))
    assert {i: row["error"] is not None for i, row in enumerate(found)} == {i: i in (3, 5, 10) for i in range(COUNT)}
    assert found[10]["error"] == "the manifest names no infrared image" and "3.png" in found[3]["error"]
    for i in {*range(COUNT)} - {3, 5, 10}:
        alone = detector(read_visible(tmp_path / f"{i}.png"), read_counts(tmp_path / f"{i}.npy"))
        assert len(alone.scores) and found[i]["visible"] == f"{i}.png" and len(found[i]["model"]) == 64
        assert np.allclose(found[i]["boxes"], alone.boxes_xyxy, atol=0.01)
        assert (
            np.allclose(found[i]["scores"], alone.scores, atol=1e-5) and found[i]["classes"] == alone.classes.tolist()
        )
        assert found[i]["infrared_weight"] == pytest.approx(alone.fusion_weights[1].mean(), abs=1e-5)
        assert len(found[i]["weights"]) == len(alone.scores) and (found[i]["height"] == 40) == (i % 3 == 0)


def test_what_is_done_stays_and_what_is_missing_is_done(model, manifest, tmp_path, caplog) -> None:
    whole, shares = tmp_path / "whole", tmp_path / "shares"
    scale.predict(model, manifest, whole)
    table, (first, second, third) = rows(whole), sorted(whole.glob("*.parquet"))
    second.unlink()
    (whole / f"_{third.name}.0123.part").write_bytes(b"a write that was cut off")
    third.unlink()
    before = first.stat().st_mtime_ns
    assert scale.predict(model, manifest, whole).before == 4 and first.stat().st_mtime_ns == before
    assert rows(whole).equals(table)
    second.write_bytes(second.read_bytes()[:-100])
    third.write_bytes(b"")
    assert scale.predict(model, manifest, whole).before == 4 and rows(whole).equals(table)
    assert "2 files are damaged, and done again, for example '" in caplog.text
    assert scale.predict(model, manifest, whole).before == COUNT
    assert main(["predict", f"model={model}", f"source={manifest}", f"out={shares}", "part=2/2"]) == 0
    assert [file.name for file in shares.glob("*.parquet")] == [second.name]
    assert scale.predict(model, manifest, shares, part="1/2").pairs == 7
    assert rows(shares).equals(table)


def test_addresses_that_fsspec_opens_and_a_checkpoint(model, manifest, tmp_path) -> None:
    far = fsspec.filesystem("memory")
    for file in tmp_path.glob("*.[np][pn]*"):
        far.pipe_file(f"/there/{file.name}", file.read_bytes())
    names = [f"memory://there/{i}" for i in (0, 1, 2, 4)]
    pairs = pa.table({"visible": [f"{one}.png" for one in names], "infrared": [f"{one}.npy" for one in names]})
    with far.open("/there/pairs.parquet", "wb") as file:
        pq.write_table(pairs, file)
    scale.predict(model.with_suffix(".pt"), "memory://there/pairs.parquet", "memory://found", imgsz=64, device="cpu")
    with far.open("/found/part-0000000.parquet", "rb") as file:
        found = pq.read_table(file).to_pylist()
    scale.predict(model, manifest, tmp_path / "near")
    near = {row["visible"]: row for row in rows(tmp_path / "near").to_pylist()}
    for row in found:
        same = near[Path(row["visible"]).name]
        assert len(row["scores"]) and np.allclose(row["scores"], same["scores"], atol=1e-3)
        apart = np.abs(np.subtract(np.expand_dims(row["boxes"], 1), same["boxes"])).max(2)
        mine, its = linear_sum_assignment(apart)  # one to one; boxes of equal score come in any order
        assert len(mine) == len(row["boxes"]) == len(same["boxes"]) and apart[mine, its].max() < 0.1
        assert np.allclose(row["weights"], np.array(same["weights"])[its], atol=0.01)


def test_a_manifest_within_an_archive_names_its_neighbours(model, manifest, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in (manifest, tmp_path / "0.png", tmp_path / "0.npy"):
            archive.write(file, f"night/{file.name}")
    scale.predict(model, f"zip://night/pairs.csv::{tmp_path}/all.zip", tmp_path / "out", part="1/3")
    assert rows(tmp_path / "out")["error"].is_null().to_pylist() == [True, False, False, False]


def test_what_a_task_finds_is_kept(tmp_path) -> None:
    heat = {"min": 20.0, "mean": 21.5, "max": 30.0, "contrast": None, "hot": {"x": 4.0, "y": 5.0}, "unit": "celsius"}
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
    one = np.float32([[1, 2, 3, 4]]), np.float32([0.5]), np.array([0])
    told = {
        "outlines": [np.array([[1, 2], [3, 2], [3, 4]])],
        "keypoints": np.float32([[[1, 2, 0.5], [3, 4, 1]]]),
        "temperatures": [heat],
    }
    found = Found((8, 9), *one, None, None, {}, **told), Found((8, 9), *none, None, None, {}, probabilities=one[1])
    Store(str(tmp_path)).write(0, [_columns(one) for one in found], {0: "car"})
    table = rows(tmp_path)
    assert {name: table[name][0].as_py() for name in told} == {
        "outlines": [[[1, 2], [3, 2], [3, 4]]],
        "keypoints": [[[1, 2, 0.5], [3, 4, 1]]],
        "temperatures": [heat],
    }
    assert table["probabilities"].to_pylist() == [None, [0.5]]


@pytest.mark.parametrize(
    ("content", "given", "says"),
    [
        ("a,b\n1,2\n", {}, "has no column 'visible' but 'a', 'b'; give visible and infrared"),
        ("visible,infrared\n", {}, "no pairs in"),
        ("visible,infrared\n1,2,3\n", {}, "is not a CSV file"),
        (
            "visible,visible,infrared\n1,2,3\n",
            {},
            "has other columns .*; give visible and",
        ),
        ("visible,infrared\nhere://a,b\n", {}, "unknown scheme 'here://' in 'here://a'"),
        (
            "visible,infrared\nftp://127.0.0.1:9/a,b\n",
            {},
            "none of 1 pairs could be used, for example: ConnectionRefused",
        ),
        ("visible,infrared\nmemory://a,b\n", {"engine": "ray"}, "which the workers cannot read"),
        ("visible,infrared\na.png,b.png\n", {}, "none of 1 pairs could be used, for example: FileNotFoundError"),
        ("", {"part": "4/3"}, "'part=4/3' is invalid"),
        ("", {"workers": 2}, "'workers=2' needs engine=ray"),
        ("", {"engine": "spark"}, "known: local, ray"),
    ],
)
def test_a_mistake_costs_a_line(model, tmp_path, content, given, says) -> None:
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(UserError, match=says) as caught:
        scale.predict(model, tmp_path / "pairs.csv", tmp_path / "out", **given)
    assert "\n" not in str(caught.value)


def test_results_of_something_else_are_left_alone(model, manifest, tmp_path) -> None:
    scale.predict(model, manifest, tmp_path / "out", part="1/3")
    other = shutil.copy(model, tmp_path / "other.onnx")
    with Path(other).open("ab") as file:
        file.write(b"\x82\x01\x00")  # an unknown, empty field
    with pytest.raises(UserError, match="results of another model"):
        scale.predict(other, manifest, tmp_path / "out")
    with pytest.raises(UserError, match=r"results of another conf, 0\.25 and not 0\.5"):
        scale.predict(model, manifest, tmp_path / "out", conf=0.5)


def test_what_is_no_run_or_no_text_is_said(model, manifest, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_run.json").write_text("[1]")
    with pytest.raises(UserError, match=r"_run\.json' is damaged"):
        scale.predict(model, manifest, tmp_path / "out")
    images = tmp_path / "images.parquet"
    pq.write_table(pa.table({key: [{"bytes": b"1"}] for key in ("visible", "infrared")}), images)
    with pytest.raises(UserError, match=r"has other columns .*struct"):
        scale.predict(model, images, tmp_path / "new")
    images.write_bytes(images.read_bytes()[:-40] + b"\xff" * 32 + images.read_bytes()[-8:])
    with pytest.raises(UserError, match="is not a Parquet file"):
        scale.predict(model, images, tmp_path / "new")


def test_an_address_that_does_not_answer_is_named(model, manifest, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("metafusion_yolo.scale.work.TRIES", 1)
    manifest.write_text("visible,infrared\nftp://127.0.0.1:9/a,b\n0.png,0.npy\n")
    scale.predict(model, manifest, tmp_path / "out")
    assert [str(row["error"])[:17] for row in rows(tmp_path / "out").to_pylist()] == ["ConnectionRefused", "None"]
    for source, out in (("ftp://127.0.0.1:9/pairs.csv", "found"), (manifest, "ftp://127.0.0.1:9/found")):
        with pytest.raises(UserError, match=r"'ftp://127.0.0.1:9/\w+.*' cannot be reached \(.*refused"):
            scale.predict(model, source, out)


def test_two_jobs_may_write_the_same_file(tmp_path) -> None:
    store = Store(str(tmp_path))
    with replacing(tmp_path / "_run.json", writer="another") as other:
        other.write_text("half of")
        store.begin({"model": "a"})
        other.write_text('{"model": "a"}')
    store.begin({"model": "a"})
    assert [file.name for file in tmp_path.iterdir()] == ["_run.json"]


def test_without_ray(model, manifest, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(scale, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs ray, which is not installed: pip install 'metafusion-yolo\[scale\]'"):
        scale.predict(model, manifest, tmp_path / "out", engine="ray")


@pytest.mark.slow
def test_killed_workers_and_a_killed_driver_cost_no_pair(model, tmp_path) -> None:
    pytest.importorskip("ray")
    pairs = write_pairs(tmp_path, 400, (64, 48))
    scale.predict(model, pairs, tmp_path / "whole")
    told = disturbed(model, pairs, tmp_path / "out", 2, rows(tmp_path / "whole"), None)
    assert told["every pair once"] and told["as undisturbed"] and told["boxes"], told
    assert 0 < told["files after both kills"] < told["files in the end"] and not told["written again"], told
