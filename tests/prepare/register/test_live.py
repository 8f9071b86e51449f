"""`metafusion data register` from two real RTSP cameras that look at a scene from two places."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.options import Register
from metafusion_yolo.prepare.register import live, register_dataset
from metafusion_yolo.prepare.register.estimate import RegistrationError
from metafusion_yolo.prepare.register.homography import corner_distance, similarity
from tests.prepare.register.test_estimate import scene, warped
from tests.rtsp import free_port, running_cameras, start_camera

SIZE = 320, 240
WARP = similarity(SIZE, 1.05, np.deg2rad(2), (14, -9))  # infrared to visible


@pytest.fixture
def cameras(tmp_path) -> Iterator[tuple[list[str], list[subprocess.Popen]]]:
    """Return the addresses of a visible and an infrared camera, and their processes."""
    visible, infrared = scene(3, SIZE)
    addresses = []
    for started in running_cameras():
        for kind, image in (("h264", visible), ("mjpeg", warped(infrared, WARP, SIZE))):
            picture, at = tmp_path / f"{kind}.png", free_port()
            cv2.imwrite(str(picture), image)
            start_camera(started, at, kind, *SIZE, 10, picture)
            addresses.append(f"rtsp://me:word@127.0.0.1:{at}/live")
        yield addresses, started


def test_two_rtsp_cameras_are_registered(cameras, tmp_path):
    found = register_dataset(
        Register(visible=cameras[0][0], infrared=cameras[0][1], pairs=6, every=0, project=tmp_path)
    )
    assert corner_distance(np.array(found.matrix), WARP, SIZE, SIZE) * SIZE[0] < 2
    written = yaml.safe_load((tmp_path / "register/pairs.yaml").read_text())["registration"]
    assert (written["visible"], written["infrared"]) == ([*SIZE], [*SIZE])


def test_a_camera_that_dies_meanwhile_is_named_in_one_line(cameras, tmp_path, monkeypatch):
    (visible, infrared), processes = cameras
    monkeypatch.setattr(live, "LOST", 0.5)
    recorded: list[str] = []

    def record_one(text: str) -> None:
        recorded.append(text)
        processes[1].kill()  # after the first pair

    monkeypatch.setattr(live.LOGGER, "info", record_one)
    with pytest.raises(
        RegistrationError, match=r"camera 'rtsp://\*\*\*@.*' was lost after \d+ of 500 pairs and"
    ) as caught:
        register_dataset(Register(visible=visible, infrared=infrared, pairs=500, every=0, project=tmp_path))
    assert "\n" not in str(caught.value) and recorded
    assert not (tmp_path / "register/pairs.yaml").exists()


def test_a_wrong_address_is_named(cameras, tmp_path):
    nowhere = f"rtsp://127.0.0.1:{free_port()}/live"
    for one in (nowhere, cameras[0][0].replace("/live", "/other")):
        told = one.replace("me:word", r"\*\*\*")
        with pytest.raises(ConnectionError, match=f"no frames from camera '{told}'; check its address"):
            register_dataset(Register(visible=cameras[0][0], infrared=one, pairs=6, every=0, project=tmp_path))
