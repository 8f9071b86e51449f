"""What the server finds is what the model finds, whoever else is waiting."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.runtime import Detector
from metafusion_yolo.serve.uploads import read_pair
from metafusion_yolo.support.errors import UserError
from tests.data.test_radiometric import write_flir
from tests.processes import without_pytorch
from tests.serve.conftest import Client, encoded

ROOT = Path(__file__).parents[2]


def boxes(answer: dict) -> np.ndarray:
    """Return (K, 6): corners, score, class."""
    rows = [[*row["box"].values(), row["confidence"], row["class"]] for row in answer["detections"]]
    return np.reshape(rows, (-1, 6)).astype(float)


@pytest.fixture(scope="module")
def expected(tiny, drawn):
    """What the model finds in the pair."""
    return MetaFusionYOLO(tiny).predict([drawn], imgsz=64, conf=0.05, device="cpu", verbose=False)[0]


def test_the_answer_is_that_of_predict(app, files, drawn, expected) -> None:
    answer = app.post("/detect", files, conf="0.05", images="fused,visible,infrared,weights").json
    found = boxes(answer)
    assert len(found) > 3
    assert np.abs(found - expected.boxes.data.numpy()[:, :6]).max() < 0.01
    shares = [row["infrared_weight"] for row in answer["detections"]]
    assert np.allclose(shares, expected.box_weights[:, 1], atol=1e-4)
    assert answer["infrared_weight"] == pytest.approx(float(expected.fusion_weights[1].mean()), abs=1e-4)
    assert (answer["height"], answer["width"]) == drawn[0].shape[:2]
    for view, data in answer["images"].items():
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(image, expected.image(view)), view


def test_a_request_may_ask_for_higher_scores(app, files, expected) -> None:
    conf = float(np.median(expected.boxes.conf.numpy()))
    found = boxes(app.post("/detect", files, conf=str(conf)).json)
    assert 0 < len(found) < len(expected.boxes) and found[:, 4].min() >= conf - 1e-5


def test_one_file_may_hold_both_cameras(app, drawn) -> None:
    infrared = (drawn[1] >> 8).astype(np.uint8)
    stacked = app.post("/detect", {"stacked": encoded(np.dstack((drawn[0], infrared)))}, conf="0.05").json
    two = app.post("/detect", {"visible": encoded(drawn[0]), "infrared": encoded(infrared)}, conf="0.05").json
    assert stacked == two and two["detections"]


@pytest.mark.parametrize("kind", ["npy", "jpeg", "tiff", "webp", "16 bits"])
def test_files_of_many_kinds(app, files, drawn, kind, tmp_path) -> None:
    """Lossless ones give the boxes of PNG."""
    visible, infrared = drawn
    given = {"visible": encoded(visible, ".tiff"), "infrared": encoded(infrared, ".tiff")}
    if kind == "npy":
        np.save(tmp_path / "counts.npy", infrared)
        given["infrared"] = (tmp_path / "counts.npy").read_bytes()
    elif kind == "16 bits":  # of which the camera uses 12
        given["visible"] = encoded(visible.astype(np.uint16) << 4)
    elif kind != "tiff":
        given["visible"] = encoded(visible, f".{kind}")
    answer = app.post("/detect", given, conf="0.05").json
    same = app.post("/detect", files, conf="0.05").json
    assert answer == same if kind not in ("jpeg", "webp") else answer["detections"]


def test_a_preview_is_not_taken_for_the_measurement_without_a_word(app, files, tmp_path) -> None:
    preview = write_flir(tmp_path / "1.jpg", np.full((24, 32), 20.0)).read_bytes()
    answer = app.post("/detect", {**files, "infrared": preview}).json
    assert answer["note"] == "preview of 8 bits is read from a radiometric file of FLIR"
    assert app.post("/detect", files).json["note"] == ""
    with pytest.raises(UserError, match="a radiometric JPEG of FLIR, whose measurement is not read from uploads"):
        read_pair(files["visible"], preview, 1e6, measures=True)
    palette = encoded(np.full((24, 32, 3), (20, 90, 250), np.uint8))
    with pytest.raises(UserError, match="'infrared' is in colours, which are no temperatures"):
        read_pair(files["visible"], palette, 1e6, measures=True)


def test_many_at_a_time_get_their_own_answers(app, drawn) -> None:
    rolled = [encoded(np.roll(drawn[0], shift, 1)) for shift in range(0, 32, 4)]
    pairs = [{"visible": visible, "infrared": encoded(drawn[1])} for visible in rolled]
    alone = [app.post("/detect", pair, conf="0.05").json for pair in pairs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda pair: app.post("/detect", pair, conf="0.05").json, pairs * 2))
    assert len({json.dumps(answer) for answer in alone}) == len(alone)
    for first, second in zip(alone * 2, together, strict=True):
        assert np.abs(boxes(first) - boxes(second)).max() < 0.02


def test_health_metrics_and_description(app) -> None:
    health = app.ask("GET", "/health").json
    assert health["status"] == "ready" and health["model"] == "tiny.pt" and len(health["names"]) == 80
    figures = app.ask("GET", "/metrics").body.decode()
    assert 'metafusion_requests_total{status="200"}' in figures and "metafusion_batch_pairs_count" in figures
    described = app.ask("GET", "/openapi.json").json["paths"]
    assert described.keys() >= {"/detect", "/health", "/metrics", "/scene", "/reports"}
    assert described["/detect"]["post"]["responses"].keys() >= {"200", "413", "422", "503"}


def test_onnx_is_served_without_pytorch(tiny, drawn, files, tmp_path) -> None:
    """By the command, in a process of its own, which ends as other commands do when it is told to."""
    model = MetaFusionYOLO(tiny)
    onnx = model.export(format="onnx", imgsz=64, fused=True, fusion_weights=True, verbose=False)
    words = ["app", f"model={onnx}", "port=0", "open=False"]
    command = [sys.executable, "-u", "-c", without_pytorch("metafusion_yolo.cli"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            url = server.stdout.readline().split()[-1]
            client = Client(urlsplit(url).port)
            for _ in range(200):
                if client.ask("GET", "/health").status == 200:
                    break
                time.sleep(0.05)
            answer = client.post("/detect", files, conf="0.05", images="fused,infrared,weights").json
            scene = client.post("/scene", {}, seed="2").json
        finally:
            server.send_signal(signal.SIGTERM)
            _, err = server.communicate(timeout=30)
    assert (server.returncode, err) == (143, "metafusion: terminated\n")
    found = Detector(onnx, conf=0.05)(*drawn)
    assert np.abs(boxes(answer)[:, :4] - found.boxes_xyxy).max() < 0.01 and len(found.scores)
    assert answer["images"].keys() == {"fused", "infrared", "weights"} and answer["infrared_weight"] is not None
    assert (scene["width"], scene["height"]) == (640, 512)
