"""The YAML of `metafusion serve config.yaml`, read and checked: one clear line for each mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from metafusion_yolo.options.fields import Checked, options_of
from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.options.watch import CameraPair, Events, Rule
from metafusion_yolo.support.errors import MissingFileError, UserError, UserTypeError, UserValueError
from metafusion_yolo.support.resources import read_yaml
from metafusion_yolo.support.words import nearest, refuse_unknown, without_passwords

NAME = re.compile(r"[A-Za-z0-9][\w-]{0,39}")  # of a pair or a rule: it becomes part of files, addresses and topics
T = TypeVar("T", bound=Checked)
ServeT = TypeVar("ServeT", bound=Serve)


@dataclass(frozen=True)
class Watched:
    """A pair of cameras with its name, and its rules by name."""

    name: str
    cameras: CameraPair
    rules: dict[str, Rule]

    def check_classes(self, names: Mapping[int, str]) -> None:
        """Check that the model knows the classes of all rules.

        Raises:
            UserValueError: If it does not.
        """
        for rule in self.rules:
            for one in self.rules[rule].classes or ():
                if one not in names.values():
                    raise UserValueError(
                        f"rule '{rule}' of '{self.name}': the model has no class '{one}', "
                        f"{nearest(one, [*names.values()][:20])}"
                    )


@dataclass(frozen=True)
class Plan:
    """The watched pairs, and where events go."""

    pairs: list[Watched]
    events: Events


def plan_of(options: App) -> Plan:
    """Return the plan for two cameras of the command: watched on the page only.

    Raises:
        UserValueError: If one is missing or no camera, or there is a file as well.
    """
    if options.config is not None:
        raise UserValueError("give two cameras, visible= and infrared=, or a YAML of cameras, not both")
    given = {"visible": options.visible, "infrared": options.infrared}
    rules = {rule: {"when": rule} for rule in ("lost", "drifted", "tampered")}
    return Plan([_pair("cameras", {**given, "rules": rules})], Events(outbox=":memory:", clips=None))


def read_plan(options: ServeT) -> tuple[ServeT, Plan]:
    """Read the file that `config=` names.

    Returns:
        The options, with values of the file in place of defaults, and the plan.

    Raises:
        MissingFileError: If there is no such file.
        UserError: For the first mistake in it; passwords are not part of the message.
    """
    file = Path(str(options.config))
    if not file.is_file():
        raise MissingFileError(f"no YAML of cameras '{file}'; give the path of an existing file")
    content = read_yaml(file)
    try:
        content = _with_variables(content)
        own = {f.name for f in fields(options)} - {"config"}
        refuse_unknown(content, [*own, "cameras", "events"], f"in '{file}'")
        given = {key: value for key, value in content.items() if key in own}
        _find_beside(file, given, ("model", "data"))
        default = type(options)()
        changed = {key for key, value in asdict(options).items() if value != getattr(default, key)}
        options = replace(options, **{key: value for key, value in given.items() if key not in changed})
        cameras = _mapping(content.get("cameras"), "cameras")
        for one in cameras.values():
            _find_beside(file, one, ("data", "tracker"))
        pairs = [_pair(name, one) for name, one in cameras.items()]
        if not pairs:
            raise UserValueError("'cameras:' is empty; give at least one pair")
        events = _made(Events, content.get("events") or {}, "'events:'")
        _check_addresses(events)
        folder = file.parent.absolute()
        files: dict[str, Any] = {key: getattr(events, key) for key in ("outbox", "file", "clips")}
        places: dict[str, Any] = {key: str(folder / path) for key, path in files.items() if path}
        events = replace(events, **places)
    except UserError as error:
        raise type(error)(f"{file}: {without_passwords(str(error))}") from None
    return options, Plan(pairs, events)


def _find_beside(file: Path, given: Any, keys: tuple[str, ...]) -> None:
    """Let keys name files beside the YAML, where there are some; else they stay as the command would have them."""
    for key in keys if isinstance(given, dict) else ():
        if isinstance(given.get(key), str) and (file.parent / given[key]).is_file():
            given[key] = str(file.parent / given[key])


def _pair(name: Any, content: Any) -> Watched:
    """Read one pair."""
    _check_name(name, "pair")
    cameras = _made(CameraPair, content, f"pair '{name}'")
    rules = {}
    for rule, one in _mapping(cameras.rules or {}, f"rules of '{name}'").items():
        _check_name(rule, "rule")
        rules[rule] = _made(Rule, one, f"rule '{rule}' of '{name}'")
    return Watched(name, cameras, rules)


def _made(kind: type[T], content: Any, where: str) -> T:
    """Make options from a part of the file."""
    content = _mapping(content, where)
    known = options_of(kind)
    refuse_unknown(content, known, f"in {where}")
    if missing := [key for key, one in known.items() if one.default == "required" and content.get(key) is None]:
        raise UserValueError(f"{where} has no '{missing[0]}:', {known[missing[0]].meaning}")
    try:
        return kind(**content)
    except UserError as error:
        raise type(error)(f"{where}: {error}") from None


def _mapping(content: Any, where: str) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise UserTypeError(f"{where.strip(chr(39)) if ':' in where else where} must hold 'key: value' lines")
    return content


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserValueError(f"'{name}' is not a valid name for a {what}, expected up to 40 letters, digits, - and _")


def _with_variables(content: Any) -> Any:
    """Replace `${NAME}` by environment variables, so that passwords need not be in files."""
    if isinstance(content, dict):
        return {key: _with_variables(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_variables(value) for value in content]
    return re.sub(r"\$\{(\w+)\}", _variable, content) if isinstance(content, str) else content


def _variable(match: re.Match[str]) -> str:
    if match[1] not in os.environ:
        raise UserValueError(f"'${{{match[1]}}}' is not set; give it in the environment")
    return os.environ[match[1]]


def _check_addresses(events: Events) -> None:
    """Check the addresses of receivers, as far as possible without connecting."""
    if events.webhook is not None:
        if not re.match(r"https?://[^/]", events.webhook):
            raise UserValueError("'webhook:' must begin with https:// or http://")
        if events.secret is None:
            raise UserValueError("'webhook:' needs 'secret:', base64 as by `openssl rand -base64 32`")
    if events.mqtt is not None and not re.match(r"mqtts?://[^/]", events.mqtt):
        raise UserValueError("'mqtt:' must begin with mqtt:// or mqtts://")
    try:
        events.topic.format(pair="", event="", rule="")
    except (KeyError, IndexError, ValueError):
        raise UserValueError("'topic:' may hold {pair}, {rule} and {event}, nothing else in braces") from None
