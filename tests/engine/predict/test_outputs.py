"""What a run leaves on disk, from Python and from the command line, read back."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from ultralytics.utils.checks import check_yaml

from metafusion_yolo import MetaFusionYOLO, cli
from tests.engine.conftest import IMGSZ
from tests.engine.predict.test_writers import frames_of
from tests.processes import Command, needs_fork

LOW = {"conf": 0.0005, "imgsz": IMGSZ, "verbose": False, "max_det": 5}
EVERYTHING = {"save_fused": True, "save_weights": True, "save_json": True, "save_csv": True}


@pytest.fixture(scope="module")
def model(run) -> MetaFusionYOLO:
    return MetaFusionYOLO(run.best)


@pytest.fixture(scope="module")
def onnx(model) -> MetaFusionYOLO:
    return MetaFusionYOLO(model.export(format="onnx", imgsz=IMGSZ))


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    """A pair of videos of 12 frames at 10 a second: a bright square moves over noise."""
    return write_videos(tmp_path_factory.mktemp("videos"), frames=12)


def write_videos(folder: Path, frames: int) -> dict[str, Path]:
    noise = np.random.default_rng(0).integers(0, 90, (64, 64, 3), dtype=np.uint8)
    paths = {"source": folder / "clip.mp4", "infrared": folder / "heat.mp4"}
    writers = [cv2.VideoWriter(str(p), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64)) for p in paths.values()]
    for i in range(frames):
        frame = noise.copy()
        frame[20:44, 4 + i % 30 : 24 + i % 30] = 220
        for writer in writers:
            writer.write(frame)
    for writer in writers:
        writer.release()
    return paths


def visible_files(run) -> list[Path]:
    return sorted(run.source.glob("*.png"))


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def written(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# Images --------------------------------------------------------------------------------------------------------------
def test_json_and_csv_tell_of_every_detection(run, model, tmp_path):
    results = model.predict(run.source, project=str(tmp_path), name="p", save_json=True, save_csv=True, **LOW)
    assert written(tmp_path / "p") == ["predictions.csv", "predictions.json"]
    records = json.loads((tmp_path / "p" / "predictions.json").read_text())
    infrared = run.data.parent / "infrared" / "val"
    assert [Path(r["visible"]) for r in records] == visible_files(run)
    assert [Path(r["infrared"]) for r in records] == [infrared / f.name for f in visible_files(run)]
    for record, result in zip(records, results, strict=True):
        assert (record["frame"], record["time"], record["modalities"]) == (None, None, "both")
        assert (record["height"], record["width"]) == result.orig_shape
        assert record["detections"] == result.summary() and len(result) > 0
        assert [d["infrared_weight"] for d in record["detections"]] == pytest.approx(result.box_weights[:, 1], abs=1e-5)
    flat = [(r["visible"], d) for r in records for d in r["detections"]]
    table = rows(tmp_path / "p" / "predictions.csv")
    assert len(table) == len(flat)
    for row, (visible, detection) in zip(table, flat, strict=True):
        assert row["visible"] == visible and row["modalities"] == "both"
        assert row["name"] == detection["name"] and row["track_id"] == row["time"] == ""
        box = [float(row[key]) for key in ("x1", "y1", "x2", "y2")]
        assert box == pytest.approx(list(detection["box"].values()))
        assert float(row["infrared_weight"]) == pytest.approx(detection["infrared_weight"])


def test_fused_images_and_weight_maps_are_written(run, model, tmp_path):
    results = model.predict(run.source, project=str(tmp_path), name="p", save_fused=True, save_weights=True, **LOW)
    for result, file in zip(results, visible_files(run), strict=True):
        assert result.fused_path == tmp_path / "p" / "fused" / f"{file.stem}.png"
        assert np.array_equal(cv2.imread(str(result.fused_path)), result.image("fused"))
        overlay = cv2.imread(str(tmp_path / "p" / "weights" / f"{file.stem}.png"))
        height = result.orig_shape[0]
        assert np.array_equal(overlay[:height], result.image("weights")) and overlay.shape[0] > height


def test_names_of_all_outputs_agree_where_stems_repeat(run, model, tmp_path):
    source = run.data.parent / "images" / "val"
    infrared = run.data.parent / "infrared" / "val" / visible_files(run)[0].name
    copies = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "a" / "x.bmp", tmp_path / "a" / "x-2.png"]
    for i, copy in enumerate(copies):
        copy.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(copy), cv2.imread(str(sorted(source.glob("*.png"))[i])))
    options = {"save": True, "save_txt": True, "show_boxes": False, **EVERYTHING}
    results = model.predict([(c, infrared) for c in copies], project=str(tmp_path), name="p", **options, **LOW)
    stems = ["x", "x-2", "x-2-2", "x-3"]
    for folder, suffix in (("fused", "png"), ("weights", "png"), ("labels", "txt"), (".", "jpg")):
        assert sorted(p.stem for p in (tmp_path / "p" / folder).glob(f"*.{suffix}")) == stems
    for result in results:  # the same name for the same pair: the drawn image is that of the fused one
        drawn = cv2.imread(str(tmp_path / "p" / f"{result.fused_path.stem}.jpg")).astype(int)
        assert np.median(np.abs(drawn - result.image("fused"))) < 4
    assert len({record["visible"] for record in json.loads((tmp_path / "p" / "predictions.json").read_text())}) == 4


def test_a_file_that_holds_both_cameras_is_told_of_twice(run, model, tmp_path):
    both = tmp_path / "both.png"
    infrared = run.data.parent / "infrared" / "val" / visible_files(run)[0].name
    cv2.imwrite(str(both), np.hstack((cv2.imread(str(visible_files(run)[0])), cv2.imread(str(infrared)))))
    model.predict(both, layout="horizontal", save_json=True, project=str(tmp_path), name="p", **LOW)
    [record] = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert record["visible"] == record["infrared"] == str(both)
    assert record["width"] == cv2.imread(str(infrared)).shape[1]


def test_nothing_is_overwritten_unless_it_may_be(run, model, tmp_path):
    options = {"project": str(tmp_path), "name": "p", "save": True, "save_crop": True, **EVERYTHING, **LOW}
    first = visible_files(run)[0]
    model.predict(first, **options)
    before = {name: (tmp_path / "p" / name).read_bytes() for name in written(tmp_path / "p")}
    model.predict(visible_files(run)[1], **options)  # the same model, hence the same predictor
    MetaFusionYOLO(run.best).predict(first, **options)
    assert {name: (tmp_path / "p" / name).read_bytes() for name in written(tmp_path / "p")} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "p-2", "p-3"]
    model.predict(first, exist_ok=True, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "p-2", "p-3"]
    assert len(json.loads((tmp_path / "p" / "predictions.json").read_text())) == 1


def test_a_run_that_writes_nothing_leaves_nothing(run, model, tmp_path):
    model.predict(run.source, project=str(tmp_path), name="p", **LOW)
    assert list(tmp_path.iterdir()) == []
    line = ["predict", f"model={run.best}", f"source={run.source}", f"imgsz={IMGSZ}", "embed=[3]"]
    assert cli.main([*line, f"project={tmp_path}"]) == 0, "embeddings are only returned"
    assert written(tmp_path / "predict") == []


def test_what_was_done_is_kept_when_the_run_is_given_up(run, model, tmp_path):
    stream = model.predict(run.source, stream=True, project=str(tmp_path), name="p", **EVERYTHING, **LOW)
    next(stream), next(stream)
    stream.close()
    assert len(json.loads((tmp_path / "p" / "predictions.json").read_text())) == 2
    assert len(list((tmp_path / "p" / "fused").iterdir())) == 2


# Videos --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride", [1, 3])
def test_a_video_gives_videos_and_times(model, videos, tmp_path, stride):
    options = {"project": str(tmp_path), "name": "t", "save": True, "view": "panel", **EVERYTHING, **LOW}
    results = model.track(**videos, tracker="bytetrack.yaml", vid_stride=stride, **options)
    count = 12 // stride
    assert len(results) == count
    for name, file in (("fused", "fused/clip.mp4"), ("weights", "weights/clip.mp4"), ("panel", "clip.avi")):
        frames = frames_of(tmp_path / "t" / file)
        assert len(frames) == count, name
        assert frames[0].shape[1] >= (2 * 64 if name == "panel" else 64)
        assert cv2.VideoCapture(str(tmp_path / "t" / file)).get(cv2.CAP_PROP_FPS) == pytest.approx(10 / stride, 0.01)
    assert np.abs(frames_of(tmp_path / "t" / "fused/clip.mp4")[0].astype(int) - results[0].image("fused")).mean() < 12
    records = json.loads((tmp_path / "t" / "predictions.json").read_text())
    assert [r["frame"] for r in records] == list(range(stride, 13, stride))
    assert [r["time"] for r in records] == pytest.approx([(stride * (i + 1) - 1) / 10 for i in range(count)])
    assert {(r["visible"], r["infrared"]) for r in records} == {tuple(map(str, videos.values()))}


def test_tracks_have_their_numbers_in_the_table(model, videos, tmp_path):
    options = {**LOW, "conf": 0.0001}
    tracker = tmp_path / "low.yaml"  # a model hardly trained is never sure
    settings = yaml.safe_load(Path(check_yaml("bytetrack.yaml")).read_text())
    sure = dict.fromkeys(("track_high_thresh", "track_low_thresh", "new_track_thresh"), 0.0)
    tracker.write_text(yaml.safe_dump({**settings, **sure, "fuse_score": False, "match_thresh": 1.0}))
    model.track(**videos, tracker=str(tracker), project=str(tmp_path), name="t", save_csv=True, **options)
    table = rows(tmp_path / "t" / "predictions.csv")
    frames = {}  # of each identity
    for row in table:
        frames.setdefault(row["track_id"], set()).add(row["frame"])
    frames.pop("", None)  # what the host's tracker leaves without a number
    assert frames and all(number.isdigit() for number in frames)
    assert max(map(len, frames.values())) > 5


@needs_fork
def test_ctrl_c_keeps_whole_files(run, tmp_path):
    videos = write_videos(tmp_path, frames=3000)
    words = ["predict", f"model={run.best}", f"imgsz={IMGSZ}", "conf=0.0005"]
    words += [f"{k}={v}" for k, v in {**videos, **EVERYTHING, "project": tmp_path, "name": "p"}.items()]
    process, table = Command(words, tmp_path / "said.txt"), tmp_path / "p" / "predictions.csv"
    process.wait(until=lambda: table.exists() and table.stat().st_size > 2000)
    process.send(signal.SIGINT)
    assert process.wait() == 130 and process.said()[-1] == "metafusion: interrupted"
    records = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert 0 < len(records) < 3000
    assert rows(table)[-1]["frame"]
    for file in ("fused/clip.mp4", "weights/clip.mp4", "clip.avi"):
        assert abs(len(frames_of(tmp_path / "p" / file)) - len(records)) <= 1


# Exports and mistakes ------------------------------------------------------------------------------------------------
def test_an_export_writes_what_it_can_and_says_what_it_cannot(run, onnx, tmp_path, caplog):
    options = {"save": True, "save_crop": True, **EVERYTHING, **LOW}
    results = onnx.predict(run.source, project=str(tmp_path), name="p", rect=False, **options)
    missing = [r.message for r in caplog.records if "no fused image" in r.message]
    assert len(missing) == 1 and "save_fused writes nothing" in missing[0] and "view=fused shows" in missing[0]
    records = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert sum(len(r["detections"]) for r in records) == sum(map(len, results)) > 0
    assert {d["infrared_weight"] for r in records for d in r["detections"]} == {None}
    assert {row["infrared_weight"] for row in rows(tmp_path / "p" / "predictions.csv")} == {""}
    assert list((tmp_path / "p" / "fused").iterdir()) == []
    assert sorted(p.name for p in (tmp_path / "p" / "crops").iterdir()) == ["infrared", "visible"]


def test_an_export_with_the_fused_image_writes_it_too(run, model, tmp_path, caplog):
    export = MetaFusionYOLO(model.export(format="onnx", imgsz=IMGSZ, fused=True))
    options = {"save_fused": True, "save_weights": True, "rect": False, "project": str(tmp_path)}
    results = export.predict(run.source, name="p", **options, **LOW)
    assert [r.message for r in caplog.records if "save_weights writes nothing" in r.message]
    for result, file in zip(results, visible_files(run), strict=True):
        fused = cv2.imread(str(tmp_path / "p" / "fused" / f"{file.stem}.png"))
        assert fused.shape == cv2.imread(str(file)).shape and np.array_equal(fused, result.image("fused"))
    assert list((tmp_path / "p" / "weights").iterdir()) == []


def test_the_command_line_writes_the_same(run, tmp_path, capsys):
    line = ["predict", f"model={run.best}", f"source={run.source}", f"imgsz={IMGSZ}", "conf=0.0005", "save=False"]
    assert cli.main([*line, "save_json=True", "save_csv=True", f"project={tmp_path}", "name=c"]) == 0
    assert written(tmp_path / "c") == ["predictions.csv", "predictions.json"]
    assert len(json.loads((tmp_path / "c" / "predictions.json").read_text())) == len(visible_files(run))


def test_a_place_that_cannot_be_written_costs_one_line(run, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, not a folder")
    line = ["predict", f"model={run.best}", f"source={run.source}", "save_json=True", f"project={tmp_path}/taken"]
    assert cli.main(line) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("metafusion: error: ") and "taken" in errors[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_to_write_costs_one_line(run, tmp_path, capsys):
    (tmp_path / "mine").mkdir(mode=0o500)
    line = ["predict", f"model={run.best}", f"source={run.source}", "save_json=True", f"project={tmp_path}/mine"]
    assert cli.main(line) == 2
    shutil.rmtree(tmp_path / "mine")
    assert "ermission denied" in capsys.readouterr().err
