"""The YAML of the service: what it says, and each mistake in a line of its own."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.options.watch import NEEDS
from metafusion_yolo.serve.watch.plan import plan_of as two_cameras
from metafusion_yolo.serve.watch.plan import read_plan
from metafusion_yolo.support.errors import UserError

ZONE = [[0, 0], [1, 0], [0.5, 1]]
SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def plan_of(tmp_path, gate=None, events=None, **more):
    gate = {"visible": "rtsp://me:word@a/v", "infrared": "rtsp://me:word@a/i"} if gate is None else gate
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump({"cameras": {"gate": gate}, "events": events or {}, **more}))
    return read_plan(Serve(config=str(file), port=9))


def rule(**content):
    return {"visible": 0, "infrared": 1, "rules": {"fence": content}}


def test_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_WORD", "a/b")
    for name in ("best.pt", "gate.yaml", "own.yaml"):
        (tmp_path / name).touch()
    files = {"data": "gate.yaml", "tracker": "own.yaml"}
    gate = {
        "visible": "rtsp://me:${CAMERA_WORD}@a/v",
        "infrared": 1,
        **files,
        "rules": {"f": {"when": "enters", "zone": ZONE}},
    }
    options, plan = plan_of(tmp_path, gate | files, {"file": "told.jsonl"}, model="best.pt", port=1, imgsz=320)
    assert (options.port, options.imgsz, options.model) == (
        9,
        320,
        str(tmp_path / "best.pt"),
    )  # the command goes before
    [pair] = plan.pairs
    assert (pair.name, pair.cameras.visible, pair.rules["f"].holds) == ("gate", "rtsp://me:a/b@a/v", 0)
    assert (pair.cameras.data, pair.cameras.tracker) == (str(tmp_path / "gate.yaml"), str(tmp_path / "own.yaml"))
    assert plan.events.file == str(tmp_path / "told.jsonl") and plan.events.clips == str(tmp_path / "clips")


MISTAKES = [
    ({"camera": {}}, "unknown key 'camera' in '*', did you mean 'cameras'?"),
    ({"cameras": {}}, "'cameras:' is empty; give at least one pair"),
    ({"cameras": {"a b": {}}}, "'a b' is not a valid name for a pair, expected up to 40 letters, digits, - and _"),
    ({"gate": {"visible": 0, "infra": 1}}, "unknown key 'infra' in pair 'gate', did you mean 'infrared'?"),
    ({"gate": {"infrared": 1}}, "pair 'gate' has no 'visible:', address (rtsp://, http://) or number of the *"),
    (
        {"gate": {"visible": "a.mp4", "infrared": 1}},
        "pair 'gate': 'visible: a.mp4' is not a camera, expected an address *",
    ),
    ({"gate": {"visible": 0}}, "pair 'gate': give 'infrared:', or 'layout:' if 'visible:' holds both cameras"),
    ({"gate": {"visible": 0, "infrared": 1, "on_missing": "error"}}, "*'on_missing=error' is invalid, known: single*"),
    ({"gate": {"visible": "rtsp://${NOT_SET}@a", "infrared": 1}}, "'${NOT_SET}' is not set; give it in the *"),
    (
        {"gate": rule(when="enter", zone=ZONE)},
        "rule 'fence' of 'gate': 'when=enter' is invalid, did you mean 'enters'?",
    ),
    ({"gate": rule(zone=ZONE)}, "rule 'fence' of 'gate' has no 'when:', what the rule reports"),
    ({"gate": rule(when="enters")}, "rule 'fence' of 'gate': 'when: enters' needs 'zone:'"),
    ({"gate": rule(when="lost", zone=ZONE)}, "rule 'fence' of 'gate': 'when: lost' does not use 'zone:'; leave it out"),
    ({"gate": rule(when="enters", zone=ZONE, clases=[])}, "unknown key 'clases' in rule 'fence' of 'gate', did you *"),
    ({"gate": rule(when="enters", zone=ZONE[:2])}, "*: a zone has three corners or more, this one has 2"),
    (
        {"gate": rule(when="enters", zone=[[0, 0], [320, 0], [1, 1]])},
        "*shares of the image from 0 to 1, not [[]320, 0]",
    ),
    ({"gate": rule(when="crosses", line=[[0, 0], [0, 0]])}, "*a line has two different points, *"),
    ({"gate": rule(when="enters", zone=ZONE, classes=[1])}, "*'classes:' is a list of names, not of 1"),
    ({"gate": rule(when="stays", zone=ZONE, seconds=-1)}, "*'seconds=-1' is invalid, expected at least 0: *"),
    ({"events": {"webhok": "http://a"}}, "unknown key 'webhok' in 'events:', did you mean 'webhook'?"),
    ({"events": {"webhook": "ftp://a"}}, "'webhook:' must begin with https:// or http://"),
    ({"events": {"webhook": "http://a"}}, "'webhook:' needs 'secret:', base64 as by `openssl rand -base64 32`"),
    ({"events": {"mqtt": "broker"}}, "'mqtt:' must begin with mqtt:// or mqtts://"),
    ({"events": {"topic": "{camera}"}}, "'topic:' may hold {pair}, {rule} and {event}, nothing else in braces"),
    ({"events": {"webhook": ["http://me:word@a"]}}, "*'webhook=[[]'http://[*][*][*]@a']' is invalid*"),
    ({"events": {"secret": 12345}}, "*'secret=[*][*][*]' is invalid, expected a name or path"),
]


@pytest.mark.parametrize(("content", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_mistake(tmp_path, content, line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        plan_of(tmp_path, **content)
    said = str(caught.value)
    assert "\n" not in said and "word" not in said and "12345" not in said
    assert fnmatch.fnmatch(said.split("c.yaml: ", 1)[1], line), said


def test_unknown_class(tmp_path):
    _, plan = plan_of(tmp_path, rule(when="enters", zone=ZONE, classes=["persn"]))
    with pytest.raises(
        UserError, match="rule 'fence' of 'gate': the model has no class 'persn', did you mean 'person'"
    ):
        plan.pairs[0].check_classes({0: "person", 1: "car"})
    assert "word" not in str(asdict(plan.events))


def test_the_example_and_the_document(tmp_path, monkeypatch):
    root = Path(__file__).parents[3]
    _, plan = read_plan(Serve(config=str(root / "examples" / "service" / "cameras.yaml")))
    assert plan.events.mqtt == "mqtt://broker"
    compose = yaml.safe_load((root / "examples" / "service" / "compose.yaml").read_text())
    assert {"broker", "cameras"} == {*compose["services"]["metafusion"]["depends_on"]}
    text = (root / "docs" / "serving.md").read_text(encoding="utf-8")
    (tmp_path / "c.yaml").write_text(re.findall("```yaml\n(.*?)```", text, re.DOTALL)[0])
    for name in ("GATE_PASSWORD", "MQTT_PASSWORD"):
        monkeypatch.setenv(name, "word")
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    options, plan = read_plan(Serve(config=str(tmp_path / "c.yaml")))
    assert options.imgsz == 640 and len(plan.pairs[0].rules) == 4
    assert {*re.findall(r"^\| `(\w+)` \|.*\| `\w+`", text, re.MULTILINE)} >= {*NEEDS}, "the table has them all"


def test_two_cameras_of_the_command():
    [watched] = two_cameras(App(visible="rtsp://me:word@a/v", infrared=1)).pairs
    assert watched.cameras.infrared == 1 and {*watched.rules} == {"lost", "drifted", "tampered"}
    for given, told in (
        ({"visible": "rtsp://a/v"}, "give 'infrared:'"),
        ({"visible": "film.mp4", "infrared": 1}, "is not a camera"),
        ({"infrared": 1}, "has no 'visible:'"),
        ({"visible": 0, "infrared": 1, "config": "c.yaml"}, "not both"),
    ):
        with pytest.raises(UserError, match=told):
            two_cameras(App(**given))
