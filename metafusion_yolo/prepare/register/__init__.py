"""Register the cameras of a data set and write the result into its YAML: `metafusion data register`."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.files import increment_path

from metafusion_yolo.data.description import describe_what_is_there
from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.data.planes import compare_sizes
from metafusion_yolo.data.reading import PairReader, read_visible
from metafusion_yolo.data.registration import Matrix, Registration, scaling, with_parallax
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources.streams import is_live
from metafusion_yolo.data.splits import split_pairs
from metafusion_yolo.options import Init, Register
from metafusion_yolo.prepare.draft import draft, one_way
from metafusion_yolo.prepare.register.boards import APART, BoardEstimate, estimate_from_boards, parse_board
from metafusion_yolo.prepare.register.estimate import (
    Estimate,
    RegistrationError,
    cost,
    estimate_registration,
    usual_size,
)
from metafusion_yolo.prepare.register.homography import corner_distance
from metafusion_yolo.prepare.register.live import record
from metafusion_yolo.prepare.register.yaml_section import write_section
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.resources import find_data_yaml, is_shipped
from metafusion_yolo.support.sampling import evenly

NEAR = 0.003  # share of the width by which a new registration must differ to be written
SHOWN, SHOWN_WIDTH = 6, 640  # overlays per sequence; width of each of their two images in pixels
DIGITS = 8  # of the matrix in the YAML

Pairs = list[tuple[str, str]]  # visible and infrared files


def register_dataset(asked: Register) -> Registration | None:
    """Estimate the matrix from infrared to visible pixels, draw overlays, and write it into the data-set YAML.

    A registration in the YAML is not used for the estimate; it is replaced, not refined.

    Without a YAML one is drafted in `project/name`. If the YAML has a registration at another distance than `at`, both
    give the parallax of the lenses.

    Returns:
        The registration that the YAML has now, or would have; None if the cameras are registered already.

    Raises:
        RegistrationError: If the pairs do not determine a matrix; nothing is written.
        ValueError: If an argument, the YAML or a pair is wrong.
        FileNotFoundError: If the YAML or its images do not exist.
    """
    data, per, matrix, board, at = asked.data, asked.per, asked.matrix, asked.board, asked.at
    project, name, exist_ok = Path(asked.project).absolute(), asked.name, asked.exist_ok
    if (at or board) and per != "dataset":
        raise UserValueError(f"at= and board= are for the whole data set; leave out per={per}")
    corners = None if board is None else parse_board(board)
    taken = None
    if asked.visible is not None:
        folder = increment_path(project / name, exist_ok=exist_ok)
        data, taken = _gather(asked, folder)
        project, name, exist_ok = folder.parent, folder.name, True
    elif data is None or asked.infrared is not None:
        one_way(data, None, asked.infrared)
    file = _find_yaml(str(data), asked.dry_run)
    by_hand = Registration.from_yaml(matrix, "the arguments")
    if by_hand and per != "dataset":
        raise UserValueError(f"matrix= is for the whole data set; leave out per={per}")
    description = describe_what_is_there(file)
    rig = Rig.from_yaml(description, str(file))
    reader = PairReader(replace(rig, registration=None))
    found = _sequences(description, rig, per) if taken is None else {"": taken}
    sequences = {key: [*evenly(files, asked.pairs)] for key, files in found.items()}
    if by_hand:
        sides = [*zip(*(_read(reader, *pair) for pair in sequences[""]), strict=True)]
        sizes = usual_size(sides[0]), usual_size(sides[1])
        registration = replace(by_hand, visible=sizes[0], infrared=sizes[1])
        replace(rig, registration=registration).homography(None, *sizes)  # refuses one that shows nothing
    else:
        way = partial(estimate_from_boards, board=corners, square=asked.square) if corners else estimate_registration
        registration = _estimate(sequences, reader, way)
        distance = _distance(rig.registration, registration, sequences)
        if distance <= NEAR and not (at or registration.parallax):
            kept = f"as '{file}' says" if rig.registration else "as they are"
            LOGGER.info(f"Registered {kept}, within {distance:.2%} of the width: nothing to write.")
            return None
        if rig.registration and not at and not registration.parallax and np.isfinite(distance):
            LOGGER.warning(f"the registration in '{file}' is off by {cost(distance)}")
    registration = with_lenses(registration, rig.registration, at)
    folder = increment_path(project / name, exist_ok=exist_ok, mkdir=True)
    for files in sequences.values():
        for pair in evenly(files, SHOWN):
            picture = folder / f"{'-'.join(Path(pair[0]).with_suffix('').parts[-3:])}.png"
            write_image(picture, _overlay(reader, registration, *pair))
    LOGGER.info(f"Overlays:  {folder} (left: before, right: registered; visible edges red, infrared edges cyan)")
    if asked.dry_run:
        LOGGER.info(f"Dry run:   '{file}' is unchanged")
    else:
        how = "given by hand" if by_hand else "estimated by metafusion data register"
        write_section(file, "registration", registration.to_yaml(), f"infrared to visible pixels, {how}")
        LOGGER.info(f"Written:   registration: in '{file}'; train, val and predict read it from there")
    return registration


def with_lenses(new: Registration, old: Registration | None, at: float | None = None) -> Registration:
    """Return a new registration with the parallax of the lenses, which belongs to the cameras, not to the pairs.

    Args:
        new: The registration that was measured.
        old: The one before, whose parallax is kept; if it has none, but a distance, both give it.
        at: Distance at which the new one was measured, metres; None if it is not known.
    """
    if new.parallax:
        return new
    if old is None or old.parallax is None:
        apart = at and old and old.at and max(at, old.at) > APART * min(at, old.at)
        if not (apart and new.visible and new.infrared):
            return replace(new, at=at)
        before = old.homography(None, new.visible, new.infrared)  # type: ignore[union-attr]
        both = with_parallax({old.at: before, at: new.matrix}, new.visible, new.infrared)  # type: ignore[union-attr, dict-item]
        LOGGER.info(f"Parallax:  {both.parallax} px at 1 m, from {old.at:g} m and {at:g} m; set 'distance:' to move on")  # type: ignore[union-attr]
        return replace(both, distance=at)
    at = at or old.distance or old.at
    LOGGER.info(f"Parallax:  kept; the new matrix is taken to hold {f'at {at:g} m' if at else 'far away'}")
    return replace(new, parallax=old.parallax, at=at, distance=old.distance)


def _gather(asked: Register, folder: Path) -> tuple[str, Pairs | None]:
    """Return the data-set YAML, drafted if none is given, and the pairs of live cameras, which are recorded."""
    visible = "" if asked.visible is None else str(asked.visible)
    infrared = None if asked.infrared is None else str(asked.infrared)
    if not is_live(visible):
        one_way(asked.data, visible, infrared)
        taken = None
    elif infrared is None:
        raise UserValueError(f"visible={visible} is a live camera; give the other one as infrared=")
    else:
        taken = record(visible, infrared, folder, asked.pairs, asked.every)
        visible, infrared = str(folder / "visible"), str(folder / "infrared")
    if asked.data is not None:
        return asked.data, taken
    drafted = draft(folder, Init(visible, infrared))
    LOGGER.info(f"{drafted.pairing.summary()}\nDrafted:   {drafted.yaml}")
    return str(drafted.yaml), taken


def _find_yaml(data: str | Path, dry_run: bool) -> Path:
    """Return the path of a data-set YAML that may be changed."""
    file = Path(find_data_yaml(data))
    if file.suffix.lower() not in (".yaml", ".yml") or not file.is_file():
        raise MissingFileError(f"no data-set YAML '{data}'; give a file with path, train, val and names")
    if is_shipped(file) and not dry_run:
        raise UserValueError(f"'{file}' is part of the package; copy it to a folder of yours and register the copy")
    return file


def _sequences(description: Mapping[str, Any], rig: Rig, per: str) -> dict[str, Pairs]:
    """Return all pairs of a data set by the folder of the visible image, or by "" for one matrix."""
    splits = [split for split in SPLITS if description.get(split)]
    partners: dict[str, str] = {}
    for split in splits:
        try:
            listed = split_pairs(description, split, rig)
        except MissingFileError as error:
            LOGGER.warning(f"registering without '{split}:' ({error})")
            continue
        partners |= listed.complete(str(description["yaml_file"])).partners
    root, found = Path(description["path"]).resolve(), defaultdict(list)
    for visible, infrared in partners.items():
        folder = Path(visible).parent
        inside = folder.relative_to(root) if folder.is_relative_to(root) else Path(*folder.parts[-2:])
        found[inside.as_posix() if per == "sequence" else ""].append((visible, infrared))
    return dict(found)


def _read(reader: PairReader, visible: str, infrared: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair as grey images (H, W) and (h, w) uint8, each in its own size."""
    grey = cv2.cvtColor(read_visible(visible), cv2.COLOR_RGB2GRAY)
    return grey, reader.rig.thermal.to_uint8(reader.counts(infrared), reader.limits_of(infrared), visible)


def _estimate(sequences: Mapping[str, Pairs], reader: PairReader, way: Callable[..., Estimate]) -> Registration:
    """Estimate and log the matrix of each sequence; a RegistrationError gives the reasons if any has none."""
    estimates: dict[str, Estimate] = {}
    problems = []
    for key, files in sequences.items():
        title = f"'{key}': " if key else ""
        try:
            estimates[key] = estimate = way(
                [_read(reader, *pair) for pair in files],
                progress=lambda steps, total, title=title: TQDM(steps, desc=f"{title}Registering...", total=total),
            )
            problem = estimate.problem()
            _report(title, estimate)
        except RegistrationError as error:
            problem = str(error)
        problems += [title + problem] if problem else []
    if problems:
        raise RegistrationError(f"not registered, nothing written: {' | '.join(problems)}")
    first = next(iter(estimates.values()))
    matrices: dict[str, Matrix] = {}
    for key, found in estimates.items():  # all for image sizes of the first
        same = scaling(found.visible, first.visible) @ found.matrix @ scaling(first.infrared, found.infrared)
        a, b, c = ([float(f"{value:.{DIGITS}g}") for value in row] for row in same / same[2, 2])
        matrices[key] = (a[0], a[1], a[2]), (b[0], b[1], b[2]), (c[0], c[1], c[2])
    whole = matrices.pop("", None)
    parallax = first.parallax if isinstance(first, BoardEstimate) else None
    return Registration(whole, first.visible, first.infrared, matrices, parallax)


def _report(title: str, found: Estimate) -> None:
    """Log the estimate and how reliable it is."""
    LOGGER.info(f"{title}Infrared:  {found}")
    LOGGER.info(f"{title}Certainty: {found.sureness}")


def _distance(before: Registration | None, after: Registration, sequences: Mapping[str, Pairs]) -> float:
    """Return how far a new registration moves the corners, in visible widths, at most over all sequences.

    Without an earlier one, images of about the same shape count as resized, and others as infinitely far.
    """
    if after.visible is None or after.infrared is None:
        return np.inf
    sizes, distances = (after.visible, after.infrared), []
    for files in sequences.values():
        old = before.homography(files[0][0], *sizes) if before else None
        if old is None:
            old = np.full((3, 3), np.inf) if compare_sizes(*sizes, "")[0] else scaling(*sizes[::-1])
        new = after.homography(files[0][0], *sizes)
        distances.append(corner_distance(old, new, *sizes) if np.isfinite(old).all() and new is not None else np.inf)
    return max(distances)


def _overlay(reader: PairReader, registration: Registration, visible: str, infrared: str) -> np.ndarray:
    """Return the edges of both cameras over a dark visible image, (H, W, 3) B, G, R: resized | registered."""
    grey, heat = _read(reader, visible, infrared)
    sizes = grey.shape[1::-1], heat.shape[1::-1]
    width = min(SHOWN_WIDTH, sizes[0][0])
    size = width, max(1, round(width * sizes[0][1] / sizes[0][0]))
    small, halves = cv2.resize(grey, size, interpolation=cv2.INTER_AREA), []
    for matrix in (scaling(*sizes[::-1]), registration.homography(visible, *sizes)):
        laid = cv2.warpPerspective(heat, scaling(sizes[0], size) @ matrix, size)
        red, cyan = _outlines(small), _outlines(laid)
        planes = [small / 3 + cyan, small / 3 + cyan, small / 3 + red]
        halves.append(np.clip(np.dstack(planes), 0, 255).astype(np.uint8))
    return np.hstack(halves)


def _outlines(image: np.ndarray) -> np.ndarray:
    """Return the strong edges of an image (H, W) uint8 for display, (H, W), mostly 0 to 255."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    strength = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return strength * (255 / max(float(np.percentile(strength, 98)), 1e-6))
