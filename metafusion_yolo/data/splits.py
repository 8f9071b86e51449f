"""The pairs of a split: visible images, their infrared partners, and their label files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from metafusion_yolo.data.labels import label_file
from metafusion_yolo.data.listing import as_written, is_pair_list, list_images, read_pair_rows
from metafusion_yolo.data.pairs import PairError, PairProblem, expected_by_rule
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.data.rig import Rig


@dataclass(frozen=True)
class Split:
    """The pairs of a split.

    Attributes:
        partners: Infrared by visible file, sorted; empty for images that hold both cameras, or have no partner.
        labels: Label files that a list names, by visible file.
        problems: What does not pair up, one line each.
    """

    partners: dict[str, str]
    labels: dict[str, str]
    problems: list[PairProblem]

    def label_of(self, visible: str | Path) -> Path:
        """Return where the label file of a visible image belongs; it need not exist."""
        listed = self.labels.get(str(visible))
        return Path(listed) if listed else label_file(visible)

    def complete(self, where: str) -> Split:
        """Return the split if all of it pairs up.

        Raises:
            PairError: With all problems.
        """
        if self.problems:
            raise PairError.of(self.problems, where)
        return self


def split_pairs(data: Mapping[str, Any], split: str, rig: Rig, lost: bool = False) -> Split:
    """Return the pairs of a split of a data set.

    Args:
        data: The data-set dictionary of the host.
        split: A split that it names.
        rig: The cameras.
        lost: As for :func:`~metafusion_yolo.data.listing.list_images`.

    Raises:
        FileNotFoundError: As :func:`find_pairs`.
        ValueError: As :func:`find_pairs` and :func:`~metafusion_yolo.data.listing.as_written`.
    """
    return find_pairs(as_written(data[split], data), rig, lost)


def find_pairs(source: str | list[str], rig: Rig, lost: bool = False, orphans: bool = True) -> Split:
    """Return the pairs of folders, globs, text lists of visible images, or CSV lists of pairs.

    Args:
        source: A path, or several of them.
        rig: The cameras; its rule pairs what no CSV list pairs.
        lost: As for :func:`~metafusion_yolo.data.listing.list_images`.
        orphans: Whether an infrared image without a partner is a problem, where whole folders are paired.

    Raises:
        FileNotFoundError: If there are no images, or some of a list do not exist.
        ValueError: If a list cannot be read.
    """
    entries = source if isinstance(source, list) else [source]
    rows = [row for entry in entries if is_pair_list(entry) for row in read_pair_rows(Path(entry), lost)]
    partners: dict[str, str] = {}
    labels: dict[str, str] = {}
    problems: list[PairProblem] = []
    for visible, infrared, label in rows:
        if not (infrared or rig.layout):
            text = f"'{visible}' is listed without an infrared image; name it, or set 'layout:' if it holds both"
            problems.append(PairProblem(text, "missing-partner", visible))
        infrared = "" if rig.layout else infrared
        if partners.setdefault(visible, infrared) != infrared:
            text = f"'{visible}' is listed with '{partners[visible]}' and with '{infrared}'; keep one of the rows"
            problems.append(PairProblem(text, "ambiguous-partner", visible))
        if label and labels.setdefault(visible, label) != label:
            text = f"'{visible}' is listed with the labels '{labels[visible]}' and '{label}'; keep one of the rows"
            problems.append(PairProblem(text, "ambiguous-partner", visible))
    others = [entry for entry in entries if not is_pair_list(entry)]
    files = sorted(list_images(others, lost)) if others else []
    if again := len(rows) + len(files) - len({*partners, *files}):
        LOGGER.warning(f"{source}: {again} visible images are listed again; each pair is taken once")
    if others:
        if rig.layout:
            partners |= dict.fromkeys(files, "")
        else:
            whole = all(Path(entry).is_dir() for entry in entries)
            found, more = find_partners(files, expected_by_rule(rig.pairing), orphans and whole)
            partners, problems = found | partners if rows else found, problems + more
    return Split(dict(sorted(partners.items())) if rows else partners, labels, problems)
