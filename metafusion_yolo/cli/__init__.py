"""The `metafusion` command, in the manner of `yolo`. Help needs no PyTorch; what does is imported where it is used."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.cli.errors import Terminated, explain
from metafusion_yolo.cli.modes import ACCEPTED, MEANINGS, MODES, Mode, say
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.versions import check_host
from metafusion_yolo.support.words import nearest

HELP, VERSION = ("help", "-h", "--help"), ("version", "--version")
SPECIAL = {"help": "show this; metafusion MODE help explains a mode", "version": "show the version"}
TYPES = {bool: "True or False", int: "a whole number", float: "a number", str: "a name or path", list: "a list"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after `metafusion`; None for those of the process.

    Returns:
        0; 1 if a check found what must be repaired, or for a bug of ours, with its traceback; 2 for a mistake of the
        user, explained in one line on stderr; 130 if interrupted, 143 if terminated. METAFUSION_DEBUG=1 lets all errors
        through.
    """
    if argv is None:  # the process is ours; the name of a file need not be in the encoding of the terminal
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
    try:
        with _terminable():
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("METAFUSION_DEBUG", "0") not in ("", "0"):
            raise
        code, text = explain(error)
        sys.stderr.write(f"{text}\n")
        return code


@contextmanager
def _terminable() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM, where that is possible."""

    def stop(*_: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dispatch(words: list[str]) -> int:
    """Answer a call for help or run a mode; return the exit code."""
    if words and words[0] in HELP:
        words = [*words[1:], "help"] if words[1:] else []  # `help train` is `train help`
    if not words or words[0] in VERSION:
        say(__version__ if words else _overview())
        return 0
    length = 2 if any(name.startswith(f"{words[0]} ") for name in MODES) else 1
    name, rest = " ".join(words[:length]), words[length:]
    if name not in MODES:
        raise UserValueError(f"unknown mode '{name}', {nearest(name, [*MODES, *SPECIAL])}")
    mode = MODES[name]
    if rest[:1] == ["help"] or {"-h", "--help"} & set(rest):
        say(_explain(mode))
        return 0
    check_host()
    args = _check(mode, _parse(mode, rest))
    if not mode.host:
        return mode.run(**args) or 0
    method = _method_of(name, args.pop("model", None))
    mode.run(method, **args) if mode.run else method(**args)
    return 0


def _method_of(name: str, model: Any) -> Any:
    """Return the method of the model that does what the name of a mode says; classical fusion needs no model."""
    if name == "fuse" and model is None:
        from metafusion_yolo.engine.predict.fuser import fuse_images

        return fuse_images
    return getattr(load_model(model or "metafusion-yolov8n.yaml"), "fuse_images" if name == "fuse" else name)


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
        raise UserValueError(f"'{' '.join(words)}' has an unmatched '[' or ']' bracket.") from None
    for word in merged:
        word = word.removeprefix("--").removesuffix(",")  # forgiven, as by the host
        key, _, text = (part.strip() for part in word.partition("="))
        if not key or not text:
            raise UserValueError(f"'{word}' is incomplete, expected key=value")
        if key in args:
            raise UserValueError(f"argument '{key}' is given twice")
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
            raise UserValueError(f"unknown argument '{key}' for '{mode.name}', {hint}")
        accepted = _accepted(mode, key) or (type(value),)
        if type(value) not in accepted and value not in accepted:
            kinds = [kind for kind in accepted if kind in TYPES and not (kind is int and float in accepted)]
            types = " or ".join(TYPES[kind] for kind in kinds)
            hint = f"expected {types}" if types else nearest(value, accepted)
            raise UserValueError(f"'{key}={value}' is invalid, {hint}")
    for key in required:
        if args.get(key) is None:
            raise UserValueError(f"missing argument '{key}' for '{mode.name}', expected {key}=...")
    if mode.host:
        for key, only in (("mode", mode.name), ("task", "detect")):
            if args.pop(key, only) != only:
                raise UserValueError(f"argument '{key}' can only be '{only}' here, or be left out")
        get_cfg(overrides={key: value for key, value in args.items() if key not in mode.ours})
        checks.check_imgsz(args.get("imgsz", 640), stride=1)
    return args


def _accepted(mode: Mode, key: str) -> tuple[Any, ...]:
    """Return the types, or else the words, that an argument of ours accepts; nothing for one of the host's."""
    default = mode.ours.get(key, "")
    if re.fullmatch(r"\d+\.\d+", default):
        return float, int
    kind = bool if default in ("True", "False") else int if default.isdigit() else str
    if key not in mode.ours:
        return ()
    return ACCEPTED.get(f"{mode.name} {key}", ACCEPTED.get(key, (kind,)))


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
        meanings = {k: MEANINGS.get(f"{mode.name} {k}") or MEANINGS.get(k) or stock[k][1] for k in shown}
        rows = [(k, default or stock[k][0], meanings[k]) for k, default in shown.items()]
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
