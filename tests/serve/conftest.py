"""Servers that listen, in threads of the test's process, and what asks them byte by byte."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.options import Check
from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.prepare.check import run_check
from metafusion_yolo.prepare.register import homography
from metafusion_yolo.serve.server import Server
from tests.conftest import TINY, PairFolder, draw_visible, write_pairs

TOKEN = "a-token-of-24-characters"
BOUNDARY = "----edge"


@dataclass(frozen=True)
class Reply:
    """What a server has answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks a server exactly what it is told to, without tidying addresses or headers."""

    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            for name, value in {"host": self.host, "content-length": str(len(body)), **given}.items():
                if value is not None:
                    connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, path: str, files: dict[str, bytes], headers: dict[str, str] | None = None, **fields: str) -> Reply:
        return self.ask("POST", path, form(files, fields), **{"content-type": MULTIPART, **(headers or {})})


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def form(files: dict[str, bytes], fields: dict[str, str]) -> bytes:
    """Return a form as browsers send it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n\r\n'.encode()
        + content
        for name, content in files.items()
    ]
    parts += [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    return b"".join(part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A pair: visible (48, 64, 3) uint8, B, G, R, and infrared (48, 64) uint16."""
    image, _ = draw_visible(0, 48, 64)
    return np.ascontiguousarray(image[..., ::-1]), image[..., 0].astype(np.uint16) * 30 + 7000


@pytest.fixture(scope="session")
def files(drawn) -> dict[str, bytes]:
    """The two files of this pair."""
    return dict(zip(("visible", "infrared"), map(encoded, drawn), strict=True))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The checkpoint of a small detector that finds something in any image."""
    torch.manual_seed(0)
    model = MetaFusionYOLO(TINY)
    for branch in model.model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=1)
        torch.nn.init.constant_(branch[-1].bias, -2)
    file = tmp_path_factory.mktemp("served") / "tiny.pt"
    model.save(file)
    return file


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> PairFolder:
    """A data set of four pairs."""
    return write_pairs(tmp_path_factory.mktemp("opened") / "pairs")


@pytest.fixture(scope="session")
def runs(tiny, pairs, tmp_path_factory) -> Path:
    """A folder of runs: validations and a check of the data set, a training and a comparison by hand."""
    folder = tmp_path_factory.mktemp("runs")
    where = {"project": str(folder), "exist_ok": True}
    MetaFusionYOLO(tiny).val(data=str(pairs.yaml), imgsz=64, batch=4, name="val", device="cpu", verbose=False, **where)
    run_check(Check(str(pairs.yaml), name="check", **where))
    better = json.loads((folder / "val" / "val.json").read_text())
    better["rows"][0]["detection"]["mAP50-95"] = 0.9
    (folder / "better").mkdir()
    (folder / "better" / "val.json").write_text(json.dumps(better))
    (folder / "train").mkdir()
    columns = "epoch,time,train/box_loss,val/box_loss,metrics/mAP50(B),metrics/mAP50-95(B)"
    rows = "1,60,3,3,0.3,0.1\n2,120,2,2,0.6,0.4\n3,180,1,2,0.5,0.3\n"
    (folder / "train" / "results.csv").write_text(f"{columns}\n{rows}")
    estimate = {"value": 60.0, "low": 50.0, "high": 70.0}
    worse = {"value": 40.0, "low": 30.0, "high": 50.0}
    compared = {"universal": estimate, "visible": worse}
    content = {
        "recommendation": {"choice": "universal", "sentence": "Use it.", "rule": ""},
        "setting": {"data": str(pairs.yaml), "imgsz": 64},
        "images": 4,
        "rows": {row: {"mAP50": one, "mAP50-95": one} for row, one in compared.items()},
        "mAP50, one camera spoilt": compared,
    }
    (folder / "compare").mkdir()
    (folder / "compare" / "compare.json").write_text(json.dumps(content))
    return folder


@contextmanager
def running(options: Serve) -> Iterator[Client]:
    """Run a server until its model is loaded, and stop it at the end."""
    server = Server(options)
    thread = Thread(target=server.run)
    thread.start()
    try:
        client = Client(urlsplit(server.url).port)
        show = {"authorization": f"Bearer {options.token}"} if options.token else {}
        while thread.is_alive() and client.ask("GET", "/health", **show).status != 200:
            time.sleep(0.05)
        yield client
    finally:
        server.stop()
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture
def quick_search(monkeypatch) -> None:
    """A registration is looked for at 40 scales and rotations instead of 987, which take half a minute."""
    monkeypatch.setattr(homography, "SCALES", homography.SCALES[5::6])
    monkeypatch.setattr(homography, "ROTATIONS", homography.ROTATIONS[::5])


@pytest.fixture(scope="session")
def app(tiny, runs, pairs) -> Iterator[Client]:
    """The pages and their server, for anyone on this machine."""
    with running(App(str(tiny), port=0, imgsz=64, device="cpu", runs=str(runs), data=str(pairs.yaml))) as client:
        yield client


@pytest.fixture(scope="session")
def strict(tiny) -> Iterator[Client]:
    """A server with a token, and with limits that are soon reached."""
    options = App(str(tiny), port=0, imgsz=64, device="cpu", token=TOKEN, timeout=1, max_mb=0.1, max_pixels=0.01)
    with running(options) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A real browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    file = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if file is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=file, args=flags)
        yield started
        started.close()


def barriers(page: object) -> list[str]:
    """Return the serious findings of axe-core on a page: what keeps some from using it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    found = axe.Axe().run(page).response["violations"]
    serious = (one for one in found if one["impact"] in ("serious", "critical"))
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in serious for node in one["nodes"]]
