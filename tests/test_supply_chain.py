"""What the package never does: run what a stranger wrote, ask the network, install, or write where it should not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

import metafusion_yolo
from metafusion_yolo import MetaFusionYOLO, cli
from metafusion_yolo.compare import run_compare
from metafusion_yolo.engine.export.exporter import FusionDetectionExporter
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.options import Compare, Register
from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.prepare.convert import convert
from metafusion_yolo.prepare.register import register_dataset
from tests.conftest import TINY

PACKAGE = Path(metafusion_yolo.__file__).parent
FORBIDDEN = {  # by what they are called on, None for a plain name
    (None, "eval"),
    (None, "exec"),
    (None, "compile"),
    (None, "__import__"),
    ("os", "system"),
    ("os", "popen"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("pickle", "load"),
    ("pickle", "loads"),
    ("pickle", "Unpickler"),
    ("torch", "load"),
    ("tempfile", "mktemp"),
}
MODULES = {
    "subprocess",
    "socket",
    "urllib",
    "requests",
    "http",
    "marshal",
    "shelve",
    "dill",
    "joblib",
    "xmlrpc",
    "ftplib",
}


MAY = {  # the files that may talk to the network, and how
    PACKAGE / "serve" / "server.py": "import socket",  # it listens
    PACKAGE / "serve" / "watch" / "sinks.py": "import requests",  # to the webhook that its owner has named
}
HANDS_OVER = {  # the files that read what their own processes have written, and how often
    PACKAGE / "engine" / "train" / "distributed.py": ("pickle.loads(file.read_bytes())",),  # once, in a private folder
    PACKAGE / "support" / "cluster.py": ("pickle.loads(block)", "pickle.loads(row['result'])"),  # over Ray, as it does
}


def doubtful(source: str) -> list[str]:
    """Return the lines of a source that run text or commands, load pickles, or talk to the network."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            owner = (
                called.value.id if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) else None
            )
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            plain = isinstance(called, ast.Name)
            given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            if ((owner, name) in FORBIDDEN and (owner or plain)) or given.get("shell") or given.get("allow_pickle"):
                found.append(f"line {node.lineno}: {ast.unparse(node)[:60]}")
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [
            f"line {node.lineno}: import {n}" for n in names if n.partition(".")[0] in MODULES and n != "urllib.parse"
        ]
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_the_source_runs_no_text_and_opens_no_connection(file):
    found = [line for line in doubtful(file.read_text(encoding="utf-8")) if not line.endswith(MAY.get(file, "none"))]
    own = HANDS_OVER.get(file, ())
    assert sorted(line.partition(": ")[2] for line in found) == sorted(own)


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')",
        "yaml.load(f)",
        "import os\nos.system('x')",
        "subprocess_run(x, shell=True)",
        "np.load(f, allow_pickle=True)",
        "import urllib.request",
        "from pickle import x\npickle.load(f)",
    ],
)
def test_the_search_finds(line):
    assert len(doubtful(line)) == 1


def test_the_search_lets_pass_what_is_harmless():
    assert doubtful("model.eval()\nyaml.safe_load(f)\nast.literal_eval(x)\nnp.load(f, allow_pickle=False)") == []


# The network ---------------------------------------------------------------------------------------------------------
NO_NETWORK = """
import os, socket, sys

def refuse(what):
    with open(os.environ["ASKED"], "a") as file:
        file.write(f"{what}\\n")
    raise OSError("no network in this test")

def look_up(host, *args, **kwargs):
    if host in ("one.one.one.one", "dns.google"):  # by these the host finds out that it is online
        return []
    refuse(host)

socket.getaddrinfo = look_up
socket.socket.connect = lambda self, address: refuse(address)
from ultralytics import settings

settings.update(raytune=False)  # it takes six seconds to import, and asks for nothing
from metafusion_yolo.cli import main
for words in sys.argv[1:]:
    assert main(words.split()) in (0, 1), words  # 1: a data set to be repaired
"""
HOSTS = {"github.com"}  # from which Ultralytics takes the font of plots, if it is not here yet


def asked(folder: Path, *commands: str) -> set[str]:
    """Run commands in a process where every connection is refused; return the hosts that were asked for."""
    log = folder / "asked.txt"
    log.write_text("")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment |= {"ASKED": str(log), "YOLO_CONFIG_DIR": str(folder / "config")}
    command = [sys.executable, "-c", NO_NETWORK, *commands]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return set(log.read_text().split("\n")) - {""}


@pytest.mark.slow
def test_nothing_asks_the_network_but_the_host_for_its_font(tmp_path, make_pair_folder):
    folder = make_pair_folder(4)
    runs = tmp_path / "runs"
    best = runs / "train" / "weights" / "best.pt"
    commands = [
        f"train model={TINY} data={folder.yaml} epochs=1 imgsz=64 batch=2 pretrained=False plots=False project={runs}",
        f"val model={best} data={folder.yaml} imgsz=64 project={runs} plots=False",
        f"predict model={best} source={folder.images} project={runs}",
        f"track model={best} source={folder.images} project={runs}",
        f"fuse model={best} source={folder.images} project={runs}",
        f"export model={best} imgsz=64",
        f"data check data={folder.yaml} project={runs}",
        f"data synth dst={tmp_path / 'synthetic'} train=2 val=2 imgsz=64",
    ]
    assert asked(tmp_path, *commands) <= HOSTS


# Data sets of strangers ----------------------------------------------------------------------------------------------
@pytest.fixture
def hostile(make_pair_folder, tmp_path):
    """Data set without its validation images, whose YAML says to run something instead; and the trace of that."""
    trace = tmp_path / "it-ran"
    folder = make_pair_folder(2, val="images/gone", download=f"open({str(trace)!r}, 'w').close()")
    return folder, trace


def test_the_host_would_run_it(hostile):
    from ultralytics.data.utils import check_det_dataset

    folder, trace = hostile
    check_det_dataset(str(folder.yaml))
    assert trace.exists()


def modes(data: str, tmp_path: Path) -> dict[str, Callable[[], Any]]:
    """Return everything that reads a data set."""
    model, runs = tmp_path / "model.pt", {"project": str(tmp_path / "runs")}
    options = {"data": data, "imgsz": 64, **runs}
    exporter = FusionDetectionExporter(overrides={"data": data})
    return {
        "train": lambda: MetaFusionYOLO(TINY).train(epochs=1, pretrained=False, **options),
        "fusion_only": lambda: MetaFusionYOLO(TINY).train(fusion_only=True, epochs=1, pretrained=False, **options),
        "val": lambda: MetaFusionYOLO(TINY).val(**options),
        "val of test": lambda: MetaFusionYOLO(TINY).val(split="test", **options),
        "calibration": exporter.get_int8_calibration_dataloader,
        "compare": lambda: run_compare(Compare(data, **runs)),
        "benchmark": lambda: MetaFusionYOLO(model).benchmark(format="pt", **options),
        "data check": lambda: check_dataset(data),
        "data register": lambda: register_dataset(Register(data, **runs)),
    }


@pytest.mark.parametrize("mode", modes("", Path()))
def test_no_mode_runs_what_a_data_set_says_under_download(hostile, mode, tmp_path):
    folder, trace = hostile
    MetaFusionYOLO(TINY).save(tmp_path / "model.pt")
    run = modes(str(folder.yaml), tmp_path)[mode]
    with pytest.raises((ValueError, FileNotFoundError), match=r"missing path|images not found"):
        run()
    assert not trace.exists()


def test_an_archive_is_unpacked_inside_its_folder_only(tmp_path, monkeypatch, make_pair_folder):
    import ultralytics.data.utils as host

    folder, outside = make_pair_folder(2, path=None), tmp_path / "outside"
    monkeypatch.setattr(host, "DATASETS_DIR", tmp_path / "inner" / "datasets")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in folder.root.rglob("*.*"):
            archive.write(file, f"set/{file.relative_to(folder.root)}")
        archive.writestr("../../outside", "escaped")
        archive.writestr(str(outside), "escaped")
    with suppress(ValueError, FileNotFoundError):
        MetaFusionYOLO(TINY).val(data=str(tmp_path / "set.zip"), imgsz=64, project=str(tmp_path / "runs"), plots=False)
    assert not outside.exists() and not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("name", ["../../escaped", "a/../../../escaped", "{absolute}"])
def test_a_list_of_a_published_data_set_names_nothing_outside(tmp_path, name):
    """Aligned FLIR names its pairs in lists, which anyone may have written."""
    src, dst = tmp_path / "src" / "flir", tmp_path / "dst"
    (src / "JPEGImages" / "a").mkdir(parents=True)
    (src / "Annotations" / "a").mkdir(parents=True)
    name = name.format(absolute=tmp_path / "escaped")
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    for stem in ("1", "2", name):
        for end in ("_RGB.jpg", "_PreviewData.jpeg"):
            file = src / "JPEGImages" / f"{stem}{end}"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(os.path.normpath(file), image)
        xml = Path(os.path.normpath(src / "Annotations" / f"{stem}_PreviewData.xml"))
        xml.parent.mkdir(parents=True, exist_ok=True)
        xml.write_text("<annotation/>")
    (src / "align_train.txt").write_text(f"1_PreviewData\n{name}_PreviewData\n")
    (src / "align_validation.txt").write_text("2_PreviewData\n")
    before = {file for file in tmp_path.rglob("*") if dst not in file.parents}
    report = convert("flir-aligned", str(src), str(dst))
    assert {file for file in tmp_path.rglob("*") if dst not in file.parents} - before == {dst}
    assert sum(report.pairs.values()) == 2
    assert "pair whose name leads out of the data set" in str(report)


def test_a_class_name_leads_nowhere(tmp_path):
    """The host makes a folder of each class, and class names come with a checkpoint."""
    names = {0: "../../up", 1: str(tmp_path / "absolute"), 2: "..", 3: "person"}
    pair = np.random.default_rng(0).integers(0, 255, (32, 32, 4), np.uint8)
    boxes = torch.tensor([[2, 2, 20, 20, 0.9, cls] for cls in names], dtype=torch.float32)
    result = FusionResults(pair, None, "visible", path="0.png", names=names, boxes=boxes)
    result.save_crop(tmp_path / "runs" / "crops", "0.jpg")
    written = list(tmp_path.rglob("*.jpg"))
    assert len(written) == 8  # two cameras
    assert all((tmp_path / "runs" / "crops") in file.parents for file in written)
    assert {file.parent.name for file in written} >= {"person", "_"}


def test_a_split_stays_in_the_folder_that_its_yaml_names(make_pair_folder, tmp_path):
    elsewhere = make_pair_folder(2, name="elsewhere")
    folder = make_pair_folder(2, train="../elsewhere/images/train")
    options = {"epochs": 1, "imgsz": 64, "pretrained": False, "project": str(tmp_path / "runs")}
    message = r"'\.\./elsewhere/images/train' in '.*data\.yaml' leads out of its 'path: .*'; write an absolute path"
    with pytest.raises(ValueError, match=message):
        MetaFusionYOLO(TINY).train(data=str(folder.yaml), **options)
    assert not list(elsewhere.root.rglob("*.cache"))
    for train in (str(elsewhere.images), "images/../images/train"):  # on purpose, and not outside
        folder.yaml.write_text(yaml.safe_dump({**folder.data, "train": train}))
        assert cli.main(["data", "check", f"data={folder.yaml}", f"project={tmp_path / 'runs'}"]) in (0, 1)
    content = {key: value for key, value in folder.data.items() if key != "path"}
    (folder.root / "deep").mkdir()
    (folder.root / "deep" / "data.yaml").write_text(
        yaml.safe_dump({**content, "train": "../images/train", "val": "../images/train"})
    )  # beside a YAML that names no folder, which is usual
    assert cli.main(["data", "check", f"data={folder.root / 'deep' / 'data.yaml'}", "project=" + str(tmp_path)]) in (
        0,
        1,
    )
