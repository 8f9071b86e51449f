"""The `metafusion` command, in the manner of `yolo`. Help needs no PyTorch; what does is imported where it is used."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.config import nearest

HELP, VERSION = ("help", "-h", "--help"), ("version", "--version")
SPECIAL = {"help": "show this; metafusion MODE help explains a mode", "version": "show the version"}
FAULTS = (ValueError, TypeError, SyntaxError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
REFUSALS = re.compile("^(Dataset|Optimizer) '|^ERROR |acceptable suffix is")  # the host's RuntimeError, AssertionError
NOISE = re.compile("\x1b\\[[0-9;]*m|[\u2300-\u2bff\ufe0f\U0001f000-\U0001faff]|^\\[Errno \\d+\\] ")
TYPES = {bool: "True or False", int: "a whole number", str: "a name or path", list: "a list"}


@dataclass(frozen=True)
class Mode:
    """All there is to know about a mode, as it stands in `TABLE`, which drives parsing, checks and help."""

    name: str  # the words that select it
    summary: str  # what it does, in a line
    run: Any  # does it, given the model's method, if any, and the arguments; None: the method does it all
    ours: dict[str, str]  # our arguments and their defaults
    host: dict[str, str]  # what the help shows of the host's; with any, the mode has a model and accepts all of them
    required: list[str]  # arguments that must be given
    examples: list[str]  # what one types behind the name


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after `metafusion`; None for those of the process.

    Returns:
        0; 2 for a mistake of the user, explained on stderr; 130 if interrupted. METAFUSION_DEBUG=1 lets errors through.
    """
    try:
        _dispatch(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        refused = isinstance(error, (RuntimeError, AssertionError)) and REFUSALS.search(str(error))
        expected = refused or isinstance(error, (KeyboardInterrupt, *FAULTS))
        if not expected or os.environ.get("METAFUSION_DEBUG", "0") not in ("", "0"):
            raise
        interrupted = isinstance(error, KeyboardInterrupt)
        sys.stderr.write(f"metafusion: {'interrupted' if interrupted else f'error: {_message(error)}'}\n")
        return 130 if interrupted else 2
    return 0


def _dispatch(words: list[str]) -> None:
    if words and words[0] in HELP:
        words = [*words[1:], "help"] if words[1:] else []  # `help train` is `train help`
    if not words:
        return _say(_overview())
    if words[0] in VERSION:
        return _say(__version__)
    length = 2 if any(name.startswith(f"{words[0]} ") for name in MODES) else 1
    name, rest = " ".join(words[:length]), words[length:]
    if name not in MODES:
        raise ValueError(f"unknown mode '{name}', {nearest(name, [*MODES, *SPECIAL])}")
    mode = MODES[name]
    if rest[:1] == ["help"] or {"-h", "--help"} & set(rest):
        return _say(_explain(mode))
    args = _check(mode, _parse(mode, rest))
    if not mode.host:
        return mode.run(**args)
    model = load_model(args.pop("model", None) or "metafusion-yolov8n.yaml")
    method = getattr(model, "fuse_images" if name == "fuse" else name)
    return mode.run(method, **args) if mode.run else method(**args)


def load_model(path: Any) -> Any:
    """Return the model of a YAML, checkpoint or export."""
    from metafusion_yolo.model import MetaFusionYOLO

    return MetaFusionYOLO(str(path))


def _parse(mode: Mode, words: list[str]) -> dict[str, Any]:
    """Read `key=value` words as the host does, but leave text alone where we expect text."""
    from ultralytics.cfg import merge_equals_args, parse_key_value_pair

    args: dict[str, Any] = {}
    try:
        merged = merge_equals_args(words)
    except IndexError:  # the host's answer to an equals sign inside an open bracket
        raise SyntaxError(f"'{' '.join(words)}' has an unmatched '[' or ']' bracket.") from None
    for word in merged:
        word = word.removeprefix("--").removesuffix(",")  # forgiven, as by the host
        key, _, text = (part.strip() for part in word.partition("="))
        if not key or not text:
            raise ValueError(f"'{word}' is incomplete, expected key=value")
        if key in args:
            raise ValueError(f"argument '{key}' is given twice")
        value, accepted = parse_key_value_pair(word)[1], _accepted(mode, key)
        args[key] = text if str in accepted and value is not None and type(value) not in accepted else value
    return args


def _check(mode: Mode, args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments to run a mode with, checked before anything slow starts."""
    known, required = {*mode.ours}, mode.required
    if mode.host:
        from ultralytics.cfg import DEFAULT_CFG_DICT, check_dict_alignment, get_cfg
        from ultralytics.utils import YAML, checks

        known |= {*DEFAULT_CFG_DICT}
        if (file := args.pop("cfg", None)) is not None:  # what is given by hand goes first
            content = YAML.load(checks.check_yaml(file))
            args = {**{key: value for key, value in content.items() if key not in ("cfg", "mode", "task")}, **args}
        check_dict_alignment(DEFAULT_CFG_DICT, args, allowed_custom_keys={*args})  # renames the host's former names
        if mode.name == "train" and args.get("resume"):  # the checkpoint knows the rest
            required = ["model"]
            args["model"] = args.get("model") or (None if args["resume"] is True else args["resume"])
    for key, value in args.items():
        if key not in known:
            hint = nearest(key, known)
            hint = hint if hint.startswith("did") or not mode.host else f"see 'metafusion {mode.name} help'"
            raise ValueError(f"unknown argument '{key}' for '{mode.name}', {hint}")
        accepted = _accepted(mode, key) or (type(value),)
        if type(value) not in accepted and value not in accepted:
            types = " or ".join(TYPES[kind] for kind in accepted if kind in TYPES)
            hint = f"expected {types}" if types else nearest(value, accepted)
            raise ValueError(f"'{key}={value}' is invalid, {hint}")
    for key in required:
        if args.get(key) is None:
            raise ValueError(f"missing argument '{key}' for '{mode.name}', expected {key}=...")
    if mode.host:
        for key, only in (("mode", mode.name), ("task", "detect")):
            if args.pop(key, only) != only:
                raise ValueError(f"argument '{key}' can only be '{only}' here, or be left out")
        get_cfg(overrides={key: value for key, value in args.items() if key not in mode.ours})
        checks.check_imgsz(args.get("imgsz", 640), stride=1)
    return args


def _accepted(mode: Mode, key: str) -> tuple[Any, ...]:
    """Return the types, or else the words, that an argument of ours accepts; nothing for one of the host's."""
    default = mode.ours.get(key, "")
    kind = bool if default in ("True", "False") else int if default.isdigit() else str
    return ACCEPTED.get(key, (kind,)) if key in mode.ours else ()


def _message(error: BaseException) -> str:
    """Return the text of an error in one line, without colours and emojis; the summaries of `PairError` as they are."""
    pairs = sys.modules.get("metafusion_yolo.data.pairs")  # not imported, it cannot have raised
    if pairs and isinstance(error, pairs.PairError):
        return str(error)
    return " ".join(NOISE.sub("", str(error)).split()) or type(error).__name__


def _overview() -> str:
    shown = ("train", "predict", "demo", "data synth", "export")
    examples = "".join(f"\n  metafusion {name} {MODES[name].examples[0]}".rstrip() for name in shown)
    modes = _columns([*((mode.name, mode.summary) for mode in MODES.values()), *SPECIAL.items()])
    return (
        f"metafusion {__version__}: infrared and visible image fusion ahead of Ultralytics YOLO, trained jointly\n\n"
        f"Usage: metafusion MODE key=value ...\n\nModes:\n{modes}\n\nExamples:{examples}\n\n"
        "More: metafusion MODE help; all arguments of the host: yolo cfg"
    )


def _explain(mode: Mode) -> str:
    usage = "".join(f" {key}=..." for key in mode.required)
    text = f"metafusion {mode.name}: {mode.summary}\n\nUsage: metafusion {mode.name}{usage} [key=value ...]\n"
    stock = _host_arguments()
    for title, shown in (("Arguments", mode.ours), ("Most used arguments of the host (all: yolo cfg)", mode.host)):
        rows = [(k, default or stock[k][0], MEANINGS.get(k) or stock[k][1]) for k, default in shown.items()]
        text += f"\n{title}:\n{_columns(rows)}\n" if rows else ""
    return f"{text}\nExamples:" + "".join(f"\n  metafusion {mode.name} {line}".rstrip() for line in mode.examples)


def _host_arguments() -> dict[str, tuple[str, str]]:
    """Return default and meaning of the host's arguments, read from its own description without importing it."""
    spec = find_spec("ultralytics")
    text = (Path(str(spec and spec.origin)).parent / "cfg" / "default.yaml").read_text(encoding="utf-8")
    rows = re.findall(r"^(\w+): *([^#\n]*?) *# \([^)]*\) (.*)", text, re.MULTILINE)
    return {key: (default or "None", meaning) for key, default, meaning in rows}


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _stream(method: Callable[..., Any], **args: Any) -> None:
    deque(method(**{"save": True, **args, "stream": True}), maxlen=0)  # memory must not grow with the source


def _export(method: Callable[..., Any], **args: Any) -> None:
    path = method(**{"format": "onnx", **args})
    _say(f"\nUse it:  metafusion predict model={shlex.quote(str(path))} source=...")


def _fuse(method: Callable[..., Any], **args: Any) -> None:
    folders = Counter(path.parent for path in method(**args))
    if not folders:
        raise ValueError(f"nothing to fuse in '{args['source']}', or an export, which keeps the fused image to itself")
    _say("\n".join(f"{count} fused images in {folder}" for folder, count in folders.items()))


def _demo(**args: Any) -> None:
    from metafusion_yolo.demo import run_demo

    run_demo(**args)


def _synth(dst: str, **args: Any) -> None:
    from metafusion_yolo.data.synthetic import write_dataset

    path = write_dataset(root=dst, **args)
    _say(f"Data set:  {path}")
    _say(f"Train:     metafusion train data={shlex.quote(str(path))} imgsz={args.get('imgsz', 640)} epochs=50")


def _register(**args: Any) -> None:
    from metafusion_yolo.data.register import register_dataset

    register_dataset(**args)


RUNS = {"predict": _stream, "track": _stream, "export": _export, "fuse": _fuse, "demo": _demo, "data synth": _synth}
RUNS |= {"data register": _register}
TABLE = """
train: train the fusion front-end and the detector together
  host  model=metafusion-yolov8n.yaml data=required epochs imgsz batch device pretrained resume project name exist_ok
  e.g.  data=pairs.yaml pretrained=yolov8n.pt epochs=100
  e.g.  resume=True model=runs/detect/train/weights/last.pt
val: measure precision, recall and mAP with both cameras, or with one
  ours  modalities=both
  host  model=required data=model's split imgsz=model's batch device conf iou plots project name exist_ok
  e.g.  model=best.pt data=pairs.yaml modalities=visible
predict: detect on pairs, and draw what was found
  ours  infrared=- save_fused=False view=fused
  host  model=required source=required conf iou imgsz=model's device classes save show project name exist_ok
  e.g.  model=best.pt source=my-pairs/images/val
  e.g.  model=best.pt source=day.jpg infrared=heat.png view=visible
track: follow objects through a pair of videos
  ours  infrared=- save_fused=False view=fused
  host  model=required source=required tracker conf=0.1 iou imgsz=model's device vid_stride save show project name
  e.g.  model=best.pt source=visible.mp4 infrared=infrared.mp4
export: write front-end and detector as one ONNX, TorchScript, ... model
  host  model=required format=onnx imgsz=model's batch=1 device dynamic quantize simplify
  e.g.  model=best.pt format=onnx
fuse: write fused images, without boxes
  ours  infrared=-
  host  model=required source=required imgsz=model's batch=1 device vid_stride project name=fuse exist_ok
  e.g.  model=best.pt source=my-pairs/images/val project=runs/fused
benchmark: compare size, accuracy and speed of the exports
  ours  format=pt,torchscript,onnx
  host  model=required data=model's imgsz=model's device
  e.g.  model=best.pt data=pairs.yaml format=pt,onnx
demo: train, validate, predict and export on synthetic pairs, in minutes on a CPU
  ours  epochs=24 imgsz=160 train=160 val=40 batch=8 seed=0 pretrained=False project=runs/demo name=demo exist_ok=False
  e.g.
data synth: write a synthetic data set of complementary pairs
  ours  dst=required train=400 val=100 imgsz=640 seed=0 everything_visible=False
  e.g.  dst=datasets/synthetic train=400 val=100
data register: find where the infrared camera looks in the visible image, and write it into the data-set YAML
  ours  data=required pairs=20 per=dataset matrix=- dry_run=False project=runs/register name=register exist_ok=False
  e.g.  data=my-pairs.yaml
  e.g.  data=my-pairs.yaml per=sequence dry_run=True
  e.g.  data=my-pairs.yaml matrix='[[0.9, 0, 31], [0, 0.9, 18], [0, 0, 1]]'
"""
VIEWS, CAMERAS = ("fused", "visible", "infrared"), ("both", "visible", "infrared")
ACCEPTED = {"infrared": (str, list, tuple, type(None)), "pretrained": (bool, str), "view": VIEWS, "modalities": CAMERAS}
ACCEPTED |= {"per": ("dataset", "sequence"), "matrix": (list, tuple)}
MEANINGS = {  # of our arguments, and of those of the host whose own words would mislead
    "infrared": "infrared side of source; left out: by the pairing rule of the model; None: visible camera only",
    "save_fused": "save the fused images too",
    "view": f"what to draw on: {', '.join(VIEWS)}",
    "modalities": f"cameras that are on: {', '.join(CAMERAS)}",
    "pairs": "pairs to estimate from, spread over the data set (or over each sequence)",
    "per": "dataset: one matrix; sequence: one for each folder of visible images",
    "matrix": "3 x 3 by hand, from infrared to visible pixels; left out: estimated",
    "dry_run": "leave the YAML as it is",
    "train": "pairs to train with",
    "val": "pairs to validate with",
    "dst": "new or empty folder, or an earlier data set to replace",
    "everything_visible": "show every object to both cameras",
    "model": "checkpoint (.pt), export (.onnx, ...) or model YAML",
    "data": "data-set YAML: path, train, val, names, infrared",
    "source": "visible side: image, folder, glob, .txt list or video",
    "imgsz": "image size in pixels",
    "format": "onnx, torchscript, openvino, engine, ...; benchmark: several with commas, pt as well",
    "quantize": "precision in bits: 32, 16 or 8",
}


def _modes() -> Iterator[Mode]:
    """Read `TABLE`: name and summary, our arguments, those of the host worth showing, examples; `key=default` each."""
    for name, summary, lines in re.findall(r"^(\w[\w ]*): (.*)((?:\n  .*)*)", TABLE, re.MULTILINE):
        own = {kind: dict(re.findall(r"(\w+)=?(\S*)", text)) for kind, text in re.findall(r"  (\w{4})  (.*)", lines)}
        ours, host = own.get("ours", {}), own.get("host", {})
        required = [key for key, default in (ours | host).items() if default == "required"]
        yield Mode(name, summary, RUNS.get(name), ours, host, required, re.findall(r"  e\.g\. *(.*)", lines))


MODES = {mode.name: mode for mode in _modes()}
