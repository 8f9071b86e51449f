"""Is every event told, once, while cameras die and the service is killed? Two pairs of cameras watch a scripted scene.

In each cycle of 50 s a person comes, stands left, walks to the right across a line into a zone, stays there, and goes.
Cameras die for some seconds, the service is killed (SIGKILL) and started again, now and then while a camera is dead;
the webhook refuses a third of all requests. At the end:

    lost     events of the outbox that a sink has not been told; must be 0
    missed   what was in view of a running pair, and has not been told; must be 0
    twice    what has been told twice, by events of different ids; must be 0
    anew     told again of one who could not be followed, or stood out of sight for as long as the service remembers
    again    deliveries of an id that its sink had been told already: what at-least-once means
    unseen   what nobody could see all of, and has not been told: the service was down, or the detector found the
             person too rarely to follow it

A person is followed while any two results after one in which the detector found it have it too, and come within 3 s,
in which it walks half its width: a tracker that goes by the overlap of boxes loses what is farther away.
`results.jsonl` in the folder that is named at the end has every result.

    python benchmarks/stress/events.py --seconds 1800 --deaths 40 --kills 5 --model yolov8n.pt
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import ultralytics
import yaml

sys.path.append(str(Path(__file__).parents[1]))  # the simulated camera is beside the other benchmarks
from mjpeg import MjpegCamera

from metafusion_yolo.serve.watch.same import REMEMBERED

CYCLE, COMES, WALKS, ARRIVES, GOES = 50.0, 3.0, 7.0, 25.0, 44.0  # seconds of a cycle
WIDTH, HEIGHT = 640, 360
PERSON = 0  # number of the class
SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
BLIND = 3.0  # seconds within which a person who is followed must be found twice more
NEEDED = 8.0  # seconds in view after which somebody in the zone must have been told
RULES = {
    "fence": {"when": "enters", "zone": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "classes": ["person"]},
    "line": {"when": "crosses", "line": [[0.5, 0], [0.5, 1]], "classes": ["person"]},
    "camera": {"when": "lost", "seconds": 1},
}


@dataclass
class Record:
    """What has happened, in seconds since 1970."""

    began: float
    sees: dict[str, list[float]]  # times of results by pair
    finds: dict[str, list[float]]  # times of results in which the detector has found the person
    deaths: list[tuple[str, str, float, float]] = field(default_factory=list)  # pair, camera, from, to

    def saw(self, pair: str, start: float, end: float) -> bool:
        """Return whether a person could be followed all the time."""
        finds = [start, start, *(t for t in self.finds[pair] if start < t < end), end]
        return all(last - first < BLIND for first, last in zip(finds, finds[2:], strict=False))

    def longest_gap(self, pair: str, start: float, end: float) -> float:
        """Return the longest time in which the person was not found, seconds."""
        moments = [start, *(t for t in self.finds[pair] if start < t < end), end]
        return max(b - a for a, b in itertools.pairwise(moments))


def person() -> np.ndarray:
    """Return a person (240, 100, 3) uint8, B, G, R, of the host's example image."""
    image = cv2.imread(str(Path(ultralytics.__file__).parent / "assets" / "bus.jpg"))
    return cv2.resize(image[395:905, 45:190], (100, 240))


def draw(moment: float, someone: np.ndarray) -> np.ndarray:
    """Return the scene at a moment of its cycle, (H, W, 3) uint8."""
    image = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    image[200:] = 140
    for x in range(0, WIDTH, 80):
        image[190:200, x : x + 40] = 60
    if COMES <= moment < GOES:
        x = round(np.interp(moment, (WALKS, ARRIVES), (120, 420)))
        image[100:340, x : x + 100] = someone
    return image


def judge(record: Record, events: list[dict], ended: float) -> Counter[str]:
    """Compare what was told with the script.

    Args:
        record: What has happened.
        events: The events, each id once.
        ended: When the run ended.

    Returns:
        Counts of "told", "missed", "twice", "anew", "unseen" and "strange", what was told and is not in the script.
    """
    count: Counter[str] = Counter()
    left = [(one["pair"], one["event"], one.get("camera"), one["at"]) for one in events]

    def expect(pair: str, event: str, camera: str | None, start: float, end: float, must: bool) -> None:
        found = [one for one in left if one[:3] == (pair, event, camera) and start <= one[3] <= end]
        for one in found:
            left.remove(one)
        count["told"] += bool(found)
        for before, after in itertools.pairwise(one[3] for one in found):
            stands = (before - record.began) % CYCLE > ARRIVES
            known = record.saw(pair, before, after)
            known = known or (stands and record.longest_gap(pair, before, after) < REMEMBERED - 5)
            count["twice" if known else "anew"] += 1
            print(f"{'twice' if known else 'anew'}: {pair} {event} at {before:.1f} and {after:.1f}")
        count["missed"] += must and not found
        if must and not found:
            print(f"missed: {pair} {event} {camera or ''} from {start:.1f} to {end:.1f}")
        count["unseen"] += not must and not found

    for pair in record.sees:
        for start in map(float, np.arange(record.began, ended, CYCLE)):
            if start + CYCLE > ended:
                break
            crossing = record.saw(pair, start + WALKS - 3, start + ARRIVES + 1)
            steps = np.arange(start + WALKS, start + GOES - NEEDED, 0.5)
            entering = (
                any(record.saw(pair, step, step + NEEDED) for step in steps if step > start + ARRIVES) or crossing
            )
            expect(pair, "crossed", None, start + WALKS, start + GOES + 2, crossing)
            expect(pair, "entered", None, start + WALKS, start + GOES + 2, entering)
    for pair, camera, start, end in record.deaths:
        expect(pair, "lost", camera, start, end + 3, must=True)
        later = [one[2] for one in record.deaths if one[:2] == (pair, camera) and one[2] > end]
        expect(pair, "back", camera, end, min([*later, end + 120]), must=True)
    last = record.began + (ended - record.began) // CYCLE * CYCLE  # the cycle that was cut off counts for nothing
    count["strange"] = sum(bool(at < last) for *_, at in left)
    return count


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Receiver:
    """A webhook that refuses some requests."""

    def __init__(self, draw: random.Random) -> None:
        receiver = self
        self.seen: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                refused = draw.random() < 1 / 3
                if not refused:
                    receiver.seen.append(json.loads(body)["id"])
                self.send_response(500 if refused else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()


class Broker:
    """Debian's MQTT broker, and a reader of all events."""

    def __init__(self, folder: Path) -> None:
        from paho.mqtt import client
        from paho.mqtt.enums import CallbackAPIVersion

        self.seen: list[str] = []
        port = free_port()
        (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
        self._process = subprocess.Popen(
            [str(program), "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(1)
        self.address = f"mqtt://127.0.0.1:{port}"
        self._reader = client.Client(CallbackAPIVersion.VERSION2, "reader")
        self._reader.on_message = lambda *call: self.seen.append(json.loads(call[-1].payload)["id"])
        self._reader.connect("127.0.0.1", port)
        self._reader.subscribe("metafusion/#", qos=1)
        self._reader.loop_start()

    def close(self) -> None:
        """End both."""
        self._reader.loop_stop()
        self._process.kill()
        self._process.wait()


class Watched:
    """The service as its own process, and a thread that notes when each pair has results."""

    def __init__(self, config: Path, port: int, record: Record) -> None:
        self._config, self._port, self._record = config, port, record
        self._log = (config.parent / "service.log").open("ab")
        self.notes = config.parent / "results.jsonl"
        self.notes.touch()
        self.start()
        Thread(target=self._read, daemon=True).start()

    def start(self) -> None:
        """Start the process."""
        script = Path(__file__).with_name("traced.py")
        command = [sys.executable, str(script), str(self.notes), "serve", str(self._config), f"port={self._port}"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def stop(self, how: int) -> None:
        """End it."""
        self._process.send_signal(how)
        self._process.wait()

    def _read(self) -> None:
        """Take in what the service notes of its results."""
        with self.notes.open() as lines:
            rest = ""
            while True:
                rest += lines.read()
                *whole, rest = rest.split("\n")
                for note in map(json.loads, whole):
                    self._record.sees[note["pair"]].append(note["at"])
                    if any(row[0] == PERSON for row in note["found"]):
                        self._record.finds[note["pair"]].append(note["at"])
                time.sleep(0.1)

    def settle(self) -> None:
        """Wait until all have been told of what waits, at most a minute."""
        for _ in range(300):
            with urlopen(f"http://127.0.0.1:{self._port}/live", timeout=30) as answer:
                if not any(json.load(answer)["waiting"].values()):
                    return
            time.sleep(0.2)

    def wait(self) -> None:
        """Wait until both pairs have results."""
        began = time.time()
        while not all(times and times[-1] > began for times in self._record.sees.values()):
            if self._process.poll() is not None:
                raise SystemExit(f"the service has ended; see {self._config.parent}/service.log")
            time.sleep(0.1)


def simulate(record: Record, rate: float) -> dict[tuple[str, str], MjpegCamera]:
    """Return the cameras by pair and side."""
    someone = person()
    grey = cv2.cvtColor(cv2.cvtColor(someone, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return {
        (pair, side): MjpegCamera(lambda i, who=who: draw((time.time() - record.began) % CYCLE, who), rate)
        for pair in record.sees
        for side, who in (("visible", someone), ("infrared", grey))
    }


def describe(folder: Path, cameras: dict[tuple[str, str], MjpegCamera], model: str, imgsz: int, told: dict) -> Path:
    """Write the YAML of the service."""
    pairs: dict[str, dict] = {}
    for (pair, side), camera in cameras.items():
        pairs.setdefault(pair, {"rules": RULES})[side] = camera.url
    content = {
        "model": str(Path(model).absolute()) if Path(model).is_file() else model,
        "imgsz": imgsz,
        "cameras": pairs,
        "events": {"file": "told.jsonl", "secret": SECRET, "keep": 100_000, "before": 2, "after": 2, **told},
    }
    file = folder / "cameras.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def act(
    service: Watched, cameras: dict[tuple[str, str], MjpegCamera], record: Record, args: Any, luck: random.Random
) -> list[float]:
    """Kill cameras and the service, evenly over the run; return for how many seconds the service was down each time.

    Around every other kill of the service a camera is dead, and comes back while the service is down.
    """
    actions, downs = ["kill"] * args.kills + ["death"] * args.deaths, []
    luck.shuffle(actions)
    for i, action in enumerate(actions):
        start = record.began + (i + luck.uniform(0.2, 0.6)) * args.seconds / (len(actions) + 1)
        time.sleep(max(0.0, start - time.time()))
        side, began = luck.choice([*cameras]), time.time()
        dies = action == "death" or len(downs) % 2 == 0
        if dies:
            cameras[side].kill()
            time.sleep(args.away)
        if action == "kill":
            moment = time.time()
            service.stop(signal.SIGKILL)
        if dies:
            cameras[side].start()
            record.deaths.append((*side, began, time.time()))
        if action == "kill":
            service.start()
            service.wait()
            downs.append(time.time() - moment)
        time.sleep(6)  # until the camera is told to be back
    return downs


def taken(file: Path) -> list[dict]:
    """Return the events of an outbox, with their time in seconds since 1970."""
    with sqlite3.connect(file) as database:
        events = [json.loads(body) for (body,) in database.execute("SELECT body FROM events ORDER BY number")]
    return [one | {"at": datetime.fromisoformat(one["time"]).timestamp()} for one in events]


def main() -> None:
    """Watch, kill, count; end with 1 if anything is lost, missed, told twice or strange."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--deaths", type=int, default=40, help="of cameras")
    parser.add_argument("--kills", type=int, default=5, help="of the service")
    parser.add_argument("--away", type=float, default=5, help="seconds for which a camera is dead")
    parser.add_argument("--rate", type=float, default=5, help="of the cameras, Hz")
    parser.add_argument("--model", default="yolov8n.pt")
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/events.json"))
    args = parser.parse_args()

    luck = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="events-"))
    record = Record(time.time(), {"gate": [], "yard": []}, {"gate": [], "yard": []})
    cameras = simulate(record, args.rate)
    receiver, broker = Receiver(luck), Broker(folder)
    told = {"webhook": receiver.address, "mqtt": broker.address}
    service = Watched(describe(folder, cameras, args.model, args.imgsz, told), free_port(), record)
    service.wait()
    record.began = time.time()
    downs = act(service, cameras, record, args, luck)
    time.sleep(max(0.0, record.began + args.seconds - time.time()))
    ended = time.time()
    service.settle()
    service.stop(signal.SIGTERM)
    broker.close()
    for camera in cameras.values():
        camera.kill()

    events = taken(folder / "events.db")
    lines = [json.loads(line)["id"] for line in (folder / "told.jsonl").read_text().splitlines()]
    sinks = {"file": lines, "webhook": receiver.seen, "mqtt": broker.seen}
    count = judge(record, [one for one in events if one["at"] > record.began], ended)
    count["lost"] = sum(len({one["id"] for one in events} - {*seen}) for seen in sinks.values())
    again = {name: len(seen) - len({*seen}) for name, seen in sinks.items()}
    rates = {pair: round(len(times) / (ended - record.began), 1) for pair, times in record.sees.items()}
    clips = {one["clip"] for one in events if one["clip"]}
    there = sum(cv2.VideoCapture(str(folder / "clips" / clip)).read()[0] for clip in clips)
    kinds = dict(Counter(one["event"] for one in events))
    print(f"{ended - record.began:.0f} s, {len(record.deaths)} deaths of cameras, {args.kills} kills of the service")
    print(f"down for {', '.join(f'{down:.0f}' for down in downs)} s; {len(events)} events: {kinds}")
    print(", ".join(f"{count[key]} {key}" for key in ("told", "missed", "twice", "strange", "unseen", "anew", "lost")))
    print("again: " + ", ".join(f"{number} by {name}" for name, number in again.items()))
    print(f"results a second, at least: {rates}; {there} of {len(clips)} clips; {folder}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    result = {**count, "events": kinds, "again": again, "downs": downs, "rates": rates, "deaths": len(record.deaths)}
    args.json.write_text(json.dumps(result, indent=2, default=int))
    raise SystemExit(1 if any(count[key] for key in ("missed", "twice", "strange", "lost")) else 0)


if __name__ == "__main__":
    main()
