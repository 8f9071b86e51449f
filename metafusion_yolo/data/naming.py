"""Pairing of the files of two cameras by their names, and the rule that describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

VISIBLE_WORDS = {"v", "w", "z", "vis", "vi", "visible", "rgb", "color", "colour", "co", "wide", "eo", "day", "visual"}
INFRARED_WORDS = {"t", "ir", "th", "thermal", "infrared", "inf", "lwir", "mwir", "nir", "fir", "tir", "heat", "r"}
CAMERA_WORDS = VISIBLE_WORDS | INFRARED_WORDS | {"images", "image", "img", "jpg", "jpeg", "png", "tif", "tiff"}
TOLERANCE = 2.0  # seconds between the two images of a pair
CLEARLY = 2  # how many times farther the second nearest must be
WORD = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]+")
ADDED = re.compile(  # by labelling tools: `.rf.<hash>`, `1a2b3c4d-`, UUIDs, `_1a2b3c4d5e`
    r"\.rf\.[0-9a-z]{6,}$|(?:^|(?<=/))[0-9a-f]{8}-(?=[^/])|[_-]?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[_-]?"
    r"|[_.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}$|(?<=_)(?:jpe?g|png|tiff?|bmp)(?=\.rf\.|$)",
    re.IGNORECASE,
)
MOMENT = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)[-_T. ]*([0-2]\d)[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)"
    r"(?:[._-]?(\d{3})(?!\d))?(?!\d)|(?<!\d)(1[0-9]{9})(?:[._]?(\d{3})\d*)?(?!\d)"
)

Keys = Callable[[Sequence[str]], list[str]]  # one for each name; equal keys belong together, an empty one to nothing


@dataclass(frozen=True)
class Match:
    """A way to pair files, and what it pairs.

    Attributes:
        by: The way, in words.
        pairs: Infrared by visible file.
        rivals: Files that the way cannot tell apart, by the key that they share.
    """

    by: str
    pairs: dict[str, str]
    rivals: dict[str, list[str]]


def match_names(visible: Sequence[str], infrared: Sequence[str]) -> list[Match]:
    """Return what each way to read the names pairs, the strictest way first.

    Args:
        visible: Paths of the files of one camera.
        infrared: Those of the other; labels are matched to images in the same way.
    """
    names = _names(visible), _names(infrared)
    found = [_match(by, keys, visible, infrared, names) for by, keys in WAYS.items()]
    moments = [[moment_of(Path(name).name) for name in side] for side in names]
    if all(any(moment is not None for moment in side) for side in moments):
        found.append(match_moments("times in the names", visible, infrared, *moments))
    return found


def match_moments(
    by: str,
    visible: Sequence[str],
    infrared: Sequence[str],
    first: Sequence[float | None],
    second: Sequence[float | None],
) -> Match:
    """Pair the files that are nearest to each other in time, and clearly nearer than the second nearest.

    Args:
        by: The name of this way.
        visible: Files.
        infrared: Files.
        first: Seconds for each visible file; None if unknown.
        second: The same for the infrared ones.
    """
    sides = [
        sorted((moment, file) for moment, file in zip(moments, files, strict=True) if moment is not None)
        for moments, files in ((first, visible), (second, infrared))
    ]
    pairs: dict[str, str] = {}
    rivals: dict[str, list[str]] = {}
    if not all(sides):
        return Match(by, pairs, rivals)
    times = np.array([moment for moment, _ in sides[0]]), np.array([moment for moment, _ in sides[1]])
    nearest = [_nearest(times[i], times[1 - i]) for i in (0, 1)]
    for i, (_, file) in enumerate(sides[0]):
        j = nearest[0][i][0]
        near = nearest[0][i][1], nearest[1][j][1]
        if near[0] > TOLERANCE:
            continue
        clear = all(next_but_one > CLEARLY * near[0] for next_but_one in (nearest[0][i][2], nearest[1][j][2]))
        if clear and nearest[1][j][0] == i:
            pairs[file] = sides[1][j][1]
        else:
            rivals[file] = [f for moment, f in sides[1] if abs(moment - times[0][i]) <= TOLERANCE]
    return Match(by, pairs, rivals)


def moment_of(name: str) -> float | None:
    """Return the moment that a file name holds, in seconds since 1970; None if it holds none.

    Examples:
        >>> moment_of("DJI_20230101120001_0007_T") - moment_of("2023-01-01_12-00-00.500_cam")
        0.5
    """
    if not (found := MOMENT.search(name)):
        return None
    *fields, millis, epoch, part = found.groups()
    if epoch:
        return int(epoch) + int(part or 0) / 1000
    try:
        moment = datetime(*map(int, fields), tzinfo=timezone.utc)  # type: ignore[misc, arg-type]
    except ValueError:  # the 31st of February
        return None
    return moment.timestamp() + int(millis or 0) / 1000


def rule_of(pairs: Mapping[str, str]) -> str:
    """Return the rule `visible part -> infrared part` that turns visible paths into infrared ones; empty if none.

    Examples:
        >>> rule_of({"d/vis/7_V.jpg": "d/th/7_T.tif", "d/vis/8_V.jpg": "d/th/8_T.tif"})
        'vis/*_V -> th/*_T'
    """
    if not pairs:
        return ""
    sides = [list(side) for side in zip(*(_apart(*pair) for pair in pairs.items()), strict=True)]
    if len(pairs) == 1:
        heads, tails = _of_one(sides[0][0], sides[1][0])
    else:
        heads = [_shared_start(side) for side in sides]
        tails = [_shared_start([name[len(head):][::-1] for name in side])[::-1]
                 for head, side in zip(heads, sides, strict=True)]  # fmt: skip
    middles = [
        [name[len(head) : len(name) - len(tail)] for name in side]
        for head, tail, side in zip(heads, tails, sides, strict=True)
    ]
    if middles[0] != middles[1]:
        return ""
    (a, c), (b, d) = _unlike_ends(*heads), _unlike_starts(*tails)
    return f"{a}*{b} -> {c}*{d}" if (a, b) != (c, d) else ""


def likely_rule(visible: Sequence[str], infrared: Sequence[str]) -> str:
    """Return the rule that pairs most files of two cameras, at least half of them; empty if there is none.

    Infrared files that are among the visible ones, as where both cameras share a folder, count as infrared.
    """
    visible = [file for file in visible if file not in infrared]
    if not visible:
        return ""
    best = max(match_names(visible, infrared), key=lambda match: len(match.pairs))
    return rule_of(best.pairs) if 2 * len(best.pairs) >= min(len(visible), len(infrared)) else ""


def camera_of(file: str) -> str:
    """Return the camera that the last word of a name stands for, "visible" or "infrared"; empty if for neither."""
    words = re.findall(r"[A-Za-z]+|\d+", ADDED.sub("", Path(file).stem))
    word = words[-1].lower() if words else ""
    return "infrared" if word in INFRARED_WORDS else "visible" if word in VISIBLE_WORDS else ""


# Ways to read a name -------------------------------------------------------------------------------------------------
def _names(files: Sequence[str]) -> list[str]:
    """Return the paths below the common folder of the files, without suffix."""
    paths = [Path(file) for file in files]
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [path.relative_to(root).with_suffix("").as_posix() if root else path.stem for path in paths]


def _plain(names: Sequence[str]) -> list[str]:
    return [*names]


def _without_ends(names: Sequence[str]) -> list[str]:
    """Strip what all file names begin and end with, in whole words."""
    stems = [Path(name).name for name in names]
    head = _whole_words(_shared_start(stems), stems)
    turned = [stem[::-1] for stem in (s[len(head) :] for s in stems)]
    tail = _whole_words(_shared_start(turned), turned)
    cut = [stem[len(head) : len(stem) - len(tail)] for stem in stems]
    return [_in_folder(name, stem) for name, stem in zip(names, cut, strict=True)]


def _without_words(names: Sequence[str]) -> list[str]:
    """Drop words for a camera from file names and folders."""
    return [
        "/".join("_".join(w for w in re.findall(r"[A-Za-z]+|\d+", part) if w.lower() not in CAMERA_WORDS)
                 for part in name.split("/")).strip("/")
        for name in names
    ]  # fmt: skip


def _without_added(names: Sequence[str]) -> list[str]:
    """Drop what labelling tools add, then words for a camera."""
    return _without_words([ADDED.sub("", ADDED.sub("", name)) for name in names])


def _without_moment(names: Sequence[str]) -> list[str]:
    """Drop times as well; names without a time are left to the other ways."""
    return [_without_added([MOMENT.sub("", name)])[0] if MOMENT.search(name) else "" for name in names]


def _file_alone(names: Sequence[str]) -> list[str]:
    return _without_ends([Path(name).name for name in _without_added(names)])


def _numbers(names: Sequence[str]) -> list[str]:
    """Keep the numbers, whatever their leading zeros."""
    ends = _without_ends([ADDED.sub("", Path(name).name) for name in names])
    return [" ".join(str(int(digits)) for digits in re.findall(r"\d+", name)) for name in ends]


WAYS: dict[str, Keys] = {
    "same names": _plain,
    "names except for their ends": _without_ends,
    "names except for the word for the camera": _without_words,
    "names except for what labelling tools add": _without_added,
    "file names, whatever their folders": _file_alone,
    "numbers in the names": _numbers,
    "names except for times a second or two apart": _without_moment,
}


def _match(
    by: str, keys: Keys, visible: Sequence[str], infrared: Sequence[str], names: tuple[list[str], list[str]]
) -> Match:
    """Pair the files that share a key with one file of the other camera and none of their own."""
    sides: list[dict[str, list[str]]] = []
    for files, side in zip((visible, infrared), names, strict=True):
        sides.append({})
        for file, key in zip(files, keys(side) if side else [], strict=True):
            sides[-1].setdefault(key.lower(), []).append(file)
    timed = keys is _without_moment
    pairs: dict[str, str] = {}
    rivals: dict[str, list[str]] = {}
    for key in (key for key in sides[0] if key and key in sides[1]):
        both = sides[0][key], sides[1][key]
        if len(both[0]) > 1 or len(both[1]) > 1:
            rivals[key] = both[0] + both[1]
        elif not timed or _close(both[0][0], both[1][0]):
            pairs[both[0][0]] = both[1][0]
    return Match(by, pairs, rivals)


def _close(visible: str, infrared: str) -> bool:
    first, second = moment_of(Path(visible).stem), moment_of(Path(infrared).stem)
    return first is not None and second is not None and abs(first - second) <= TOLERANCE


def _nearest(times: np.ndarray, others: np.ndarray) -> list[tuple[int, float, float]]:
    """Return for each time the index of the nearest other one, its distance, and that of the next but one."""
    found = []
    for time, place in zip(times, np.searchsorted(others, times), strict=True):
        around = range(max(place - 2, 0), min(place + 2, len(others)))
        apart = sorted((abs(float(others[k] - time)), k) for k in around)
        found.append((apart[0][1], apart[0][0], apart[1][0] if len(apart) > 1 else float("inf")))
    return found


def _shared_start(texts: Sequence[str]) -> str:
    """Return the letters that all texts begin with."""
    low, high = min(texts, default=""), max(texts, default="")
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def _in_folder(name: str, stem: str) -> str:
    folder = name.rpartition("/")[0]
    return f"{folder}/{stem}" if folder else stem


def _whole_words(head: str, stems: Sequence[str]) -> str:
    """Cut a common beginning back to the end of a word of every name: letters, digits or signs."""
    ends = [{match.end() for match in WORD.finditer(stem)} for stem in stems[:100]] or [set()]
    shared = set.intersection(*ends) if len(stems) > 1 else set()
    return head[: max((end for end in shared if end <= len(head)), default=0)]


def _apart(visible: str, infrared: str) -> list[str]:
    """Return two paths without suffixes and without the folders that both begin with."""
    paths = [Path(file).with_suffix("").as_posix() for file in (visible, infrared)]
    start = _shared_start(paths).rpartition("/")
    return [path[len(start[0] + start[1]) :] for path in paths]


def _of_one(visible: str, infrared: str) -> tuple[list[str], list[str]]:
    """Return heads and tails around the longest number, or else word, that the two names of one pair share."""
    words = [{m.group() for m in re.finditer(r"\d+|[A-Za-z]+", Path(name).name)} for name in (visible, infrared)]
    if not (shared := words[0] & words[1]):
        return [visible, infrared], ["", ""]
    word = max(shared, key=lambda w: (w.isdigit(), len(w)))
    parts = [name.rpartition(word) for name in (visible, infrared)]
    return [head for head, _, _ in parts], [tail for _, _, tail in parts]


def _unlike_ends(a: str, c: str) -> tuple[str, str]:
    """Return two beginnings of paths without the words that both end with."""
    end = _shared_start([a[::-1], c[::-1]])[::-1]
    while end and end[0].isalnum() and any(len(s) > len(end) and s[-len(end) - 1].isalnum() for s in (a, c)):
        end = end[1:]
    if end and not end[0].isalnum() and len(end) < max(len(a), len(c)):
        end = end[1:]
    return a[: len(a) - len(end)], c[: len(c) - len(end)]


def _unlike_starts(b: str, d: str) -> tuple[str, str]:
    """Return two ends of names without the words that both begin with."""
    start = re.sub(r"[^A-Za-z\d]+$|(?<![A-Za-z])[A-Za-z]+$", "", _shared_start([b, d])) if b != d else b
    return b[len(start) :], d[len(start) :]
