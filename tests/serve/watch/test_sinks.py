"""Those who are told, for real: a file, a web server, Debian's MQTT broker; and what happens while they are away."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from metafusion_yolo.options.watch import Events
from metafusion_yolo.serve.watch import sinks
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.sinks import Courier, sinks_of
from metafusion_yolo.support.errors import UserValueError

SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sinks, "LAST_PAUSE", 0.2)
    monkeypatch.setattr(sinks, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(sinks, "PATIENCE", 2.0)


@contextmanager
def couriers(tmp_path, **events) -> Iterator[Outbox]:
    made = sinks_of(Events(**events))
    box = Outbox(tmp_path / "events.db", [*made], 100)
    running = [Courier(name, sink, box) for name, sink in made.items()]
    yield box
    for one in running:
        one.close()
    box.close()


def tell(box: Outbox, *names: str) -> None:
    box.take([{"id": name, "pair": "gate", "rule": "fence", "event": "entered"} for name in names], "gate", None)


def wait_until(true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_stdout_and_file_whose_last_line_was_cut(tmp_path, capfd):
    (tmp_path / "told.jsonl").write_text('{"id": "0"}\n{"id": "cu')
    with couriers(tmp_path, file=str(tmp_path / "told.jsonl"), stdout=True) as box:
        tell(box, "1", "ä")
        wait_until(lambda: not any(box.waiting().values()))
    lines = (tmp_path / "told.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ['{"id": "0"}', '{"id": "cu'] and [json.loads(line)["id"] for line in lines[2:]] == ["1", "ä"]
    assert capfd.readouterr().out.splitlines() == lines[2:]


def test_webhook(tmp_path, caplog):
    seen, answers = [], [500, 302, 204, 204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(answers[min(len(seen), len(answers)) - 1])
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://me:word@127.0.0.1:{server.server_port}/hook?token=hidden"
    with caplog.at_level(logging.WARNING), couriers(tmp_path, webhook=address, secret=SECRET) as box:
        tell(box, "1", "2")
        wait_until(lambda: not box.waiting()["webhook"])
    server.shutdown()
    server.server_close()
    assert [json.loads(body)["id"] for _, body in seen] == ["1", "1", "1", "2"]
    for headers, body in seen:
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        digest = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert [record.getMessage() for record in caplog.records] == [
        "events cannot be delivered to the webhook, trying again: it answers 500",
        "events are delivered to the webhook again",
    ]


@contextmanager
def broker(port: int, folder) -> Iterator[None]:
    """Run Debian's broker, with a user whose password holds what addresses must escape."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    if program is None:
        pytest.skip("no mosquitto on this machine")
    words = folder / "words"
    if not words.exists():
        subprocess.run(["mosquitto_passwd", "-b", "-c", words, "me", "a@b/c"], check=True, capture_output=True)
        words.chmod(0o644)
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {words}\nuser root\n")
    process = subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_mqtt_broker_that_is_killed(tmp_path, free_port, caplog):
    from paho.mqtt import client
    from paho.mqtt.enums import CallbackAPIVersion

    seen = []
    reader = client.Client(CallbackAPIVersion.VERSION2, "reader")
    reader.username_pw_set("me", "a@b/c")
    reader.reconnect_delay_set(0.05, 0.1)
    reader.on_message = lambda *call: seen.append((call[-1].topic, json.loads(call[-1].payload)["id"]))
    reader.on_connect = lambda one, *_: one.subscribe("metafusion/#", qos=1)
    address = f"mqtt://me:a%40b%2Fc@127.0.0.1:{free_port}"
    with caplog.at_level(logging.WARNING), couriers(tmp_path, mqtt=address) as box:
        tell(box, "1")
        wait_until(lambda: caplog.records)  # there is no broker yet
        with broker(free_port, tmp_path):
            reader.connect_async("127.0.0.1", free_port)
            reader.loop_start()
            wait_until(lambda: not box.waiting()["mqtt"])
            wait_until(reader.is_connected)
            time.sleep(0.2)
            tell(box, "2")
            wait_until(lambda: seen and not box.waiting()["mqtt"])
        tell(box, "3")
        time.sleep(0.3)
        assert box.waiting()["mqtt"] == 1
        with broker(free_port, tmp_path):
            wait_until(lambda: not box.waiting()["mqtt"])
    reader.loop_stop()
    assert ("metafusion/gate/entered", "2") in seen
    assert "a@b" not in caplog.text and "a%40b" not in caplog.text


def test_secret_that_is_none():
    with pytest.raises(UserValueError, match="must be base64 of 24 bytes or more"):
        sinks_of(Events(webhook="http://a", secret="word"))
