"""Pairing of visible and infrared files, by name and never by order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from ultralytics.data.utils import IMG_FORMATS

from metafusion_yolo.data.folders import images_by_stem, normal, parts
from metafusion_yolo.data.naming import INFRARED_WORDS, camera_of, likely_rule
from metafusion_yolo.support.errors import UserError, UserValueError
from metafusion_yolo.support.words import refuse_unknown

DEFAULT_FOLDER = "infrared"
SUFFIXES = tuple(f".{suffix}" for suffix in IMG_FORMATS)
SHOWN = 3  # problems of one kind that are listed
NEARBY = 500  # files that are looked at for a likely rule

ARROW = "->"  # between the parts of a rule in one line
PairingRule = str | dict[str, str]
Expected = Callable[[str], str]  # from a visible path to that of its partner
Listing = Callable[[str], dict[str, list[str]]]


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
        f"'infrared: {value!r}' in {where} is no pairing rule; expected a folder name that replaces the last 'images' "
        f"of a path, or 'visible part {ARROW} infrared part', with as many * in both"
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
            f"'{visible}' lies in no folder named 'images', which 'infrared: {rule}' would replace; "
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
    return lambda visible: str(infrared_root / Path(visible).relative_to(visible_root))


def find_partners(
    visible: Iterable[str], expected: Expected, orphans: bool = False
) -> tuple[dict[str, str], list[PairProblem]]:
    """Find the infrared partner of every visible file.

    If both cameras share a folder, the partners are among the files; they only count as infrared images.

    Args:
        visible: Paths of images.
        expected: Returns the expected path of a partner, except for its suffix.
        orphans: Whether these are all visible images, so that an infrared image without a partner is a problem too.

    Returns:
        Partners by visible path, and the problems, one line each: no partner, several, or one shared by several.
    """
    listing = cache(images_by_stem)
    claims: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    targets: dict[str, str] = {}
    places: dict[str, tuple[str, str]] = {}  # folder and stem of a target
    strays: dict[str, PairProblem] = {}
    paths = {file: normal(file) for file in visible}
    for file, path in paths.items():
        try:
            targets[file] = target = expected(path)
        except PairError as error:
            kind = "extra-partner" if isinstance(error, InfraredAloneError) else "missing-partner"
            strays[file] = PairProblem(str(error), kind, file)
            continue
        places[file] = folder, stem = parts(target)
        found[file] = [f for f in listing(folder).get(stem, ()) if f != path]
        for candidate in found[file]:
            claims[candidate] = file
    partners: dict[str, str] = {}
    problems: list[PairProblem] = []
    for file, candidates in found.items():
        if paths[file] in claims:
            continue
        partners[file] = candidates[0] if candidates else ""
        problem = _problem(file, targets[file], candidates, claims) if candidates else None
        problems += [problem] if problem else []
    lost = {file: targets[file] for file, partner in partners.items() if not partner}
    alone = [problem for file, problem in strays.items() if paths[file] not in claims]
    alone = [_of_no_rule(alone, listing)] if alone and not found else alone
    problems = [*_missing(lost, partners, [p.file for p in alone], listing), *problems, *alone]
    if found and not partners:
        text = "each of these images is the infrared partner of another; give the folder of the visible ones"
        problems.append(PairProblem(text, "ambiguous-partner", next(iter(found))))
    if orphans:
        problems += _orphans({paths[file]: places[file] for file in partners}, listing)
    return partners, problems


def _of_no_rule(alone: Sequence[PairProblem], listing: Listing) -> PairProblem:
    """Return one problem for images none of which a rule fits, with the rule that would."""
    files = [problem.file for problem in alone]
    rule = likely_rule(files[:NEARBY], near) if (near := _nearby(files, (), set(), listing)) else ""
    text = str(alone[0]) + (f"; so it is with all {len(files)} images" if len(files) > 1 else "")
    text += f"; did you mean '{rule}'? A CSV of pairs works too" if rule else ""
    return PairProblem(text, alone[0].kind, alone[0].file)


def _missing(
    targets: Mapping[str, str],
    partners: Mapping[str, str],
    alone: list[str],
    listing: Listing,
) -> list[PairProblem]:
    """Return a problem for each image without a partner, or one for all if none has any."""
    if not targets:
        return []
    near = alone or _nearby([*targets], targets.values(), {*partners, *partners.values()}, listing)
    rule = likely_rule([*targets][:NEARBY], near) if near else ""
    advice = (
        f"did you mean '{rule}' ('infrared:' in the data-set YAML, infrared= at predict)? A CSV of pairs works too"
        if rule
        else "add the file, or set 'infrared:' in the data-set YAML (at predict: infrared=)"
    )
    sought = {file: f"looked for '{Path(target).with_suffix('')}.*'" for file, target in targets.items()}
    if len(targets) == len(partners) > 1:
        first, looked = next(iter(sought.items()))
        advice = advice if rule else f"{advice.replace('file', 'files')}; a CSV of pairs works too"
        text = f"no partner for {len(partners)} of {len(partners)} images, for example '{first}': {looked}; {advice}"
        return [PairProblem(text, "missing-partner", first)]
    texts = {file: f"no infrared image for '{file}': {looked}; {advice}" for file, looked in sought.items()}
    return [PairProblem(text, "missing-partner", file) for file, text in texts.items()]


def _nearby(visible: Sequence[str], targets: Iterable[str], taken: set[str], listing: Listing) -> list[str]:
    """Return the images that may be the partners: where they were looked for, else in the same folder, else beside."""
    folders = {parts(target)[0] for target in targets} - {parts(file)[0] for file in visible}
    if not any(map(listing, folders)):
        own = [file for file in visible if camera_of(file) == "infrared"]
        if 0 < len(own) < len(visible):
            return own[:NEARBY]
        around = {Path(folder).parent for folder in {parts(file)[0] for file in visible}}
        beside = [path for folder in around if folder.is_dir() for path in folder.iterdir() if path.is_dir()]
        folders = {str(path) for path in beside if {*re.findall(r"[a-z]+", path.name.lower())} & INFRARED_WORDS}
    found = [file for folder in sorted(folders) for files in listing(folder).values() for file in files]
    return [file for file in found if file not in taken or file in visible][:NEARBY]


def _problem(visible: str, target: str, candidates: list[str], claims: Mapping[str, str]) -> PairProblem | None:
    """Return the problem with the candidates of a visible image, None if there is none."""
    if len(candidates) > 1:
        names = ", ".join(f"'{Path(f).name}'" for f in candidates)
        text = f"ambiguous infrared image for '{visible}': {names} in '{Path(target).parent}'; keep one of them"
        return PairProblem(text, "ambiguous-partner", visible)
    if claims[candidates[0]] != visible:
        text = (
            f"'{candidates[0]}' is the infrared image of '{visible}' and of '{claims[candidates[0]]}'; keep one of them"
        )
        return PairProblem(text, "ambiguous-partner", visible)
    return None


def _orphans(targets: Mapping[str, tuple[str, str]], listing: Listing) -> list[PairProblem]:
    """Return a problem for each infrared image in the target folders that no visible image claims."""
    claimed = {*targets.values()}
    folders = {folder: visible.rpartition(os.sep)[0] for visible, (folder, _) in targets.items()}
    return [
        PairProblem(
            f"no visible image for '{file}': looked in '{Path(beside)}'; add the visible image or remove this one",
            "extra-partner",
            file,
        )
        for folder, beside in folders.items()
        if folder != beside  # in a shared folder, unclaimed images count as visible
        for stem, files in listing(folder).items()
        if (folder, stem) not in claimed
        for file in files
    ]
