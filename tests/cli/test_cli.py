"""The command line: what reaches the model, what the help says, and that every mistake costs one line."""

import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
import weakref
from argparse import Namespace
from dataclasses import make_dataclass, replace
from pathlib import Path
from types import MethodType, SimpleNamespace
from unittest.mock import create_autospec

import pytest
import yaml

from metafusion_yolo import __version__, cli, scale
from metafusion_yolo.cli import reference
from metafusion_yolo.cli.parsing import host_arguments
from metafusion_yolo.functional.metrics.accumulator import Summary
from metafusion_yolo.options import Checked, Demo, Register, option
from metafusion_yolo.support.errors import UserError, UserTypeError, UserValueError
from tests.prepare.convert.miniatures import MINIATURES

MODES = (
    "app, benchmark, checks, compare, completion, data check, data convert, data init, data label, data register, "
    "data synth, demo, export, fuse, help, metrics, predict, serve, track, train, tune, val, version"
)
HEAVY = {"torch", "ultralytics", "numpy", "cv2"}


class Model:
    """Stands for MetaFusionYOLO: remembers its path and the calls, and answers what it is told to."""

    task = "detect"

    def __init__(self) -> None:
        self.path: str = ""
        self.calls: list[tuple[str, dict]] = []
        self.answer: object = None

    def __getattr__(self, name: str):
        def method(self, **kwargs: object) -> object:
            self.calls.append((name, kwargs))
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return MethodType(method, self)


@pytest.fixture
def model(monkeypatch) -> Model:
    """Replace the model."""
    fake = Model()
    fake.answer = ()

    def load_model(path, task=None):
        fake.path = path
        return fake

    monkeypatch.setattr(cli, "load_model", load_model)
    monkeypatch.delenv("METAFUSION_DEBUG", raising=False)
    return fake


def run(line: str) -> int:
    return cli.main(shlex.split(line))


def signature_defaults(function) -> dict[str, object]:
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


# What reaches the model -----------------------------------------------------------------------------------------------
ROUTES = {
    "train data=a.yaml": ("metafusion-yolov8n.yaml", "train", {"data": "a.yaml"}),
    "train data=a.yaml model=b.yaml pretrained=yolov8n.pt lr0=1e-3 device=0,1": (
        "b.yaml",
        "train",
        {"data": "a.yaml", "pretrained": "yolov8n.pt", "lr0": 0.001, "device": (0, 1)},
    ),
    "train data = a.yaml epochs= 3 imgsz =64 classes=[0, 2]": (
        "metafusion-yolov8n.yaml",
        "train",
        {"data": "a.yaml", "epochs": 3, "imgsz": 64, "classes": [0, 2]},
    ),
    "train --data=a.yaml epochs=3, name=2024": (
        "metafusion-yolov8n.yaml",
        "train",
        {"data": "a.yaml", "epochs": 3, "name": "2024"},
    ),
    "train data=a.yaml mode=train task=detect": ("metafusion-yolov8n.yaml", "train", {"data": "a.yaml"}),
    "train resume=True model=last.pt": ("last.pt", "train", {"resume": True}),
    "train resume=last.pt": ("last.pt", "train", {"resume": "last.pt"}),
    "val model=a.pt": ("a.pt", "val", {}),
    "val model=a.pt data=b.yaml modalities=visible": ("a.pt", "val", {"data": "b.yaml", "modalities": "visible"}),
    "val model=a.pt half=True": ("a.pt", "val", {"quantize": 16}),
    "predict model=a.pt source=b": ("a.pt", "predict", {"source": "b", "save": True, "stream": True}),
    "predict model=a.pt source=b infrared=None save=False": (
        "a.pt",
        "predict",
        {"source": "b", "infrared": None, "save": False, "stream": True},
    ),
    "predict model=a.pt source=b infrared=c/d save_fused=true view=infrared conf=0.5": (
        "a.pt",
        "predict",
        {
            "source": "b",
            "infrared": "c/d",
            "save_fused": True,
            "view": "infrared",
            "conf": 0.5,
            "save": True,
            "stream": True,
        },
    ),
    "predict model=a.pt source=b infrared=2024": (
        "a.pt",
        "predict",
        {"source": "b", "infrared": "2024", "save": True, "stream": True},
    ),
    "predict model=a.pt \"source=['b', 'c']\" \"infrared=['d', 'e']\"": (
        "a.pt",
        "predict",
        {"source": ["b", "c"], "infrared": ["d", "e"], "save": True, "stream": True},
    ),
    "track model=a.pt source=b.mp4 infrared=c.mp4 tracker=bytetrack.yaml": (
        "a.pt",
        "track",
        {"source": "b.mp4", "infrared": "c.mp4", "tracker": "bytetrack.yaml", "save": True, "stream": True},
    ),
    "export model=a.pt": ("a.pt", "export", {"format": "onnx"}),
    "export model=a.pt format=torchscript imgsz=[480, 640]": (
        "a.pt",
        "export",
        {"format": "torchscript", "imgsz": [480, 640]},
    ),
    "fuse model=a.pt source=b": ("a.pt", "fuse_images", {"source": "b"}),
    "fuse model=a.pt source=b infrared=None name=c method=max": (
        "a.pt",
        "fuse_images",
        {"source": "b", "infrared": None, "name": "c", "method": "max"},
    ),
    "benchmark model=a.pt": ("a.pt", "benchmark", {}),
    "benchmark model=a.pt data=b.yaml format=pt,onnx": ("a.pt", "benchmark", {"data": "b.yaml", "format": "pt,onnx"}),
}


@pytest.mark.parametrize("line", ROUTES)
def test_arguments_reach_the_model(model, line) -> None:
    model.answer = [Path("fused/1.png")]
    assert run(line) == 0
    path, method, kwargs = ROUTES[line]
    assert (model.path, model.calls) == (path, [(method, kwargs)])


@pytest.mark.parametrize("mode", ["predict", "track"])
def test_results_are_consumed_one_by_one(model, mode) -> None:
    kept, yielded = 0, 0

    class Result:
        """Something that can be waited for to disappear."""

    def results():
        nonlocal kept, yielded
        for _ in range(5):
            result = Result()
            reference = weakref.ref(result)
            yield result
            del result
            yielded += 1
            kept += reference() is not None

    model.answer = results()
    assert run(f"{mode} model=a.pt source=b") == 0
    assert (yielded, kept) == (5, 0)


def test_fuse_says_where_the_images_are(model, capsys) -> None:
    model.answer = iter([Path("runs/fuse/1.png"), Path("runs/fuse/2.png"), Path("runs/fuse/3.mp4")])
    assert run("fuse model=a.pt source=b") == 0
    folder = Path("runs/fuse")
    assert capsys.readouterr().out == f"2 fused images in {folder}\n1 fused video in {folder}\n"


def test_fuse_does_not_pass_over_nothing_in_silence(model, capsys) -> None:
    model.answer = iter(())
    assert run("fuse model=a.pt source=b") == 2
    assert error_line(capsys) == "nothing to fuse in 'b'"


def test_classical_fusion_needs_no_model(model, pair_folder, tmp_path, capsys) -> None:
    assert run(f"fuse method=laplacian source={pair_folder.images} project={tmp_path}/a name=b") == 0
    assert capsys.readouterr().out.endswith(f"4 fused images in {tmp_path}/a/b\n")
    assert model.path == "" and model.calls == []


def test_export_says_how_to_go_on(model, capsys) -> None:
    model.answer = "my runs/best.onnx"
    assert run("export model=a.pt") == 0
    assert capsys.readouterr().out == "\nUse it:  metafusion predict model='my runs/best.onnx' source=...\n"


def test_a_cfg_file_gives_way_to_arguments(model, tmp_path, capsys) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        yaml.safe_dump({"mode": "val", "task": None, "model": None, "data": "a.yaml", "epochs": 7, "lr0": 0.1})
    )
    assert run(f"train cfg={file} epochs=9") == 0
    assert model.calls == [("train", {"data": "a.yaml", "epochs": 9, "lr0": 0.1})]
    file.write_text("epoch: 7")
    assert run(f"train data=a.yaml cfg={file}") == 2
    assert error_line(capsys) == "unknown argument 'epoch' for 'train', did you mean 'epochs'?"


def test_a_copy_of_the_whole_host_configuration_works(model, tmp_path) -> None:
    from ultralytics.cfg import DEFAULT_CFG_DICT

    file = tmp_path / "default_copy.yaml"
    file.write_text(yaml.safe_dump(DEFAULT_CFG_DICT))
    assert run(f"predict cfg={file} model=a.pt source=b") == 0
    assert (model.path, model.calls[0][1]["source"]) == ("a.pt", "b")


def test_demo(model, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr("metafusion_yolo.cli.demo.run_demo", calls.append)
    assert run("demo") == 0
    assert run("demo epochs=2 train=8 val=4 pretrained=yolov8n.pt exist_ok=True project=1 name=2") == 0
    given = {"epochs": 2, "train": 8, "val": 4, "pretrained": "yolov8n.pt", "exist_ok": True}
    assert calls == [Demo(), Demo(**given, project="1", name="2")]
    assert model.calls == []


def test_data_synth(tmp_path, capsys) -> None:
    assert cli.main(["data", "synth", f"dst={tmp_path}/my pairs", "train=2", "val=1", "imgsz=32", "seed=3"]) == 0
    file = tmp_path / "my pairs" / "synthetic.yaml"
    assert sorted(path.name for path in file.parent.glob("images/*/*")) == ["000000.png", "000000.png", "000001.png"]
    assert (
        capsys.readouterr().out == f"Data set:  {file}\nTrain:     metafusion train data='{file}' imgsz=32 epochs=50\n"
    )
    assert run(f"data synth dst={tmp_path}/masks task=segment train=2 val=1 imgsz=32") == 0
    assert (
        f"Train:     metafusion segment train data={tmp_path}/masks/synthetic.yaml imgsz=32" in capsys.readouterr().out
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    assert run(f"data synth dst={tmp_path}/taken") == 2
    assert error_line(capsys).startswith(f"{tmp_path}/taken holds other files than a synthetic data set")


def test_data_convert(tmp_path, capsys) -> None:
    MINIATURES["llvip"].write(tmp_path / "my downloads")
    words = ["data", "convert", "format=llvip", f"src={tmp_path}/my downloads", f"dst={tmp_path}/my pairs"]
    assert cli.main(words) == 0
    first = capsys.readouterr().out
    file = tmp_path / "my pairs" / "llvip.yaml"
    assert first.startswith("LLVIP (Jia et al., 2021)")
    assert first.endswith(f"\n\nData set:  {file}\nTrain:     metafusion train data='{file}' epochs=50\n")
    assert cli.main(words) == 0
    assert "Nothing changed since the last conversion: nothing was written.\n" in capsys.readouterr().out
    assert cli.main([*words[:3], f"src={tmp_path}/nowhere", words[4]]) == 2
    assert error_line(capsys) == f"no folder '{tmp_path}/nowhere'; src= must name the root folder of the data set"


def test_data_check(pair_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    others = tmp_path / "others"
    for part in ("images", "infrared", "labels"):  # four pairs: three to train with, one to validate with
        (pair_folder.root / part / "val").mkdir()
        for file in (pair_folder.root / part / "train").glob("3.*"):
            file.rename(pair_folder.root / part / "val" / file.name)
    data = pair_folder.root / "split.yaml"
    data.write_text(yaml.safe_dump({**pair_folder.data, "val": "images/val"}))

    assert run(f"data check data={data}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["nothing found", f"Report: {tmp_path}/runs/data/check/report.html"]
    assert run(f"data check data={data} project={others} name=mine exist_ok=True") == 0
    assert run(f"data check data={data} project={others} name=mine") == 0
    assert sorted(path.parent.name for path in others.rglob("report.html")) == ["mine", "mine-2"]

    pair_folder.infrared[0].write_bytes(b"")
    assert run(f"data check data={data} report={tmp_path}/new/folder/a.html") == 1
    assert "1 error: repair the errors before training" in capsys.readouterr().out
    assert "cannot be read" in (tmp_path / "new/folder/a.html").read_text()


def test_data_register(monkeypatch) -> None:
    calls = []
    monkeypatch.setattr("metafusion_yolo.prepare.register.register_dataset", calls.append)
    assert run("data register data=a.yaml") == 0
    assert run("data register data=a.yaml pairs=30 per=sequence dry_run=True name=2") == 0
    assert run('data register data=a.yaml "matrix=[[1, 0, 2.5], [0, 1, -3], [0, 0, 1]]"') == 0
    assert calls == [
        Register("a.yaml"),
        Register("a.yaml", pairs=30, per="sequence", dry_run=True, name="2"),
        Register("a.yaml", matrix=[[1, 0, 2.5], [0, 1, -3], [0, 0, 1]]),
    ]


# Mistakes -------------------------------------------------------------------------------------------------------------
MISTAKES = {
    "trian": "unknown mode 'trian', did you mean 'train'?",
    "help trian": "unknown mode 'trian', did you mean 'train'?",
    "versoin": "unknown mode 'versoin', did you mean 'version'?",
    "detect": f"unknown mode 'detect', known: {MODES}",
    "data sinth dst=a": "unknown mode 'data sinth', did you mean 'data synth'?",
    "train epoch=3 data=a.yaml": "unknown argument 'epoch' for 'train', did you mean 'epochs'?",
    "train data=a.yaml zzz=1": "unknown argument 'zzz' for 'train', see 'metafusion train help'",
    "train data=a.yaml modalities=both": "unknown argument 'modalities' for 'train', see 'metafusion train help'",
    "predict model=a source=b infrarred=c": "unknown argument 'infrarred' for 'predict', did you mean 'infrared'?",
    "predict model=a source=b stream=True": "unknown argument 'stream' for 'predict', did you mean 'stream_buffer'?",
    "demo epoch=3": "unknown argument 'epoch' for 'demo', did you mean 'epochs'?",
    "data synth dst=a conf=3": (
        "unknown argument 'conf' for 'data synth', "
        "known: dst, everything_infrared, everything_visible, hard, imgsz, seed, task, train, val"
    ),
    "train data=a.yaml epochs": "'epochs' is incomplete, expected key=value",
    "train data=a.yaml epochs=": "'epochs=' is incomplete, expected key=value",
    "train data=a.yaml exist_ok": "'exist_ok' is incomplete, expected key=value",
    "train a.yaml": "'a.yaml' is incomplete, expected key=value",
    "train =a.yaml": "'=a.yaml' is incomplete, expected key=value",
    "train model= data=a.yaml": "'model=' is incomplete, expected key=value",
    "train data=a data=b": "argument 'data' is given twice",
    "predict model=a source=b source=c": "argument 'source' is given twice",
    "train data=[a": "'data=[a' has an unmatched '[' or ']' bracket.",
    "train data=[ = a = b": "'data=[=a=b' has an unmatched '[' or ']' bracket.",
    "train": "missing argument 'data' for 'train', expected data=...",
    "train data=None": "missing argument 'data' for 'train', expected data=...",
    "train resume=False": "missing argument 'data' for 'train', expected data=...",
    "train resume=True": "missing argument 'model' for 'train', expected model=...",
    "val data=a.yaml": "missing argument 'model' for 'val', expected model=...",
    "predict model=a": "missing argument 'source' for 'predict', expected source=...",
    "track source=a": "missing argument 'model' for 'track', expected model=...",
    "export": "missing argument 'model' for 'export', expected model=...",
    "fuse source=b": "method=learned needs model=; the methods that do not are average, maximum, laplacian",
    "fuse source=b method=laplace": "'method=laplace' is invalid, did you mean 'laplacian'?",
    "fuse model=a": "missing argument 'source' for 'fuse', expected source=...",
    "benchmark": "missing argument 'model' for 'benchmark', expected model=...",
    "data synth": "missing argument 'dst' for 'data synth', expected dst=...",
    "data check": "give data=, a data-set YAML, or the two folders, visible= and infrared=",
    "data check data=nothing-here.yaml": (
        "data set 'nothing-here.yaml': the file does not exist; give the path of a data-set YAML"
    ),
    "train data=a epochs=abc": "'epochs=abc' is invalid, expected a whole number",
    "train data=a epochs=0": "'epochs=0' is an invalid value. 'epochs' must be >= 1.",
    "train data=a imgsz=abc": "'imgsz=abc' is invalid, expected a whole number or a list",
    "val model=a plots=maybe": "'plots=maybe' is invalid, expected True or False",
    "predict model=a source=b infrared=True": (
        "'infrared=True' is invalid, expected a name or path or a list or an image"
    ),
    "train data=a mode=val": "argument 'mode' can only be 'train' here, or be left out",
    "train data=a task=track": (
        "argument 'task' can only be detect, segment, pose, obb, classify, semantic, depth here, not 'track'"
    ),
    "train data=a cfg=nothing-here.yaml": (
        "no file 'cfg=nothing-here.yaml'; give a YAML of arguments, as 'yolo copy-cfg' writes one"
    ),
    "segment metrics visible=a infrared=b fused=c": "'metrics' is the same for every task; leave 'segment' out",
    "classify compare data=a": "'task=classify' is invalid, known: detect, obb, pose, segment",
    "val model=a modalities=visble": "'modalities=visble' is invalid, did you mean 'visible'?",
    "predict model=a source=b view=both": "'view=both' is invalid, known: fused, infrared, panel, visible, weights",
    "predict model=a source=b save_fused=1": "'save_fused=1' is invalid, expected True or False",
    "demo epochs=abc": "'epochs=abc' is invalid, expected a whole number",
    "demo epochs=True": "'epochs=True' is invalid, expected a whole number",
    "demo exist_ok=yes": "'exist_ok=yes' is invalid, expected True or False",
    "data convert format=llvip src=a": "missing argument 'dst' for 'data convert', expected dst=...",
    "data convert format=llvp src=a dst=b": "unknown format 'llvp', did you mean 'llvip'?",
    "data convert format=llvip src=a dst=b labels=both": "'labels=both' is invalid, known: infrared, union, visible",
    "data convert format=llvip src=a dst=b copy=1": "'copy=1' is invalid, expected True or False",
    "data synth dst=a imgsz=2.5": "'imgsz=2.5' is invalid, expected a whole number",
    "data register": "give data=, a data-set YAML, or the two folders, visible= and infrared=",
    "data register data=a.yaml": "no data-set YAML 'a.yaml'; give a file with path, train, val and names",
    "data register data=a.yaml per=folder": "'per=folder' is invalid, known: dataset, sequence",
    "data register data=a.yaml pairs=many": "'pairs=many' is invalid, expected a whole number",
    "data register data=a.yaml matrix=identity": "'matrix=identity' is invalid, expected a list",
}


def error_line(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("metafusion: error: ")
    assert captured.err.endswith("\n")
    return captured.err[len("metafusion: error: ") : -1]


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_costs_one_line(model, capsys, line) -> None:
    assert run(line) == 2
    assert error_line(capsys) == MISTAKES[line]
    assert model.path == "", "mistakes are to be found before the model loads"


REFUSALS = {
    "no checkpoint 'a.pt'": FileNotFoundError("no checkpoint 'a.pt'"),
    "Permission denied: 'runs/größe 1'; change its rights, or name another place": PermissionError(
        13, "Permission denied", "runs/größe 1"
    ),
    "two lines": UserValueError("two\n  lines"),
    "Bad key in data.yaml.": UserTypeError("\x1b[31mBad key\x1b[0m in data.yaml ❌\ufe0f."),
    "UserTypeError": UserTypeError(),
}


@pytest.mark.parametrize("expected", REFUSALS)
def test_what_the_model_refuses_costs_one_line(model, capsys, expected) -> None:
    model.answer = REFUSALS[expected]
    assert run("val model=a.pt") == 2
    assert error_line(capsys) == expected


def test_the_summary_of_a_data_set_keeps_its_lines(model, capsys) -> None:
    from metafusion_yolo.data.pairs import PairError

    model.answer = PairError.of(["no infrared image for 'a'", "no infrared image for 'b'"], "'data.yaml'")
    assert run("train data=data.yaml") == 2
    assert error_line(capsys) == (
        "2 problems in 'data.yaml':\n  no infrared image for 'a'\n  no infrared image for 'b'"
    )


@pytest.mark.parametrize(
    "error", [KeyError("a"), TypeError("b"), ValueError("c"), RuntimeError("CUDA error"), AssertionError("boom")]
)
def test_bugs_keep_their_traceback(model, capsys, error) -> None:
    model.answer = error
    assert run("val model=a.pt") == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and f"{type(error).__name__}: " in said and "this is a bug" in said.splitlines()[-1]


def test_interruption(model, capsys) -> None:
    model.answer = KeyboardInterrupt()
    assert run("val model=a.pt") == 130
    assert capsys.readouterr().err == "metafusion: interrupted\n"


def test_debugging_lets_everything_through(model, monkeypatch) -> None:
    monkeypatch.setenv("METAFUSION_DEBUG", "1")
    with pytest.raises(ValueError, match="unknown mode"):
        run("trian")
    model.answer = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run("val model=a.pt")
    monkeypatch.setenv("METAFUSION_DEBUG", "0")
    assert run("trian") == 2


# Help -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["", "help", "-h", "--help"])
def test_overview(capsys, line) -> None:
    assert run(line) == 0
    text, err = capsys.readouterr()
    assert err == ""
    width = max(map(len, cli.MODES))
    for mode in cli.MODES.values():
        assert f"  {mode.name:<{max(map(len, cli.MODES))}}  {mode.summary}\n" in text
        assert f"  {mode.name:<{width}}  {mode.summary}\n" in text
    for start in ("train data=", "predict model=", "demo\n", "data synth dst=", "export model="):
        assert f"\n  metafusion {start}" in text
    check_layout(text)


def test_the_meaning_of_an_argument_may_differ_by_mode(capsys) -> None:
    for name, meaning in (("data convert", "llvip, m3fd, flir-aligned"), ("export", "onnx, torchscript")):
        run(f"{name} help")
        assert re.search(rf"^  format +\S+ +{meaning}", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("name", cli.MODES)
def test_help_of_a_mode(capsys, name) -> None:
    mode = cli.MODES[name]
    texts = []
    for line in (f"{name} help", f"{name} --help", f"{name} -h", f"help {name}", f"{name} zzz=1 --help"):
        assert run(line) == 0
        texts.append(capsys.readouterr().out)
    assert set(texts) == {texts[0]}
    assert texts[0].startswith(f"metafusion {name}: {mode.summary}\n")
    for key in (*mode.options, *mode.host):
        assert f"\n  {key} " in texts[0]
    assert ("yolo cfg" in texts[0]) == bool(mode.host)
    check_layout(texts[0])


def check_layout(text: str) -> None:
    """Plain, and every table with its columns at the same places."""
    assert text.isascii()
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("  ") and not line.startswith("  metafusion")]
        for column in {len(row) - len(row[2:].partition("  ")[2].lstrip()) for row in rows}:
            assert all(row[column - 2 : column] == "  " for row in rows)
        assert all(len(row) <= 140 for row in rows)
        assert all(row == row.rstrip() for row in rows)


@pytest.mark.parametrize("mode", cli.MODES.values(), ids=lambda mode: mode.name)
def test_examples_work(model, monkeypatch, mode) -> None:
    monkeypatch.setattr("metafusion_yolo.cli.demo.run_demo", lambda *_: None)
    monkeypatch.setattr("metafusion_yolo.prepare.synthetic.write_dataset", lambda **_: Path("synthetic.yaml"))
    monkeypatch.setattr("metafusion_yolo.prepare.convert.convert", lambda **_: Namespace(yaml=Path("llvip.yaml")))
    clean = SimpleNamespace(errors=0, summary=lambda: "nothing found")
    monkeypatch.setattr("metafusion_yolo.prepare.check.run_check", lambda *_: (clean, Path("report.html")))
    monkeypatch.setattr("metafusion_yolo.prepare.register.register_dataset", lambda *_: None)
    monkeypatch.setattr("metafusion_yolo.serve.server.serve", lambda *_: None)
    drafted = Namespace(yaml=Path("pairs.yaml"), labelled=False), Path("report.html")
    monkeypatch.setattr("metafusion_yolo.prepare.init.init_dataset", lambda *_: drafted)
    monkeypatch.setattr("metafusion_yolo.labelling.dataset.label_pairs", lambda *_: "2 pairs labelled")
    figures = {"EN": Summary(6.5, 0.5, 3)}
    monkeypatch.setattr("metafusion_yolo.evaluation.scoring.score_folders", lambda *_: (figures, Path("metrics.csv")))
    monkeypatch.setattr("metafusion_yolo.scale.predict", create_autospec(scale.predict, return_value="2 pairs"))
    verdict = SimpleNamespace(sentence="Use it.", rule="5 %")
    monkeypatch.setattr("metafusion_yolo.compare.run_compare", lambda *_: (verdict, Path("report.html")))
    model.answer = [Path("fused/1.png")]
    monkeypatch.setattr("metafusion_yolo.engine.predict.fuser.fuse_images", lambda **_: model.answer)
    assert mode.examples
    for example in mode.examples:
        assert run(f"{mode.name} {example}") == 0


def test_version(capsys) -> None:
    for line in ("version", "--version"):
        assert run(line) == 0
        assert capsys.readouterr().out == f"{__version__}\n"


def test_help_does_not_wait_for_torch() -> None:
    words = [
        ["help"],
        ["version"],
        ["trian"],
        ["predict", "souce=x"],
        ["predict", "view=both"],
        *([*name.split(), "help"] for name in cli.MODES),
    ]
    code = (
        "import sys\nfrom metafusion_yolo.cli import main\n"
        f"codes = {{main(line) for line in {words}}}\n"
        f"sys.stderr.write(str((sorted(codes), sorted(sys.modules.keys() & {HEAVY}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "([0, 2], [])"


def test_python_dash_m() -> None:
    for words, code, out, err in (
        (["version"], 0, f"{__version__}\n", ""),
        (["trian"], 2, "", "metafusion: error: unknown mode 'trian', did you mean 'train'?\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "metafusion_yolo", *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


# The options ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["7", "soon"])
def test_a_new_field_is_in_help_checks_and_reference(monkeypatch, capsys, value) -> None:
    item = option(3, "how often the moon is asked", least=3, most=4)
    Moon = make_dataclass("Moon", [("moon", int, item)], bases=(Checked,), frozen=True)
    mode = replace(cli.MODES["demo"], concerns=(*cli.MODES["demo"].concerns, Moon))
    monkeypatch.setitem(cli.MODES, "demo", mode)
    assert run("demo help") == 0
    assert re.search(r"^  moon +3 +how often the moon is asked$", capsys.readouterr().out, re.MULTILINE)
    assert run(f"demo moon={value}") == 2
    assert error_line(capsys).startswith(f"'moon={value}' is invalid")
    with pytest.raises(UserError, match=f"'moon={value}' is invalid"):
        Moon(int(value) if value.isdigit() else value)
    assert "* `moon` (3): how often the moon is asked\n" in reference.page()


def test_the_reference_page_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "arguments.md"
    assert page.read_text() == reference.page(), "python -m metafusion_yolo.cli.reference > docs/arguments.md"


def test_methods_of_the_model_exist() -> None:
    from metafusion_yolo.model import MetaFusionYOLO

    for name, mode in cli.MODES.items():
        if mode.host:
            method = getattr(MetaFusionYOLO, "fuse_images" if name == "fuse" else name)
            parameters = inspect.signature(method).parameters
            assert mode.options.keys() <= parameters.keys() or "kwargs" in parameters


def test_the_description_of_the_host_is_read_whole() -> None:
    from ultralytics.cfg import DEFAULT_CFG_DICT

    described = host_arguments()
    assert {key: one.default for key, one in described.items()} == {k: str(v) for k, v in DEFAULT_CFG_DICT.items()}
    assert all(one.meaning and one.kinds for one in described.values())
    shown = {key for mode in cli.MODES.values() for key in mode.host}
    assert shown <= described.keys()


FUNCTIONS = {
    "data synth": "metafusion_yolo.prepare.synthetic.write_dataset",
    "data convert": "metafusion_yolo.prepare.convert.convert",
    **{
        name: f"metafusion_yolo.model.MetaFusionYOLO.{name}"
        for name in ("train", "tune", "val", "predict", "export", "benchmark")
    },
}


@pytest.mark.parametrize(("mode", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
def test_defaults_are_said_once(mode, function) -> None:
    """What a mode takes is what its function takes, with the same default."""
    defaults = signature_defaults(pkgutil.resolve_name(function))
    if mode == "predict":
        defaults = {**signature_defaults(scale.predict), "out": None, **defaults}
    for name, one in cli.MODES[mode].options.items():
        name = {"dst": "root"}.get(name, name) if mode == "data synth" else name
        assert name in defaults, f"{function} does not take {name}"
        if one.default != "required" and name != "infrared":  # which is found by a rule if it is left out
            assert defaults[name] == one.default, name


def test_choices_are_those_of_what_runs() -> None:
    from metafusion_yolo.compare.budget import BUDGETS
    from metafusion_yolo.engine.export.io_wrappers import INPUTS
    from metafusion_yolo.engine.predict.classical import RULES
    from metafusion_yolo.engine.predict.fuser import SHORT
    from metafusion_yolo.functional.metrics import METRICS
    from metafusion_yolo.prepare.convert import FORMATS

    options = {name: mode.options for name, mode in cli.MODES.items()}
    assert options["compare"]["budget"].choices == tuple(BUDGETS)
    assert options["export"]["inputs"].choices == tuple(INPUTS)
    assert {*options["fuse"]["method"].choices} == {"learned", *RULES, *SHORT}
    assert options["metrics"]["metrics"].meaning.split(",") == list(METRICS)
    assert options["data convert"]["format"].meaning.replace(" or ", ", ").split(", ") == list(FORMATS)
