"""The infrared partners of visible files: a folder is listed once, and a million names take 0.4 GB."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from metafusion_yolo.data.folders import Names, images_of, names_in, normal, parts
from metafusion_yolo.data.naming import INFRARED_WORDS, camera_of, likely_rule
from metafusion_yolo.data.pairs import Expected, InfraredAloneError, PairError, PairProblem

NEARBY = 500  # files that are looked at for a likely rule

Listing = Callable[[str], Names]


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
    listing = cache(names_in)
    claims: dict[str, str] = {}
    partners: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    strays: dict[str, PairProblem] = {}
    for file in visible:
        path = normal(file)
        try:
            folder, stem = parts(expected(path))
        except PairError as error:
            kind = "extra-partner" if isinstance(error, InfraredAloneError) else "missing-partner"
            strays[file] = PairProblem(str(error), kind, file)
            continue
        candidates = [f for f in images_of(listing(folder), folder, stem) if f != path]
        partners[file] = candidates[0] if candidates else ""
        if len(candidates) > 1:
            several[file] = candidates
        for candidate in candidates:
            claims[candidate] = file
    first = next(iter(partners), "")
    for file in [file for file in partners if normal(file) in claims]:
        del partners[file]
    problems = [
        _problem(file, expected(normal(file)), several.get(file, [partner]), claims)
        for file, partner in partners.items()
        if partner and (file in several or claims[partner] != file)
    ]
    lost = {file: expected(normal(file)) for file, partner in partners.items() if not partner}
    alone = [problem for file, problem in strays.items() if normal(file) not in claims]
    alone = [_of_no_rule(alone, listing)] if alone and not first else alone
    problems = [*_missing(lost, partners, [p.file for p in alone], listing), *problems, *alone]
    if first and not partners:
        text = "each of these images is the infrared partner of another; give the folder of the visible ones"
        problems.append(PairProblem(text, "ambiguous-partner", first))
    if orphans:
        problems += _orphans(partners, several, expected, listing)
    return partners, problems


def _of_no_rule(alone: Sequence[PairProblem], listing: Listing) -> PairProblem:
    """Return one problem for images that a rule does not fit at all, with the rule that would."""
    files = [problem.file for problem in alone]
    rule = likely_rule(files[:NEARBY], near) if (near := _nearby(files, (), set(), listing)) else ""
    text = str(alone[0]) + (f"; so it is with all {len(files)} images" if len(files) > 1 else "")
    text += f"; did you mean '{rule}'? A CSV of pairs works too" if rule else ""
    return PairProblem(text, alone[0].kind, alone[0].file)


def _missing(
    targets: Mapping[str, str], partners: Mapping[str, str], alone: list[str], listing: Listing
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
    listed = ((folder, names, stem) for folder in sorted(folders) for names in [listing(folder)] for stem in names)
    found = [file for folder, names, stem in listed for file in images_of(names, folder, stem)]
    return [file for file in found if file not in taken or file in visible][:NEARBY]


def _problem(visible: str, target: str, candidates: list[str], claims: Mapping[str, str]) -> PairProblem:
    """Return the problem with a visible image that has several candidates, or one that another claims, too."""
    if len(candidates) > 1:
        names = ", ".join(f"'{Path(f).name}'" for f in candidates)
        text = f"ambiguous infrared image for '{visible}': {names} in '{Path(target).parent}'; keep one of them"
    else:
        text = (
            f"'{candidates[0]}' is the infrared image of '{visible}' and of '{claims[candidates[0]]}'; keep one of them"
        )
    return PairProblem(text, "ambiguous-partner", visible)


def _orphans(
    partners: Mapping[str, str], several: Mapping[str, list[str]], expected: Expected, listing: Listing
) -> Iterator[PairProblem]:
    """Yield a problem for each infrared image in the target folders that no visible image claims."""
    claimed = {*partners.values(), *(f for file, found in several.items() if file in partners for f in found)}
    folders = {
        parts(partner or expected(normal(file)))[0]: normal(file).rpartition(os.sep)[0]
        for file, partner in partners.items()
    }
    for folder, beside in folders.items():
        if folder == beside:  # in a shared folder, unclaimed images count as visible
            continue
        for stem in (names := listing(folder)):
            for file in images_of(names, folder, stem):
                if file in claimed or (file in partners and parts(expected(file)) == (folder, stem)):
                    continue
                looked = f"no visible image for '{file}': looked in '{Path(beside)}'"
                text = f"{looked}; add the visible image or remove this one"
                yield PairProblem(text, "extra-partner", file)
