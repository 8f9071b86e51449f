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
from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.serve.server import Server
from tests.conftest import TINY, draw_visible

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


@pytest.fixture(scope="session")
def app(tiny) -> Iterator[Client]:
    """The page and its server, for anyone on this machine."""
    with running(App(str(tiny), port=0, imgsz=64, device="cpu")) as client:
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
