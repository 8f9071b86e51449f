"""From the words of a command to checked arguments. Mistakes in names and in our own values need no PyTorch."""

import ast
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from metafusion_yolo.cli.modes import TASK, TASKS, Mode
from metafusion_yolo.config import FusionConfig, dotted, section_of
from metafusion_yolo.options import REQUIRED
from metafusion_yolo.options.fields import WORDS
from metafusion_yolo.options.scale import Cluster
from metafusion_yolo.support.errors import MissingFileError, UserTypeError, UserValueError
from metafusion_yolo.support.resources import read_yaml
from metafusion_yolo.support.words import nearest

FORMER = {  # names that the host still accepts, and renames or drops
    *("boxes", "hide_labels", "hide_conf", "line_thickness", "label_smoothing", "save_hybrid", "crop_fraction"),
    *("keras", "end2end", "int8", "half"),
}
BY_US = {"resume", "classes", "freeze"}  # arguments of the host whose values we check, or accept as text


def parse(mode: Mode, words: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words as the host does, but leave text alone where we expect text.

    Raises:
        UserValueError: For a word that is incomplete, given twice, or with an open bracket.
    """
    args: dict[str, Any] = {}
    for word in _merged(words):
        word = word.removeprefix("--").removesuffix(",")  # forgiven, as by the host
        key, _, text = (part.strip() for part in word.partition("="))
        if not key or not text:
            raise UserValueError(f"'{word}' is incomplete, expected key=value")
        if key in args:
            raise UserValueError(f"argument '{key}' is given twice")
        value = text if key in ("name", "project") and text.lower() != "none" else literal(text)
        option = mode.options.get(key)
        known = option.kinds + option.more.get("never", ()) if option else ()
        args[key] = text if str in known and value is not None and type(value) not in known else value
    return args


def _merged(words: Sequence[str]) -> list[str]:
    """Join words around a lone equals sign, and within brackets: `key = [1, 2]` is one."""
    text = "\0".join(words)
    text = re.sub("\0*=\0+(?=[^\0=]+(\0|$))|\0+=\0*", "=", text)
    merged: list[str] = []
    depth, opened = 0, ""
    for word in text.split("\0") if text else []:
        opened = opened if depth else word
        merged[-1:] = [merged[-1] + word] if depth else [*merged[-1:], word]
        depth += word.count("[") - word.count("]")
    if depth:
        raise UserValueError(f"'{opened}' has an unmatched '[' or ']' bracket.")
    return merged


def literal(text: str) -> Any:
    """Return the Python value of a text, or the text.

    Examples:
        >>> literal("true"), literal("1e-3"), literal("a/b")
        (True, 0.001, 'a/b')
    """
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def check(mode: Mode, args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments to run a mode with, checked before anything slow starts.

    Raises:
        UserError: For an unknown or missing argument, or a wrong value of ours; the host's own errors for its values.
    """
    if mode.host and "cfg" in args:
        args = _with_file(args)
    host = host_arguments() if mode.host else {}
    known, required = {*mode.options, *host}, mode.required
    if mode.name == "train" and args.get("resume") not in (None, False, "auto"):  # the checkpoint knows the rest
        required = ["model"]
        args["model"] = args.get("model") or (None if args["resume"] is True else args["resume"])
    if "fusion" in known:
        args = _with_section(args)
        known |= {
            "save_dir",
            *(key for key in args if key.startswith("fusion.")),
        }  # the host's processes give the first
    for key, value in args.items():
        if key not in known and not (mode.host and key in FORMER):
            hint = nearest(key, known)
            hint = hint if hint.startswith("did") or not mode.host else f"see 'metafusion {mode.name} help'"
            raise UserValueError(f"unknown argument '{key}' for '{mode.name}', {hint}")
        if key in mode.options and not (value is None and mode.options[key].default == REQUIRED):
            mode.options[key].check(value)
        elif key in host:
            host[key].check_text(key, value)
    if missing := [key for key in required if args.get(key) is None]:
        raise UserValueError(f"missing argument '{missing[0]}' for '{mode.name}', expected {missing[0]}=...")
    if Cluster in mode.concerns:
        Cluster.of({**args})
    if mode.host:
        if args.pop("mode", mode.name) != mode.name:
            raise UserValueError(f"argument 'mode' can only be '{mode.name}' here, or be left out")
        if args.get("task", TASK) not in TASKS:
            raise UserValueError(f"argument 'task' can only be {', '.join(TASKS)} here, not '{args['task']}'")
        _check_host_values(mode, args)
    return args


def _with_file(args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with those of the file that `cfg=` names, or of one of the host's; given ones precede."""
    if (name := args.pop("cfg")) is None:
        return args
    files = [Path(str(name)), *sorted((_host_folder() / "cfg").rglob(Path(str(name)).name))]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise MissingFileError(f"no file 'cfg={name}'; give a YAML of arguments, as 'yolo copy-cfg' writes one")
    content = read_yaml(file)
    return {**{key: value for key, value in content.items() if key not in ("cfg", "mode", "task")}, **args}


def _with_section(args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with those under `fusion:` by their full names, checked."""
    if not isinstance(args.get("fusion"), dict):
        FusionConfig.from_dict(section_of(args))
        return args
    FusionConfig.from_dict(args["fusion"])
    rest = {key: value for key, value in args.items() if key != "fusion"}
    return _with_section({**rest, **dotted(args["fusion"])})


def _check_host_values(mode: Mode, args: dict[str, Any]) -> None:
    """Let the host rename its former arguments in place, and check the values of its arguments."""
    from ultralytics.cfg import DEFAULT_CFG_DICT, check_dict_alignment, get_cfg
    from ultralytics.utils import checks

    check_dict_alignment(DEFAULT_CFG_DICT, args, allowed_custom_keys={*args})
    get_cfg(overrides={key: value for key, value in args.items() if key not in mode.options and "." not in key})
    checks.check_imgsz(args.get("imgsz", 640), stride=1)


class HostArgument(NamedTuple):
    """Default, types and meaning of an argument, as the host's `default.yaml` describes them."""

    default: str
    kinds: str
    meaning: str

    def check_text(self, key: str, value: Any) -> None:
        """Reject text where the host expects none, without waiting for the host to be imported.

        Raises:
            UserTypeError: If `value` is text and the argument has no text among its types.
        """
        if isinstance(value, str) and "str" not in self.kinds and key not in BY_US:
            words = [word for kind, word in WORDS.items() if kind.__name__ in self.kinds.split()]
            raise UserTypeError(f"'{key}={value}' is invalid, expected {' or '.join(dict.fromkeys(words))}")


def host_arguments() -> dict[str, HostArgument]:
    """Return the host's arguments, read from its own description without importing it."""
    text = (_host_folder() / "cfg" / "default.yaml").read_text(encoding="utf-8")
    rows = re.findall(r"^(\w+): *([^#\n]*?) *# \(([^)]*)\) (.*)", text, re.MULTILINE)
    return {
        key: HostArgument(default or "None", re.sub(r"\W+", " ", kinds), meaning)
        for key, default, kinds, meaning in rows
    }


def _host_folder() -> Path:
    spec = find_spec("ultralytics")
    return Path(str(spec and spec.origin)).parent
