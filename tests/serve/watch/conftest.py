"""Two pairs of simulated cameras, and a server that watches them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from ultralytics.utils import YAML
from ultralytics.utils.checks import check_yaml

from metafusion_yolo.options.serve import App
from tests.conftest import draw_visible
from tests.serve.conftest import Client, running

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from mjpeg import MjpegCamera

WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]
THRESHOLDS = ("track_high_thresh", "track_low_thresh", "new_track_thresh")
PASSWORD = "geheim-9"


def frame(i: int) -> np.ndarray:
    image, _ = draw_visible(0, 48, 64)
    image[:8, :8] = i % 2 * 255
    return np.ascontiguousarray(image[..., ::-1])


@pytest.fixture(scope="package")
def cameras() -> Iterator[dict[str, MjpegCamera]]:
    """The cameras of the pairs `gate` and `yard`."""
    made = {f"{pair} {side}": MjpegCamera(frame, 8) for pair in ("gate", "yard") for side in ("visible", "infrared")}
    yield made
    for one in made.values():
        one.kill()


def addresses(cameras: dict[str, MjpegCamera], pair: str) -> dict[str, str]:
    urls = {side: cameras[f"{pair} {side}"].url for side in ("visible", "infrared")}
    return {side: url.replace("http://", f"http://me:{PASSWORD}@") for side, url in urls.items()}


@pytest.fixture(scope="package")
def folder(tmp_path_factory) -> Path:
    """Where the server keeps what it writes."""
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="package")
def watching(tiny, cameras, folder) -> Iterator[Client]:
    """A server with a page that watches both pairs."""
    rules = {
        "seen": {"when": "counts", "more_than": 0, "seconds": 0},
        "gone": {"when": "lost", "seconds": 0.5},
        "fence": {"when": "enters", "zone": WHOLE},
        "line": {"when": "crosses", "line": [[0, 0.5], [1, 0.5]]},
    }
    tracker = folder / "tracker.yaml"  # that takes the low scores of a small model
    tracker.write_text(yaml.safe_dump(YAML.load(check_yaml("bytetrack.yaml")) | dict.fromkeys(THRESHOLDS, 0.05)))
    pairs = {
        pair: {**addresses(cameras, pair), "conf": 0.05, "tracker": str(tracker), "rules": rules}
        for pair in ("gate", "yard")
    }
    pairs["yard"]["on_missing"] = "skip"
    file = folder / "cameras.yaml"
    events = {"file": "told.jsonl", "before": 1, "after": 1}
    file.write_text(yaml.safe_dump({"model": str(tiny), "imgsz": 64, "cameras": pairs, "events": events}))
    with running(App(config=str(file), port=0, device="cpu")) as client:
        yield client
