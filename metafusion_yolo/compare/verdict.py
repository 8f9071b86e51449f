"""The recommendation: the five-percent rule, and whether a single camera is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metafusion_yolo.compare.rows import (
    AVERAGE,
    BOTH,
    COMPARED,
    EARLY,
    FALSE_COLOUR,
    GUIDED,
    INFRARED,
    UNIVERSAL,
    UNTRAINED,
    VISIBLE,
)
from metafusion_yolo.evaluation.precision import Image, average_precision, interval, resampled
from metafusion_yolo.support.errors import UserValueError

RULES = AVERAGE, FALSE_COLOUR  # rows that use both cameras and have nothing to learn
SIMPLE = *RULES, EARLY  # rows that use both cameras without a front-end
TOLERATED = 0.05  # share of the best alternative's mAP50 by which universal fusion may be lower
LEARNED = 20.0  # lowest mAP50 in percent from which a training allows a conclusion


@dataclass(frozen=True)
class Estimate:
    """A value in percent or points with its 95 % interval over the images."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The value as text."""
        return _number(self.value)

    @property
    def range(self) -> str:
        """The interval as text."""
        return f"{_number(self.low)} to {_number(self.high)}"


@dataclass(frozen=True)
class Table:
    """Results of all rows on the same images.

    Attributes:
        measures: Measures in percent by row: AP50 by class name, mAP50 and mAP50-95.
        between: By two rows, mAP50 of the first minus that of the second, in points, over the same resampled images.
        single: The row of the better single camera.
        spoilt: By row, mean mAP50 over the corruptions of one camera, in percent.
        images: Number of images.
        seeds: Trainings of each row.
    """

    measures: Mapping[str, Mapping[str, Estimate]]
    between: Mapping[tuple[str, str], Estimate]
    single: str
    spoilt: Mapping[str, Estimate]
    images: int
    seeds: int

    @property
    def ranked(self) -> list[str]:
        """The rows, the best mAP50 first."""
        return sorted(self.measures, key=self.reached, reverse=True)

    def reached(self, row: str) -> float:
        """Return the mAP50 of a row in percent."""
        return self.measures[row]["mAP50"].value


@dataclass(frozen=True)
class Verdict:
    """What to use, and why.

    Attributes:
        choice: The recommended row; empty if none can be recommended.
        sentence: The recommendation with its numbers.
        rule: How the five-percent rule was applied, with its numbers.
    """

    choice: str
    sentence: str
    rule: str


def tabulate(
    views: Mapping[str, Mapping[str, Mapping[str, Sequence[Image]]]], names: Mapping[int, str], resamples: int
) -> Table:
    """Measure every row, and its difference to every other, by resampling the images.

    Args:
        views: What was found by row, view and image, one entry per seed: with both cameras, and with one of them
            spoilt. Every row has the same views and images.
        names: Class names; classes without a box in these images do not count.
        resamples: Resamples of the bootstrap.

    Raises:
        ValueError: If no image has a box, or the rows have different images.
    """
    results = {row: own[BOTH] for row, own in views.items()}
    images = sorted(next(iter(results.values())))
    if any(sorted(row) != images for row in results.values()):
        raise UserValueError("the rows were tested on different images; remove the folder and compare again")
    first = [row[0] for row in next(iter(results.values())).values()]
    present = {int(c) for image in first for c in image["target_cls"]}
    counted = {c: name for c, name in names.items() if c in present}
    if not counted:
        raise UserValueError("no tested image has a box; a comparison needs labels")
    measures, draws, spoilt = {}, {}, {}
    for row, by_view in views.items():
        points, drawn = {}, {}
        for view, by_image in by_view.items():
            ordered = [by_image[image] for image in images]
            points[view] = average_precision([e for image in ordered for e in image], counted)
            drawn[view] = resampled(ordered, counted, resamples)
        draws[row] = drawn[BOTH]
        measures[row] = {m: Estimate(float(v), *interval(draws[row][m])) for m, v in points[BOTH].items()}
        kinds = [view for view in by_view if view != BOTH]
        if kinds:
            mean = np.mean([drawn[kind]["mAP50"] for kind in kinds], 0)
            spoilt[row] = Estimate(float(np.mean([points[kind]["mAP50"] for kind in kinds])), *interval(mean))
    between = {
        (a, b): Estimate(
            measures[a]["mAP50"].value - measures[b]["mAP50"].value, *interval(draws[a]["mAP50"] - draws[b]["mAP50"])
        )
        for a in results
        for b in results
        if a != b
    }
    single = max((VISIBLE, INFRARED), key=lambda row: measures[row]["mAP50"].value)
    seeds = len(next(iter(next(iter(results.values())).values())))
    return Table(measures, between, single, spoilt, len(images), seeds)


def recommend(table: Table, started: bool = False) -> Verdict:
    """Apply the five-percent rule, then check whether fusion is worth a second camera.

    1. If universal fusion is more than 5 % (relative) below the best alternative, prefer detection-guided fusion, else
       universal fusion.
    2. If neither this fusion nor the other learned one is significantly better than the best single camera, one camera
       is enough.
    3. A simpler way to use both cameras replaces the choice if it is significantly better.
    4. The detector without any training replaces the choice if it reaches more.

    Args:
        table: What the rows reached.
        started: Whether they started from a checkpoint.
    """
    best = max((row for row in table.measures if row not in (UNIVERSAL, UNTRAINED)), key=table.reached)
    shortfall = 1 - table.reached(UNIVERSAL) / max(table.reached(best), 1e-9)
    short = shortfall > TOLERATED
    preferred, other = (GUIDED, UNIVERSAL) if short else (UNIVERSAL, GUIDED)
    if shortfall >= 0:
        distance = f"{100 * shortfall:.1f} % below the best alternative"
    else:
        distance = f"{-100 * shortfall:.1f} % above the best alternative"
    rule = (
        f"Universal fusion reaches mAP50 {table.reached(UNIVERSAL):.1f}, {distance}, {title(best)} "
        f"({table.reached(best):.1f}). {'More' if short else 'Not more'} than {TOLERATED:.0%} below: "
        f"{'detection-guided' if short else 'universal'} fusion is preferred."
    )
    top = max(map(table.reached, table.measures))
    if top < LEARNED:
        start = "" if started else "start from a checkpoint (pretrained=yolov8n.pt), "
        return Verdict(
            "",
            f"Nothing can be recommended yet: the best row reaches only mAP50 {top:.1f}; {start}take a larger budget, "
            f"or give more pairs.",
            f"not applied below mAP50 {LEARNED:g}",
        )
    choice = next((row for row in (preferred, other) if table.between[row, table.single].low > 0), table.single)
    for simple in filter(table.measures.__contains__, SIMPLE):
        if choice != simple and table.between[simple, choice].low > 0:
            choice = simple
    sentence = _sentence(table, choice, preferred, short)
    if UNTRAINED in table.measures:
        gap = table.between[choice, UNTRAINED]
        reached = f"mAP50 {table.reached(UNTRAINED):.1f}"
        if gap.value <= 0:
            better = f"with this budget {title(choice)}, the best choice after training, is {_points(gap, -1)} below it"
            return Verdict(UNTRAINED, f"Do not train yet: {title(UNTRAINED)} reaches {reached}; {better}.", rule)
        told = "" if gap.low > 0 else ", not resolved"
        sentence += f" Training is worth {_points(gap)} over {title(UNTRAINED)} ({reached}){told}."
    equals = [row for row in RULES if choice != row and table.between[choice, row].low <= 0]
    if choice in (UNIVERSAL, GUIDED) and equals:
        names = " and ".join(f"{title(row)} ({table.reached(row):.1f})" for row in equals)
        verb = "is" if len(equals) == 1 else "are"
        sentence += f" {names[0].upper()}{names[1:]}, with nothing to learn, {verb} not clearly different from it."
    return Verdict(choice, sentence, rule)


def title(row: str) -> str:
    """Return the name of a row in a sentence."""
    return COMPARED[row].title


def _sentence(table: Table, choice: str, preferred: str, short: bool) -> str:
    reached = f"mAP50 {table.reached(choice):.1f}"
    if choice == table.single:
        gap = table.between[preferred, choice]
        if gap.high < 0:
            why = f"{title(preferred)} is {_points(gap, -1)} below it"
        elif gap.value <= 0:
            why = f"{title(preferred)} is not above it: {_points(gap)} on these {table.images} pairs"
        else:
            why = f"the advantage of {title(preferred)}, {_points(gap)}, is not resolved on these {table.images} pairs"
        camera = title(choice).removeprefix("the ").removesuffix(" camera alone")
        return f"{camera.capitalize()} alone is enough: it reaches {reached}, and {why}."
    gap = table.between[choice, table.single]
    sentence = f"Use {title(choice)}: {reached}, {_points(gap)} above {title(table.single)}"
    if choice in SIMPLE:
        over = table.between[choice, preferred]
        return f"{sentence}, and {_points(over)} above {title(preferred)}."
    if choice == GUIDED and short:
        fall = 100 * (1 - table.reached(UNIVERSAL) / max(table.reached(row) for row in table.measures))
        return f"{sentence}; universal fusion falls {fall:.1f} % short of the best, more than {TOLERATED:.0%}."
    if choice == UNIVERSAL and not short:
        return f"{sentence}; no alternative is more than {TOLERATED:.0%} better."
    return f"{sentence}; that of {title(preferred)} is not resolved."


def _points(gap: Estimate, sign: int = 1) -> str:
    low, high = np.sort([sign * gap.low, sign * gap.high])
    return f"{_number(sign * gap.value)} points (95 % interval {_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}"  # no -0.0
