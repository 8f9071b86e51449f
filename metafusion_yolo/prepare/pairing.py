"""Which images of two folders are pairs: by their names, by the time at which they were taken, or by their looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags
from ultralytics.utils import NUM_THREADS, TQDM

from metafusion_yolo.data.listing import list_images
from metafusion_yolo.data.naming import Match, camera_of, match_moments, match_names, rule_of
from metafusion_yolo.data.pairs import PairError, expected_by_rule, parse_rule
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.data.reading import open_image, read_counts, read_visible
from metafusion_yolo.prepare.similarity import SIDE, thumbnail

EXAMPLES = 3  # files that a message names
AGREE = 0.9  # share of the files that two ways must pair alike, so that either will do
ENOUGH = 0.5  # share of the files of the smaller folder that must pair
LONG = 200  # images from which a progress bar shows
EDGES = 128  # pixels of the square in which edges are looked for
EXIF_TIMES = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTime)


class AmbiguousPairingError(PairError):
    """Several pairings are equally likely, or none is; the message lists the candidates. Nothing was written."""


@dataclass(frozen=True)
class Pairing:
    """Which images are pairs.

    Attributes:
        by: How they were paired, in words.
        pairs: Infrared by visible file, sorted.
        rule: The rule that says the same, `visible part -> infrared part`; empty if there is none.
        alone: Visible and infrared files without a partner.
    """

    by: str
    pairs: dict[str, str]
    rule: str
    alone: tuple[list[str], list[str]]

    def summary(self) -> str:
        """Return in one line how many images pair, with examples of those that do not."""
        lines = [f"{len(self.pairs)} pairs, by {self.by}" + (f": {self.rule}" if self.rule else "")]
        for camera, files in zip(("visible", "infrared"), self.alone, strict=True):
            if files:
                lines.append(f"{len(files)} {camera} images without a partner, for example {_named(files)}")
        return "\n".join(lines)


def both_sides(visible: str, infrared: str) -> tuple[list[str], list[str]]:
    """List the images of both cameras, which may share a folder if the last word of their names tells them apart.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If both are one folder, and the names do not say which camera they are of.
    """
    files = list_images(visible), list_images(infrared)
    if files[0] == files[1]:
        heat = [file for file in files[0] if camera_of(file) == "infrared"]
        files = [file for file in files[0] if file not in {*heat}], heat
        if not all(files):
            raise AmbiguousPairingError(
                f"visible= and infrared= are both '{visible}', and the names do not say which camera an image is of; "
                f"give globs, such as visible='{visible}/*_V.*' infrared='{visible}/*_T.*'"
            )
    return files


def propose(visible: Sequence[str], infrared: Sequence[str], by: str = "auto") -> Pairing:
    """Pair the images of two cameras.

    Args:
        visible: Files.
        infrared: Files.
        by: "names", "numbers" or "times" in the names, "exif" times, "looks", or "auto" for the names and, where they
            pair less than half, EXIF.

    Raises:
        PairError: If nothing pairs, or several pairings are as likely; the message lists the candidates.
    """
    found = [match for match in match_names(visible, infrared) if by in ("auto", _kind(match))]
    found = found or [Match(by, {}, {})]
    smaller = min(len(visible), len(infrared))
    if by == "exif" or (by == "auto" and max(len(match.pairs) for match in found) < ENOUGH * smaller):
        times = [[*_mapped(taken_at, files, "Reading EXIF")] for files in (visible, infrared)]
        found.append(match_moments("times in EXIF", visible, infrared, *times))
    if by == "looks":
        found.append(match_looks(visible, infrared))
    best = max(found, key=lambda match: len(match.pairs))
    _refuse_doubt(best, found, visible, infrared, smaller, by)
    pairs = dict(sorted(best.pairs.items()))
    taken = {*pairs.values()}
    alone = [file for file in visible if file not in pairs], [file for file in infrared if file not in taken]
    return Pairing(best.by, pairs, _checked_rule(pairs), alone)


def taken_at(file: str) -> float | None:
    """Return when an image was taken by its EXIF, in seconds since 1970; None if it does not say."""
    try:
        with open_image(file) as image:
            exif = image.getexif()
            details = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
        text = next(str(details[key]) for key in EXIF_TIMES if details.get(key))
        moment = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=timezone.utc)
        part = str(details.get(ExifTags.Base.SubsecTimeOriginal, "0")).strip("\0 ")
        return moment.timestamp() + float(f"0.{part if part.isdigit() else 0}")
    except (StopIteration, ValueError, OSError, SyntaxError):
        return None


def match_looks(visible: Sequence[str], infrared: Sequence[str]) -> Match:
    """Pair the images whose edges are most alike, each being the other's best match.

    Source: this project. Of 126 RoadScene pairs 115 are found and 115 are right; of 80 pairs of one fixed camera 59
    and 58. What remains is reported as without a partner.
    """
    sides = [
        np.stack([*_mapped(look, files, "Looking")])
        for look, files in ((lambda f: _edges(read_visible(f)), visible), (lambda f: _edges(read_counts(f)), infrared))
    ]
    likeness = sides[0] @ sides[1].T
    best, back = likeness.argmax(1), likeness.argmax(0)
    pairs = {visible[i]: infrared[j] for i, j in enumerate(best.tolist()) if back[j] == i and likeness[i, j] > 0}
    return Match("looks", pairs, {})


def _edges(image: np.ndarray) -> np.ndarray:
    """Return the layout of the edges of an image (H, W) or (H, W, 3) as (256,) float32."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    small = cv2.resize(grey.astype(np.float32), (EDGES, EDGES), interpolation=cv2.INTER_AREA)
    strength = cv2.magnitude(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
    return thumbnail(np.sqrt(strength)).reshape(SIDE**2)


def _mapped(work: Callable[[str], object], files: Sequence[str], title: str) -> list:  # type: ignore[type-arg]
    with ThreadPool(NUM_THREADS) as pool:
        return [*TQDM(pool.imap(work, files), total=len(files), desc=title, disable=len(files) < LONG or None)]


def _kind(match: Match) -> str:
    """Return the value of `by` that a way to read the names belongs to."""
    return "times" if "times" in match.by else "numbers" if "numbers" in match.by else "names"


def _refuse_doubt(
    best: Match, found: Sequence[Match], visible: Sequence[str], infrared: Sequence[str], smaller: int, by: str
) -> None:
    """Raise an error that lists the candidates unless one pairing is clearly the likeliest."""
    remedy = "nothing is written; choose by=names, numbers, times, exif or looks, or give a CSV of pairs as visible="
    rivals = max((match.rivals for match in found), key=len)
    if rivals and len(rivals) > len(best.pairs):
        files = next(iter(rivals.values()))
        several = ("infrared", infrared) if sum(file in infrared for file in files) > 1 else ("visible", visible)
        one = next((file for file in files if file in several[1]), files[0])
        raise AmbiguousPairingError(
            f"{len(rivals)} images have several partners as likely, for example {_named(files)}; give a glob of one "
            f"camera, such as {several[0]}='{_glob(one)}'; {remedy}"
        )
    if not best.pairs or (by == "auto" and len(best.pairs) < ENOUGH * smaller):
        only = (
            f"partners for {len(best.pairs)} of {smaller}" if best.pairs else f"no partner for {smaller} of {smaller}"
        )
        raise AmbiguousPairingError(
            f"{only} images by {best.by}: visible ones are named like {_named(visible)}, infrared ones like "
            f"{_named(infrared)}; {remedy}"
        )
    if by != "auto" or best.by == "same names":
        return
    for other in (match for match in found if len(match.pairs) >= AGREE * len(best.pairs)):
        unlike = [file for file in best.pairs.keys() & other.pairs.keys() if best.pairs[file] != other.pairs[file]]
        if len(unlike) > (1 - AGREE) * len(best.pairs):
            file = min(unlike)
            raise AmbiguousPairingError(
                f"ambiguous: '{file}' goes with '{best.pairs[file]}' by {best.by} ({len(best.pairs)} pairs), and with "
                f"'{other.pairs[file]}' by {other.by} ({len(other.pairs)} pairs); {remedy}"
            )


def _glob(file: str) -> str:
    """Return a glob of the files that end like one, such as `photos/*_W.JPG`."""
    path = Path(file)
    word = re.search(r"(?<=.)[^A-Za-z\d][A-Za-z]+$", path.stem)
    return str(path.parent / f"*{word[0] if word else path.stem[-2:]}{path.suffix}")


def _checked_rule(pairs: dict[str, str]) -> str:
    """Return the rule of some pairs if the files on disk confirm it."""
    if not (rule := rule_of(pairs)):
        return ""
    partners, problems = find_partners([*pairs], expected_by_rule(parse_rule(rule)))
    same = all(Path(partner).samefile(pairs[file]) for file, partner in partners.items() if partner and file in pairs)
    return rule if same and not problems and len(partners) == len(pairs) else ""


def _named(files: Sequence[str]) -> str:
    return ", ".join(f"'{Path(file).name}'" for file in files[:EXAMPLES]) + ", ..." * (len(files) > EXAMPLES)
