"""Sources of prediction: pairs of files, or of images in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat, starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from metafusion_yolo.data.listing import is_pair_list, list_images, read_pair_list
from metafusion_yolo.data.naming import match_names
from metafusion_yolo.data.pairs import (
    ARROW,
    Expected,
    PairError,
    PairingRule,
    expected_beside,
    expected_by_rule,
    parse_rule,
)
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.data.planes import described
from metafusion_yolo.data.sources.memory import as_infrared, as_visible, split_stack
from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.options import Source, Sync
from metafusion_yolo.support.errors import MissingFileError, UserTypeError

FLIR_SEQUENCES = (".seq", ".csq", ".fff")  # flyr does not read them, and flirpy pins another OpenCV


class _ByRule:
    """Placeholder for an `infrared` that is not given: the pairing rule of the checkpoint finds the partner."""

    def __repr__(self) -> str:
        return "by the pairing rule of the checkpoint"


BY_RULE = _ByRule()


class Origin(NamedTuple):
    """Where a pair came from, in addition to its name.

    Attributes:
        infrared: File, video or address of the infrared side; None if it was in memory or missing.
        frame: Number of the frame, from 1; None for an image.
        time: Seconds from the start of the video or live run; None for an image.
        thermogram: What the infrared camera measured; None if its counts have no unit.
    """

    infrared: str | None = None
    frame: int | None = None
    time: float | None = None
    thermogram: Thermogram | None = None


@dataclass(frozen=True)
class PairedSource:
    """What to predict on.

    Attributes:
        visible: Path, folder, glob, list, array, PIL image, (H, W, 4) array, (B, 4, H, W) tensor, or a list or
            generator of these or of `(visible, infrared)` tuples.
        infrared: A file, a folder with the same names, a glob, a rule such as "vis/*_V -> th/*_T", or in memory the
            same kind as `visible`; None for no infrared image, `BY_RULE` for the rule of the checkpoint.
        layout: Where the two cameras are in images or frames that hold both, of
            :data:`~metafusion_yolo.options.LAYOUTS`.
        on_error: What to do at a pair that cannot be read: "stop" or "skip" it.
        data: Data-set YAML that describes the cameras; None for the description in the checkpoint.
        sync: How two videos or live cameras are synchronised.
        align: Whether the shift that is left between the cameras is undone: "off" or "auto".

    Raises:
        ValueError: If the layout or `on_error` is unknown.
    """

    visible: Any
    infrared: Any = BY_RULE
    layout: str | None = Source.layout
    on_error: str = Source.on_error
    data: str | None = None
    sync: Sync = field(default_factory=Sync)
    align: str = Source.align

    def __post_init__(self) -> None:
        Source(self.infrared, self.layout, self.align, self.on_error)


def is_path(item: Any) -> bool:
    """Return whether a source is a path."""
    return isinstance(item, (str, Path))


def is_lazy(item: Any) -> bool:
    """Return whether a source is a generator or another iterator of unknown length."""
    return isinstance(item, Iterator)


def moving_partner(source: PairedSource, kind: str, is_one: Callable[[Any], bool]) -> Any:
    """Return the infrared side of a video or live camera; None if the visible one is used alone or holds both.

    Args:
        source: A source whose `visible` is a video or a live camera.
        kind: Its kind, in words.
        is_one: Returns whether something is of that kind.

    Raises:
        PairError: If the infrared side is missing or one too many, or if frames cannot hold both in that layout.
        TypeError: If it is of another kind.
    """
    visible, infrared = source.visible, source.infrared
    if source.layout == "stacked":
        raise PairError(f"layout=stacked is for images of four channels, and '{visible}' is a {kind}, of three")
    if source.layout:
        if infrared is not BY_RULE:
            raise PairError(f"layout={source.layout} says that '{visible}' holds both cameras; leave infrared= out")
        return None
    if infrared is BY_RULE:
        raise PairError(
            f"no infrared {kind} for '{visible}'; give it as infrared=, or infrared=None for none, or layout= if one "
            f"{kind} holds both"
        )
    if infrared is not None and not is_one(infrared):
        other = f"'{infrared}'" if is_path(infrared) else described(infrared)
        flir = str(infrared).lower().endswith(FLIR_SEQUENCES)
        hint = "; split it into TIFF files by 'split_seqs' of the package flirpy, and the video into images" * flir
        raise UserTypeError(f"'{visible}' is a {kind}, so infrared= must be one too, not {other}{hint}")
    return infrared


def tensor_pairs(pairs: torch.Tensor, infrared: Any) -> torch.Tensor:
    """Check a source (B, 4, H, W) in [0, 1], R, G, B, IR, which the host loads itself.

    Raises:
        PairError: If the shape is wrong, values are not finite, or `infrared` is given.
    """
    if pairs.ndim not in (3, 4) or pairs.shape[-3] != NUM_CHANNELS or not pairs.numel():
        raise PairError(f"a tensor source must be (B, 4, H, W), R, G, B, IR in [0, 1], not {tuple(pairs.shape)}")
    if not torch.isfinite(pairs).all():
        raise PairError("a tensor source holds values that are not finite; give R, G, B, IR in [0, 1]")
    if infrared is not BY_RULE:
        raise PairError("a tensor source already holds the infrared plane; leave infrared= out")
    return pairs


def file_pairs(visible: Any, infrared: Any, rule: PairingRule) -> list[tuple[str, str | None]]:
    """Pair the visible images of a file, folder, glob, text list or list of these with their partners, by name.

    Args:
        visible: Where the visible images are.
        infrared: One file, a folder with the same names, a glob or a rule; None for no infrared images, `BY_RULE` for
            `rule`.
        rule: Pairing rule of the checkpoint.

    Raises:
        PairError: If images lack a partner or have several; the message summarises all problems.
        FileNotFoundError: If there are no visible images, or `infrared` does not exist.
    """
    if is_pair_list(visible):
        if infrared is not BY_RULE:
            raise PairError(f"'{visible}' already lists pairs; leave infrared= out")
        return [*read_pair_list(Path(visible))]
    files = list_images(visible)
    if infrared is None:
        return [(file, None) for file in files]
    if isinstance(infrared, str) and ARROW in infrared:
        rule, infrared = parse_rule(infrared, "infrared="), BY_RULE
    if is_path(infrared) and "*" in str(infrared):
        return _by_names(visible, files, infrared)
    expected = expected_by_rule(rule) if infrared is BY_RULE else _expected_below(visible, Path(infrared))
    if infrared is not BY_RULE and Path(infrared).is_file():
        if len(files) > 1:
            raise PairError(f"infrared='{infrared}' is one file for {len(files)} visible images; give a folder")
        return [(files[0], str(infrared))]
    partners, problems = find_partners(files, expected)
    if problems:
        raise PairError.of(problems, f"source='{visible}'")
    return [(file, partners[file]) for file in files if file in partners]


def _by_names(visible: Any, files: list[str], infrared: Any) -> list[tuple[str, str | None]]:
    """Pair files with those of a glob, by the reading of their names that pairs the most."""
    others = [file for file in list_images(infrared) if file not in {*files}]
    best = max(match_names(files, others), key=lambda match: len(match.pairs))
    lone = [file for file in files if file not in best.pairs]
    if lone:
        raise PairError(
            f"no partner for {len(lone)} of {len(files)} images of source='{visible}' in infrared='{infrared}', for "
            f"example '{lone[0]}'; give a CSV of pairs, which 'metafusion data init' writes"
        )
    return [(file, best.pairs[file]) for file in files]


def _expected_below(visible: Any, infrared: Path) -> Expected:
    """Return the function from a visible image to its partner: the same path below its root, in the infrared folder."""
    if not infrared.exists():
        raise MissingFileError(f"infrared='{infrared}' does not exist; give the file or folder of the partners")
    if isinstance(visible, list):
        return lambda file: str(infrared / Path(file).name)
    root = Path(visible)
    if root.suffix.lower() == ".txt" and root.is_file():
        return expected_beside(Path(os.path.commonpath([Path(f).parent for f in list_images(root)])), infrared)
    while not root.is_dir():  # a file, or the part of a glob before its first wildcard
        root = root.parent
    return expected_beside(root, infrared)


def lazy_pairs(visible: Iterator[Any], infrared: Any, rule: PairingRule) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of a generator as they are needed.

    A wrong item raises the errors of :func:`memory_pairs`; the iteration can continue after it.
    """
    if infrared is not BY_RULE and infrared is not None and not is_lazy(infrared):
        raise PairError("a generator needs infrared= to be one too; or let it yield (visible, infrared) tuples")
    pairs = _in_step(visible, infrared) if is_lazy(infrared) else zip(visible, repeat(infrared), strict=False)
    return starmap(partial(_memory_pair, rule=rule), pairs)


def _in_step(visible: Iterator[Any], infrared: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of two iterators of equal length."""
    try:
        yield from zip(visible, infrared, strict=True)
    except ValueError as error:
        raise PairError(
            "the generators of visible and infrared images differ in length; yield as many of each"
        ) from error


def memory_pairs(visible: Any, infrared: Any, rule: PairingRule) -> list[tuple[Any, Any]]:
    """Return the pairs of arrays, PIL images, or of lists of these or of paths.

    A visible array is (H, W, 3) in the host's order B, G, R; a stacked one (H, W, 4) in R, G, B, IR.

    Raises:
        PairError: If lists have different lengths, or something has no partner.
        FileNotFoundError: If a list is empty, or a path does not exist.
        TypeError: If something is not an image.
    """
    single = infrared is None or infrared is BY_RULE
    if not isinstance(visible, (list, tuple)) or (infrared is BY_RULE and _is_pair(visible)):
        visible, infrared = [visible], infrared if single else [infrared]
    if not visible:
        raise MissingFileError("the list of visible images is empty; give at least one")
    if single:
        infrared = [infrared] * len(visible)
    if not isinstance(infrared, (list, tuple)) or len(infrared) != len(visible):
        count = len(infrared) if isinstance(infrared, (list, tuple)) else 1
        raise PairError(f"{len(visible)} visible and {count} infrared images; give lists with as many of each")
    return [_memory_pair(first, second, rule) for first, second in zip(visible, infrared, strict=True)]


def _memory_pair(visible: Any, infrared: Any, rule: PairingRule) -> tuple[Any, Any]:
    """Return one pair of a list, given as a tuple, two paths, two images, or an (H, W, 4) array."""
    if infrared is BY_RULE and _is_pair(visible):
        return as_visible(visible[0]), as_infrared(visible[1])
    if infrared is BY_RULE and is_path(visible):
        return file_pairs(as_visible(visible), BY_RULE, rule)[0]
    if isinstance(visible, np.ndarray) and visible.ndim == 3 and visible.shape[2] == NUM_CHANNELS:
        if infrared is not BY_RULE:
            raise PairError("an (H, W, 4) array already holds the infrared plane; leave infrared= out")
        return split_stack(visible)
    visible = as_visible(visible)
    if infrared is BY_RULE:
        raise PairError("no infrared image for an image in memory; give it as infrared=, or infrared=None for none")
    return visible, as_infrared(infrared)


def _is_pair(item: Any) -> bool:
    """Return whether an item of a list is a `(visible, infrared)` tuple."""
    return isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], (list, tuple))
