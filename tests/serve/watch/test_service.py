"""All of it together, on real streams: a camera dies and comes back, and the other pair does not notice."""

from __future__ import annotations

import json
import time
from threading import Thread

import cv2
import numpy as np
import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.options.serve import Serve
from metafusion_yolo.options.watch import CameraPair, Events
from metafusion_yolo.serve import live
from metafusion_yolo.serve.server import Server
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.plan import Plan, Watched
from metafusion_yolo.serve.watch.service import Service
from metafusion_yolo.serve.watch.stream import Stream
from tests.serve.watch.conftest import PASSWORD

ENOUGH = 30.0  # seconds after which something will not happen any more


def wait_for(found, seconds: float = ENOUGH):
    """Return what is found, once it is."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return answer


def events(client, **wanted) -> list[dict]:
    every = json.loads(client.ask("GET", "/events?limit=1000").body)
    return [one for one in every if wanted.items() <= one.items()]


def numbers(client) -> dict[str, int]:
    return {pair["name"]: pair["number"] for pair in client.ask("GET", "/live").json["pairs"]}


def shapes(clip) -> list[tuple[int, ...]]:
    capture = cv2.VideoCapture(str(clip))
    found = []
    while (read := capture.read())[0]:
        found.append(read[1].shape)
    return found


def test_a_pair_that_dies_does_not_stop_the_other(watching, cameras, folder, caplog):
    wait_for(lambda: all(numbers(watching).values()))
    for pair in ("gate", "yard"):
        wait_for(lambda pair=pair: events(watching, pair=pair, event="crowded"))
    for side in ("visible", "infrared"):
        cameras[f"gate {side}"].kill()
    for side in ("visible", "infrared"):
        wait_for(lambda side=side: events(watching, pair="gate", event="lost", camera=side))
    before = numbers(watching)
    wait_for(lambda: numbers(watching)["yard"] > before["yard"] + 5)
    assert numbers(watching)["gate"] == before["gate"]
    [gate, _] = watching.ask("GET", "/live").json["pairs"]
    assert gate["missing"] == ["visible", "infrared"] and gate["restarts"] == 0
    up = watching.ask("GET", "/metrics").body.decode()
    assert 'metafusion_camera_up{camera="visible",pair="gate"} 0.0' in up
    for side in ("visible", "infrared"):
        cameras[f"gate {side}"].start()
    for side in ("visible", "infrared"):
        wait_for(lambda side=side: events(watching, pair="gate", event="back", camera=side))
    wait_for(lambda: numbers(watching)["gate"] > before["gate"] + 3)
    assert not events(watching, pair="yard", event="lost")

    told = {one["id"] for one in events(watching)}
    lines = wait_for(lambda: len(read := (folder / "told.jsonl").read_text().splitlines()) >= len(told) and read)
    assert {json.loads(line)["id"] for line in lines} >= told
    everything = [caplog.text, *lines, watching.ask("GET", "/live").body.decode(), up]
    everything += [file.read_bytes().decode("latin-1") for file in folder.glob("events.db*")]
    assert not any(PASSWORD in text for text in everything)


def test_the_clip_of_an_event(watching, folder):
    wait_for(lambda: events(watching, event="crowded"))
    name = events(watching)[-1]["clip"]
    wait_for(lambda: watching.ask("GET", f"/clips/{name}").status == 200)
    wait_for(lambda: len(shapes(folder / "clips" / name)) >= 10)
    assert {*shapes(folder / "clips" / name)} == {(48, 128, 3)}, "both cameras side by side"
    answer = watching.ask("GET", f"/clips/{name}", range="bytes=0-9")
    assert answer.headers["content-type"] == "video/webm"
    assert answer.body == (folder / "clips" / name).read_bytes()[:10]


def test_pictures(watching, monkeypatch):
    monkeypatch.setattr(live, "WAIT", 1.0)
    wait_for(lambda: all(numbers(watching).values()))
    answer = watching.ask("GET", "/live/gate?view=infrared")
    image = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (48, 64, 3)
    after = int(answer.headers["x-number"])
    assert int(watching.ask("GET", f"/live/gate?after={after}").headers["x-number"]) > after
    assert watching.ask("GET", f"/live/gate?after={10**9}").status == 204


ATTEMPTS = [
    *("/clips/../cameras.yaml", "/clips/..%2fcameras.yaml", "/clips/%2e%2e%2fevents.db", "/clips/events.db"),
    *("/clips/%2fetc%2fpasswd", "/clips/", "/clips/a.webm%00", "/clips/..webm", "/clips/link.webm", "/clips/a.webm"),
    *("/live/..", "/live/nowhere", "/live/gate%00", "/live/gate/../../etc/passwd"),
]


@pytest.mark.parametrize("path", ATTEMPTS)
def test_another_file(watching, folder, path):
    link = folder / "clips" / "link.webm"
    if not link.is_symlink():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder / "cameras.yaml")
    answer = watching.ask("GET", path)
    assert answer.status in (404, 307, 400) and b"cameras" not in answer.body


def test_wrong_questions(watching):
    for path in ("/live/gate?view=x", "/live/gate?after=-1", "/events?limit=0", "/events?limit=x"):
        assert watching.ask("GET", path).status == 422
    assert watching.ask("GET", "/events", origin="http://evil.com").status == 403
    assert watching.ask("POST", "/events").status == 405


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            "rules: {f: {when: counts, more_than: 1, classes: [persn]}}",
            "rule 'f' of 'gate': the model has no class 'persn'",
        ),
        ("data: nowhere.yaml", "no data-set YAML 'nowhere.yaml'"),
        ("tracker: nowhere.yaml", "no tracker 'nowhere.yaml'"),
    ],
)
def test_what_only_the_model_or_the_files_tell_ends_the_start(tiny, tmp_path, wrong, said):
    file = tmp_path / "c.yaml"
    gate = f"{{visible: 'rtsp://127.0.0.1:1/a', infrared: 1, {wrong}}}"
    file.write_text(f"model: {tiny}\nport: 0\nimgsz: 64\ncameras:\n  gate: {gate}\n")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        Server(Serve(config=str(file))).run()


def test_a_thread_that_hangs_is_replaced(tmp_path, tiny, cameras):
    """The first thread stops for ever after a result; its cameras go on."""
    model = MetaFusionYOLO(tiny)
    given = {side: cameras[f"yard {side}"].url for side in ("visible", "infrared")}
    outbox = Outbox(tmp_path / "events.db", [], 10)
    began: list[Stream] = []

    def track(watched: Watched):
        began.append(stream)
        first = len(began) == 1
        for result in model.track(
            given["visible"], infrared=given["infrared"], stream=True, imgsz=64, verbose=False, on_missing="single"
        ):
            yield result
            if first:
                time.sleep(5)

    stream = Stream(Watched("yard", CameraPair(**given, watchdog=2), {}), track, outbox, None)
    model.add_callback("on_predict_start", lambda predictor: stream.opened(predictor.dataset))
    stream.start()
    wait_for(lambda: (stream.check(), time.sleep(0.2), stream.now.restarts)[-1])
    wait_for(lambda: stream.now.number > 5)
    assert len(began) == 2 and not stream.now.trouble
    stream.close()
    outbox.close()


def test_a_fault_that_stays_is_told_once(tmp_path, caplog):
    class Full:
        looks = 0

        def check(self) -> None:
            self.looks += 1
            raise OSError("no space left on device")

        def close(self) -> None: ...

    service = Service(Serve(), Plan([], Events(outbox=str(tmp_path / "events.db"), clips=None)))
    service.streams["gate"] = Full()
    watch = Thread(target=service._watch)
    watch.start()
    wait_for(lambda: service.streams["gate"].looks > 2)
    service.close()
    watch.join(ENOUGH)
    assert caplog.text.count("gate: cannot be looked after") == 1
