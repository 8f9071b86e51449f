"""The faults that the check can find, their severity, and what to do about them."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from metafusion_yolo.support.paged import Chosen, PagedItems

SEVERITIES = ("error", "warning", "note")  # repair it; look at it; good to know


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its key in :data:`KINDS`, severity (of :data:`SEVERITIES`), what is wrong, and what to do."""

    name: str
    severity: str
    title: str
    remedy: str


KINDS = {
    name: Kind(name, severity, title, remedy)
    for severity, kinds in {
        "error": (
            ("missing-split", "split that cannot be listed", "correct its path in the YAML"),
            ("missing-partner", "visible image without an infrared one", "add the infrared image or remove this one"),
            ("extra-partner", "infrared image without a visible one", "add the visible image or remove this one"),
            ("ambiguous-partner", "several images claim to be partners", "keep one of them"),
            ("unreadable", "file missing, empty, truncated or not an image", "restore the file or remove the pair"),
            ("shape-mismatch", "the two images differ in shape", "register: metafusion data register, or crop both"),
            ("same-image-twice", "both cameras hold the same picture", "restore the image of the other camera"),
            ("swapped-cameras", "colour in the infrared folder, grey in the visible one", "exchange the two folders"),
            ("label-malformed", "label file that cannot be read", "write a line 'class x y width height' for each box"),
            ("label-unknown-class", "class that the YAML does not name", "correct the class, or add it under 'names:'"),
            ("label-out-of-range", "box coordinates outside 0 to 1", "divide pixels by the width and height"),
            ("label-degenerate", "box without width or height", "correct or remove the box"),
            ("no-labels", "split without a single label file", "put labels under labels/, beside images/"),
            ("split-leak", "the same image in two splits", "keep it in one split only: it makes validation too easy"),
        ),
        "warning": (
            ("missing-test", "test split that cannot be listed", "correct its path in the YAML, or take it out"),
            (
                "unknown-folder",
                "folder that the YAML names and no visible image is in",
                "name it by the last parts of its path",
            ),
            ("misregistered", "the cameras do not line up", "register them: metafusion data register"),
            (
                "polarity-flip",
                "hot is bright in some sequences and dark in others",
                "set 'thermal: {invert: [FOLDER]}'",
            ),
            ("near-duplicate", "nearly the same pair in two splits", "split by scene, not at random"),
            ("exact-duplicate", "the same visible image several times in a split", "remove the copies"),
            ("repeated-infrared", "one infrared image for several visible ones", "look for a frozen camera"),
            ("blank-image", "image that shows nothing", "remove the pair unless the camera failed on purpose"),
            ("mixed-depth", "infrared images of different depth", "save all with the depth of the sensor"),
            ("several-pages", "file of several pages, of which only the first is read", "split it into files"),
            ("few-levels", "image that uses few of its levels", "export again in the depth of the sensor"),
            ("coloured-infrared", "infrared image in false colours", "export it in grey: colours hide the order"),
            ("label-missing", "image without a label file", "label it, or write an empty file if it shows nothing"),
            ("label-orphan", "label file without an image", "restore the image or remove the label file"),
            ("label-duplicate", "two boxes of a class in one place", "remove one of them"),
            ("label-outside", "box that reaches beyond the image", "cut it at the border of the image"),
            ("label-no-area", "polygon without area, whose mask is empty", "correct or remove it"),
            ("label-crosses", "polygon or oriented box that crosses itself", "order its points around the object"),
            ("label-keypoint", "keypoint outside its box, or visibility other than 0, 1 or 2", "correct it"),
            ("label-mixed", "boxes among polygons, which other tasks learn from", "label all alike"),
        ),
        "note": (
            ("size-difference", "the two images differ in size", "nothing: the infrared image is resized"),
            ("unusual-depth", "infrared samples not of 8 or 16 bits", "nothing, if they are counts or temperatures"),
            ("grey-visible", "visible image without colour", "nothing, if the camera switches to grey at night"),
            ("black-hot", "hot is dark, by persons or by the images", "set 'thermal: {invert: true}'"),
            ("label-tiny", "box below 2 pixels", "nothing, if intended"),
            ("unused-class", "class without a box", "nothing, if intended"),
        ),
    }.items()
    for name, title, remedy in kinds
}


NUMBERS = {name: number for number, name in enumerate(KINDS)}  # of the kinds, in their order


@dataclass(frozen=True, slots=True)
class Case:
    """One occurrence of a fault.

    Attributes:
        kind: Key of :data:`KINDS`.
        file: The file, split or sequence concerned.
        detail: What is wrong with it; may be empty.
        pair: Visible and infrared image to show; either may be empty.
        twin: A second pair to show beside the first.
        boxes_xywhn: Boxes to draw, normalised.
        weight: How bad the case is among its kind; the worst come first.
    """

    kind: str
    file: str
    detail: str = ""
    pair: tuple[str, str] = ("", "")
    twin: tuple[str, str] = ("", "")
    boxes_xywhn: tuple[tuple[float, ...], ...] = ()
    weight: float = 0.0


VALUES = [one.name for one in fields(Case)]


class Cases(PagedItems[Case]):
    """Cases in an unnamed temporary file, removed with the object; a million pairs may have several million of them.

    Args:
        cases: What to begin with.

    Attributes:
        kinds: The place of the kind of each case in :data:`KINDS`.
        weights: The weight of each case.

    Examples:
        >>> cases = Cases([Case("label-tiny", "7.txt", boxes_xywhn=((0.5, 0.5, 0.1, 0.1),))])
        >>> cases[0].file, cases[0].boxes_xywhn
        ('7.txt', ((0.5, 0.5, 0.1, 0.1),))
    """

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        super().__init__(_case)
        self.kinds, self.weights = array("b"), array("d")
        self.extend(cases)

    def extend(self, cases: Iterable[Case]) -> None:
        """Append cases.

        Raises:
            OSError: If the disk is full.
        """
        for case in cases:
            self.kinds.append(NUMBERS[case.kind])
            self.weights.append(case.weight)
            self.append([getattr(case, name) for name in VALUES])


def _case(values: list[Any]) -> Case:
    kind, file, detail, pair, twin, boxes, weight = values
    return Case(kind, file, detail, tuple(pair), tuple(twin), tuple(map(tuple, boxes)), weight)


@dataclass(frozen=True)
class Finding:
    """All cases of one kind, the worst first."""

    kind: Kind
    cases: Sequence[Case] = field(repr=False)

    @property
    def count(self) -> int:
        """Number of cases."""
        return len(self.cases)


def group_cases(cases: Iterable[Case]) -> list[Finding]:
    """Return a finding for each kind that occurs, in the order of :data:`KINDS`, which is that of severity.

    Examples:
        >>> [f.kind.name for f in group_cases([Case("label-tiny", "7.txt"), Case("unreadable", "3.jpg")])]
        ['unreadable', 'label-tiny']
    """
    found = cases if isinstance(cases, Cases) else Cases(cases)
    kinds, weights = np.array(found.kinds), np.array(found.weights)
    findings = []
    for name, number in NUMBERS.items():
        places = np.flatnonzero(kinds == number)
        if len(places):
            worst_first = places[np.argsort(-weights[places], kind="stable")]
            findings.append(Finding(KINDS[name], Chosen(found, worst_first)))
    return findings
