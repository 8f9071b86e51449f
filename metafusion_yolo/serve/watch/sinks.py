"""Receivers of events: stdout, a file, a webhook, an MQTT broker; each in its own thread, retried until it succeeds."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from metafusion_yolo.options.watch import Events
from metafusion_yolo.serve.watch.outbox import Letter, Outbox
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import without_passwords

LOGGER = logging.getLogger(__name__)
PATIENCE = 10.0  # seconds for which one delivery may take
FIRST_PAUSE, LAST_PAUSE = 0.5, 60.0  # seconds between attempts, doubled after each


class Sink(Protocol):
    """Receives events."""

    def __call__(self, letter: Letter) -> None:
        """Deliver an event; raise any error if it may not have arrived."""


def write_stdout(letter: Letter) -> None:
    """Write an event as a line of JSON."""
    sys.stdout.write(f"{letter.body}\n")
    sys.stdout.flush()


class FileSink:
    """Add events to a file as lines of JSON."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def __call__(self, letter: Letter) -> None:
        """Write the line to disk; first end a line that a crash has cut."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(f"{letter.body}\n".encode())
            stream.flush()
            os.fsync(stream.fileno())


class Webhook:
    """Post events, signed as in https://www.standardwebhooks.com."""

    def __init__(self, address: str, secret: str) -> None:
        try:
            self._key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            self._key = b""
        if len(self._key) < 24:
            raise UserValueError("'secret:' of the webhook must be base64 of 24 bytes or more: openssl rand -base64 32")
        self._address = address

    def __call__(self, letter: Letter) -> None:
        """Post an event; any answer but 2xx is an error, redirections included."""
        import requests

        moment = str(int(time.time()))
        digest = hmac.digest(self._key, f"{letter.id}.{moment}.{letter.body}".encode(), hashlib.sha256)
        headers = {
            "content-type": "application/json",
            "webhook-id": letter.id,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        answer = requests.post(
            self._address, letter.body.encode(), headers=headers, timeout=PATIENCE, allow_redirects=False
        )
        if not 200 <= answer.status_code < 300:
            raise ConnectionError(f"it answers {answer.status_code}")


class Mqtt:
    """Publish events at least once (QoS 1)."""

    def __init__(self, address: str, topic: str) -> None:
        from paho.mqtt import client
        from paho.mqtt.enums import CallbackAPIVersion

        self._topic, self._where = topic, urlsplit(address)
        self._client = client.Client(CallbackAPIVersion.VERSION2)
        if self._where.username:
            self._client.username_pw_set(unquote(self._where.username), unquote(self._where.password or ""))
        if self._where.scheme == "mqtts":
            self._client.tls_set()
        self._started = False

    def __call__(self, letter: Letter) -> None:
        """Publish an event, and wait until the broker has it."""
        if not self._started:
            port = self._where.port or (8883 if self._where.scheme == "mqtts" else 1883)
            self._client.connect(self._where.hostname or "", port)
            self._client.loop_start()
            self._started = True
        content = json.loads(letter.body)
        topic = self._topic.format(**{key: content[key] for key in ("pair", "rule", "event")})
        end = time.monotonic() + PATIENCE
        while not self._client.is_connected() and time.monotonic() < end:
            time.sleep(0.05)
        if not self._client.is_connected():
            raise ConnectionError("no connection to the broker, or it rejects the user")
        sent = self._client.publish(topic, letter.body, qos=1)
        sent.wait_for_publish(PATIENCE)
        if not sent.is_published():
            raise ConnectionError("the broker does not confirm")


def sinks_of(events: Events) -> dict[str, Sink]:
    """Return the receivers by name.

    Raises:
        UserValueError: If a secret cannot be used.
    """
    sinks: dict[str, Sink] = {}
    if events.stdout:
        sinks["stdout"] = write_stdout
    if events.file is not None:
        sinks["file"] = FileSink(events.file)
    if events.webhook is not None:
        sinks["webhook"] = Webhook(events.webhook, str(events.secret))
    if events.mqtt is not None:
        sinks["mqtt"] = Mqtt(events.mqtt, events.topic)
    return sinks


class Courier:
    """Deliver the events of an outbox to a sink in order, each until it has arrived."""

    def __init__(self, name: str, sink: Callable[[Letter], Any], outbox: Outbox) -> None:
        self.name, self._sink, self._outbox = name, sink, outbox
        self._ending = Event()
        self._thread = Thread(target=self._run, name=f"events to {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after the current delivery; the next process delivers the rest."""
        self._ending.set()
        with self._outbox.changed:
            self._outbox.changed.notify_all()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        pause = 0.0
        while not self._ending.is_set():
            with self._outbox.changed:
                if (letter := self._outbox.next(self.name)) is None:
                    self._outbox.changed.wait(1)
                    continue
            try:
                self._sink(letter)
                self._outbox.confirm(self.name, letter.number)
            except Exception as error:  # whatever the network or a full disk has to offer; the event stays
                if not pause:
                    reason = without_passwords(" ".join(str(error).split()))[:300]
                    LOGGER.warning(f"events cannot be delivered to the {self.name}, trying again: {reason}")
                pause = min(max(2 * pause, FIRST_PAUSE), LAST_PAUSE)
                self._ending.wait(pause)
                continue
            if pause:
                LOGGER.warning(f"events are delivered to the {self.name} again")
            pause = 0.0
