"""Videos and live cameras from the command line: what is written, what interrupts, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import ultralytics

from metafusion_yolo import MetaFusionYOLO, cli
from tests.conftest import TINY
from tests.engine.predict.moving import moving_pairs, write_videos
from tests.processes import Command, needs_fork

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from mjpeg import MjpegCamera

MODEL = [f"model={TINY}", "imgsz=64", "verbose=False"]


@pytest.fixture
def videos(tmp_path) -> tuple[Path, Path]:
    return write_videos(tmp_path, list(moving_pairs(6, imgsz=64)))


def length(video: Path) -> int:
    """Return how many frames of a video can be decoded."""
    capture, count = cv2.VideoCapture(str(video)), 0
    while capture.grab():
        count += 1
    return count


def written(folder: Path) -> Path:
    [video] = folder.rglob("*.avi")
    return video


def refusal(capsys, *words: str) -> str:
    """Run a command that fails; return its one line."""
    assert cli.main(list(words)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("metafusion: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("mode", ["predict", "track"])
def test_two_videos_become_an_annotated_one(tmp_path, videos, mode):
    out = tmp_path / "runs"
    assert cli.main([mode, *MODEL, f"source={videos[0]}", f"infrared={videos[1]}", f"project={out}"]) == 0
    assert length(written(out)) == 6


def test_video_of_both_cameras_and_rules_reach_the_loader(tmp_path, videos):
    source = [f"source={videos[0]}", f"infrared={videos[1]}"]
    rules = ["sync=time", "sync_offset=100", "sync_tolerance=30", "on_missing=single", "reconnect=5"]
    assert cli.main(["predict", *MODEL, *source, *rules, f"project={tmp_path / 'a'}"]) == 0
    assert length(written(tmp_path / "a")) == 6
    both = [f"source={videos[0]}", "layout=horizontal-infrared-first", f"project={tmp_path / 'b'}"]
    assert cli.main(["predict", *MODEL, *both]) == 0
    assert length(written(tmp_path / "b")) == 6


def live_cameras() -> list[MjpegCamera]:
    """Return a visible and an infrared camera that send 20 frames a second."""
    pairs = list(moving_pairs(10, imgsz=64))
    return [MjpegCamera(lambda i, k=k: np.ascontiguousarray(np.atleast_3d(pairs[i % 10][k])), 20) for k in (0, 1)]


def until_off(results, cameras: list[MjpegCamera]) -> list:
    """Return all results of cameras that are switched off, both at once, after the first 15."""
    found = []
    for result in results:
        found.append(result)
        if len(found) == 15:
            for camera in cameras:
                camera.kill()
    return found


def test_live_cameras_become_an_annotated_video_and_a_summary(tmp_path, caplog):
    cameras = live_cameras()
    model = MetaFusionYOLO(TINY)
    options = {"imgsz": 64, "verbose": False, "stream": True, "save": True, "project": str(tmp_path)}
    with caplog.at_level("INFO"):
        rules = {"on_missing": "single", "reconnect": 0.2}
        results = until_off(model.track(cameras[0].url, infrared=cameras[1].url, **rules, **options), cameras)
    assert "both" in {result.modalities for result in results}
    assert length(written(tmp_path)) == len(results)
    report = model.sync_report
    assert report.visible.matched + report.visible.single + report.infrared.single == len(results)
    assert any(record.message == f"Cameras: {report}" for record in caplog.records)


def test_live_cameras_leave_fused_videos_and_a_record_of_each_pair(tmp_path):
    cameras = live_cameras()
    model = MetaFusionYOLO(TINY)
    rules = {"on_missing": "single", "reconnect": 0.2, "imgsz": 64, "verbose": False, "project": str(tmp_path)}
    source = {"source": cameras[0].url, "infrared": cameras[1].url}
    outputs = {"save_fused": True, "save_weights": True, "save_json": True}
    results = until_off(model.predict(**source, stream=True, name="p", **outputs, **rules), cameras)
    records = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert [r["modalities"] for r in records] == [r.modalities for r in results] and "both" in records[0].values()
    times = [record["time"] for record in records]
    assert times == sorted(times) and times[-1] > 0.5
    [fused], [weights] = ([*(tmp_path / "p" / kind).iterdir()] for kind in ("fused", "weights"))
    assert length(fused) == length(weights) == len(results) > 5


def test_only_sources_that_move_have_a_report(videos):
    model = MetaFusionYOLO(TINY)
    assert model.sync_report is None
    model.predict(videos[0], infrared=videos[1], imgsz=64, verbose=False)
    assert model.sync_report.visible.matched == model.sync_report.infrared.matched == 6
    visible, infrared = next(moving_pairs(1, imgsz=64))
    model.predict(visible, infrared=infrared, imgsz=64, verbose=False)
    assert model.sync_report is None


@needs_fork
def test_interrupt_keeps_what_is_done(tmp_path):
    visible, infrared = write_videos(tmp_path, list(moving_pairs(50, imgsz=320)) * 20)
    out = tmp_path / "runs"
    words = ["track", f"model={TINY}", "imgsz=320", f"source={visible}", f"infrared={infrared}"]
    process = Command([*words, f"project={out}", "save_txt=True", "conf=0.0001"], tmp_path / "said.txt")
    process.wait(until=lambda: any(file.stat().st_size > 100_000 for file in out.rglob("*.avi")))
    process.send(signal.SIGINT)
    assert process.wait() == 130
    assert process.said()[-1] == "metafusion: interrupted"
    assert not any("Traceback" in line for line in process.said())
    assert 0 < length(written(out)) < 1000
    assert int(cv2.VideoCapture(str(written(out))).get(cv2.CAP_PROP_FRAME_COUNT)) == length(written(out))


# Bad sources ---------------------------------------------------------------------------------------------------------
def test_missing_partner(capsys, videos):
    message = refusal(capsys, "predict", *MODEL, f"source={videos[0]}")
    assert message.startswith(f"metafusion: error: no infrared video for '{videos[0]}'; give it as infrared=, or ")


def test_unreadable_video(capsys, videos):
    videos[1].write_bytes(b"no video")
    message = refusal(capsys, "predict", *MODEL, f"source={videos[0]}", f"infrared={videos[1]}")
    assert f"'{videos[1]}' cannot be opened as a video" in message


def test_camera_that_is_off(capsys):
    message = refusal(capsys, "track", *MODEL, "source=http://127.0.0.1:9/a", "infrared=http://127.0.0.1:9/b")
    assert "no frames from camera 'http://127.0.0.1:9/a'; check its address, and that it is on" in message


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("layout=horizontl", "'layout=horizontl' is invalid, did you mean 'horizontal'"),
        ("on_missing=wait", "'on_missing=wait' is invalid, known: error, single, skip"),
        ("sync=clock", "'sync=clock' is invalid, known: frame, time"),
        ("sync_tolerance=-5", "'sync_tolerance=-5' is invalid, expected at least 0"),
        ("sync_tolerance=soon", "'sync_tolerance=soon' is invalid, expected a number"),
    ],
)
def test_wrong_rule(capsys, videos, word, message):
    assert message in refusal(capsys, "predict", *MODEL, f"source={videos[0]}", f"infrared={videos[1]}", word)


@pytest.fixture
def locked() -> Iterator[Path]:
    """Return a folder of videos that may not be written to; root, to whom nothing is refused, gives up its rights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "locked"
        folder.mkdir()
        write_videos(folder, list(moving_pairs(2, imgsz=64)))
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        if os.getuid() == 0:
            os.seteuid(65534)
        try:
            if not os.access(ultralytics.__file__, os.R_OK, effective_ids=True):
                pytest.skip("the packages lie where nobody but root may look")
            yield folder
        finally:
            os.seteuid(os.getuid())
            folder.chmod(0o755)


def test_no_permission_to_write(capsys, locked):
    source = [f"source={locked / 'visible.avi'}", f"infrared={locked / 'infrared.avi'}"]
    message = refusal(capsys, "predict", *MODEL, *source, f"project={locked / 'runs'}")
    assert (
        message
        == f"metafusion: error: Permission denied: '{locked / 'runs'}'; change its rights, or name another place"
    )
