"""Rules for the pairing of visible and infrared files, by name and never by order, and what can be wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from ultralytics.data.utils import IMG_FORMATS

from metafusion_yolo.data.folders import normal
from metafusion_yolo.support.errors import UserError, UserValueError
from metafusion_yolo.support.words import refuse_unknown

DEFAULT_FOLDER = "infrared"
SUFFIXES = tuple(f".{suffix}" for suffix in IMG_FORMATS)
SHOWN = 3  # problems of one kind that are listed

ARROW = "->"  # between the parts of a rule in one line
PairingRule = str | dict[str, str]
Expected = Callable[[str], str]  # from a visible path to that of its partner


class PairProblem(str):
    """A problem with the pairing of a file, as a line that says what to do.

    Attributes:
        kind: "missing-partner", "extra-partner" or "ambiguous-partner".
        file: The image with the problem.
    """

    kind: str
    file: str

    def __new__(cls, text: str, kind: str, file: str | Path) -> PairProblem:
        """Create the string with its kind and file."""
        problem = super().__new__(cls, text)
        problem.kind, problem.file = kind, str(file)
        return problem


class PairError(UserError, ValueError):
    """A visible and an infrared image do not form a pair; the message names the files and what to do."""

    summary = True  # may have several lines

    @classmethod
    def of(cls, problems: Sequence[str], where: str) -> PairError:
        """Summarise all problems of a data set in one error.

        Args:
            problems: One line each.
            where: The data set or source.
        """
        return cls(f"{len(problems)} problem{'s' * (len(problems) > 1)} in {where}:{listed(problems)}")


class InfraredAloneError(PairError):
    """A file among the visible images is named like an infrared one, and no visible image claims it."""


def listed(problems: Iterable[str]) -> str:
    """Return a list for an error or a warning: the first problems of each kind, and the number of further ones.

    Args:
        problems: One line each; problems of one kind only differ in names, numbers and text in brackets.

    Examples:
        >>> print("2 of 9:" + listed(["'a' is empty (0 bytes)", "'b' is empty (0 bytes)"]))
        2 of 9:
          'a' is empty (0 bytes)
          'b' is empty (0 bytes)
    """
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(re.sub(r"'[^']*'|\(.*?\)|\d+", "", problem), []).append(problem)
    lines = []
    for alike in kinds.values():
        more = len(alike) - SHOWN if len(alike) > SHOWN + 1 else 0  # one more problem takes a line anyway
        lines += alike[: len(alike) - more]
        lines += [f"... and {more} more like it"] if more else []
    return "".join(f"\n  {line}" for line in lines)


def parse_rule(value: Any, where: str = "the data-set YAML") -> PairingRule:
    """Return the pairing rule of a data-set YAML.

    Args:
        value: The value of `infrared:`; None for the default folder.
        where: Name of the YAML, for an error.

    Returns:
        A folder name, or {"from": ..., "to": ...}.

    Raises:
        ValueError: If the value is anything else.

    Examples:
        >>> parse_rule("vis/*_V -> th/*_T")
        {'from': 'vis/*_V', 'to': 'th/*_T'}
    """
    if value is None:
        return DEFAULT_FOLDER
    if isinstance(value, str) and ARROW in value:
        value = dict(zip(("from", "to"), map(str.strip, value.split(ARROW, 1)), strict=True))
    if isinstance(value, str) and value:
        return value
    if isinstance(value, Mapping):
        refuse_unknown(value, ("from", "to"), f"under 'infrared:' in {where}")
        whole = len(value) == 2 and all(isinstance(part, str) for part in value.values())
        if whole and value["from"] and value["to"].count("*") in (0, value["from"].count("*")):
            return {key: part.replace("\\", "/") for key, part in value.items()}  # Windows separators
    raise UserValueError(
        f"'infrared: {value!r}' in {where} is not a pairing rule; expected a folder name that replaces the last "
        f"'images' of a path, or 'visible part {ARROW} infrared part', with as many * in both"
    )


def expected_by_rule(rule: PairingRule) -> Expected:
    """Return the function from a visible path to the expected path of its partner, whose suffix may differ.

    Examples:
        >>> expected_by_rule("infrared")("my images/images/val/7.jpg")
        'my images/infrared/val/7.jpg'
        >>> expected_by_rule({"from": "rgb/*_V", "to": "ir/*_T"})("set/rgb/7_V.jpg")
        'set/ir/7_T.jpg'
    """

    @cache
    def partner_folder(folder: str) -> str | None:
        parts = list(Path(folder).parts)
        for i in reversed(range(len(parts))):
            if parts[i] == "images":
                parts[i] = str(rule)
                return str(Path(*parts))
        return None

    def by_folder(visible: str) -> str:
        folder, _, name = visible.rpartition(os.sep)
        if target := partner_folder(folder):
            return f"{target}{os.sep}{name}"
        raise PairError(
            f"'{visible}' is not in a folder named 'images', which 'infrared: {rule}' would replace; "
            f"set 'infrared: {{from: ..., to: ...}}' in the data-set YAML (at predict: infrared=)"
        )

    if isinstance(rule, str):
        return by_folder
    return partial(_substituted, _pattern(rule["from"]), _pattern(rule["to"]), rule)


def _substituted(source: re.Pattern[str], target: re.Pattern[str], rule: Mapping[str, str], visible: str) -> str:
    """Return a path in which a rule puts its `to` for the last `from`, and keeps what each * stands for."""
    path = visible.replace(os.sep, "/")
    if not (found := source.fullmatch(path)):
        if rule["to"] and target.fullmatch(path):
            raise InfraredAloneError(f"no visible image for '{visible}'; add the visible image or remove this one")
        raise PairError(
            f"'{visible}' does not contain '{rule['from']}' ('infrared: from'), and no visible image claims it; "
            f"rename or remove it"
        )
    head, *stars, tail = found.groups("")
    if rule["to"].endswith(SUFFIXES) and not rule["from"].endswith(SUFFIXES):
        tail = ""
    kept = iter(stars)
    return normal(head + re.sub(r"\*", lambda _: next(kept), rule["to"]) + tail)


def _pattern(part: str) -> re.Pattern[str]:
    """Return the pattern of a path that holds one side of a rule; with a *, whole folders up to the suffix."""
    text = "(.*)".join(map(re.escape, part.split("*")))
    if "*" not in part:
        return re.compile(f"(.*){text}(.*)")
    return re.compile(f"({'.*' if part.startswith('/') else '(?:.*/)?'}){text}" + r"((?:\.[^./]*)?)")


def expected_beside(visible_root: Path, infrared_root: Path) -> Expected:
    """Return the function from a visible path to the same relative path under the infrared root."""
    start, other = (f"{root}{os.sep}" for root in (visible_root, infrared_root))

    def beside(visible: str) -> str:
        if visible.startswith(start):
            return other + visible[len(start) :]
        return str(infrared_root / Path(visible).relative_to(visible_root))

    return beside
