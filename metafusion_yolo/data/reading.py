"""Checking, reading, registering and stacking the two images of a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import numpy as np
from ultralytics.utils import LOGGER, NUM_THREADS, TQDM

from metafusion_yolo.data.alignment import FAR, SETTLED, Aligner
from metafusion_yolo.data.decoding import (
    Page,
    check_image,
    image_size,
    open_image,
    pages_of,
    read_counts,
    read_stack,
    read_visible,
)
from metafusion_yolo.data.depth import visible_samples
from metafusion_yolo.data.layout import split_layout
from metafusion_yolo.data.makers import preview_note
from metafusion_yolo.data.pairs import PairError, listed
from metafusion_yolo.data.planes import NO_TEMPERATURES, compare_sizes, in_colours, join
from metafusion_yolo.data.polarity import is_black_hot, turned_note
from metafusion_yolo.data.radiometric import PACKAGES, UNREAD, WITHOUT_PREVIEW, maker_of, read_measurement
from metafusion_yolo.data.registration import Size, scaling, warp_infrared
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sequence import place_of, some_beside
from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.data.thermal import Limits, turned

__all__ = [
    "FEW",
    "PairReader",
    "check_image",
    "count_levels",
    "image_size",
    "open_image",
    "read_counts",
    "read_visible",
]

FEW = 16  # levels of grey below which a plane has lost what it showed


class PairReader:
    """Read pairs: normalise, register and stack their images.

    Args:
        rig: The two cameras.
        off: Camera to blank, "visible" or "infrared"; empty for none.
        align: "auto" undoes the small shift that is left between the cameras; "off" warns of one where the rig holds a
            registration; empty for neither.
    """

    def __init__(self, rig: Rig | None = None, off: str = "", align: str = "") -> None:
        self.rig = rig or Rig()
        self.off = off
        self.align = align
        self._aligners: dict[Path, Aligner] = {}
        self._limits: dict[Path, Limits | None] = {}
        self._black_hot: dict[Path, bool] = {}
        self._warned: set[str] = set()

    def read(self, visible: str | Path, infrared: str | Path | None) -> np.ndarray:
        """Read two files as one (H, W, 4) uint8 array, R, G, B, IR, in the size of the visible image.

        Raises:
            PairError: If a file cannot be decoded, or the two shapes differ.
        """
        if self.rig.layout:
            return self.stack(*self.read_both(visible), visible)
        if infrared is None:
            return self.stack(read_visible(visible), None)
        return self.stack(*self.parts(visible, infrared), visible, infrared, self.limits_of(infrared))

    def parts(self, visible: str | Path, infrared: str | Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the visible (H, W, 3) uint8 and the infrared image (h, w) of a pair as they are, by the layout.

        Raises:
            PairError: If a file cannot be decoded.
        """
        if self.rig.layout:
            return self.read_both(visible)
        return read_visible(visible), self.counts(infrared)

    def counts(self, infrared: str | Path) -> np.ndarray:
        """Read an infrared image (h, w) in the depth of its file; where the rig has a unit, what it measured.

        Raises:
            PairError: If the file cannot be decoded.
            ModuleNotFoundError: If the package that reads measurements of this maker is not installed.
        """
        return self._white_hot(self._stored(infrared), infrared, self._stored)

    def _stored(self, infrared: str | Path) -> np.ndarray:
        """Read an infrared image as its file holds it."""
        maker, thermal = maker_of(infrared), self.rig.thermal
        if thermal.corrects and maker not in PACKAGES:
            self._warn("corrections for emissivity and the like are for files of FLIR and DJI alone", f"'{infrared}'")
        if maker and (thermal.unit or maker in WITHOUT_PREVIEW):
            return read_measurement(infrared, maker, thermal)
        if maker:
            way = "'thermal: {unit: celsius}' in the data-set YAML takes what it measured"
            way = "export TIFF for what it measured" if maker in UNREAD else way
            self._warn(f"{preview_note(maker)}; {way}", f"'{infrared}'")
        return read_counts(infrared, measured=bool(thermal.unit))

    def read_both(self, image: str | Path | np.ndarray, judge: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the visible (H, W, 3) uint8 and the infrared part (H, W) of an image that holds both, by the layout.

        Raises:
            PairError: If it cannot be decoded, or does not have the two parts.
        """
        layout, file = str(self.rig.layout), None if isinstance(image, np.ndarray) else image
        if not isinstance(image, np.ndarray):
            image = read_stack(image) if layout == "stacked" else read_visible(image)
        visible, infrared = split_layout(image, layout)
        if self.rig.thermal.unit and in_colours(infrared):
            raise PairError(f"'{file or 'an image'}' {NO_TEMPERATURES}")
        infrared = infrared if infrared.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(infrared), cv2.COLOR_RGB2GRAY)
        if file and judge:
            infrared = self._white_hot(infrared, file, lambda other: self.read_both(other, judge=False)[1])
        visible = visible_samples(visible, file or "an image")
        return np.ascontiguousarray(visible), np.ascontiguousarray(infrared)

    def _white_hot(self, counts: np.ndarray, file: str | Path, read: Callable[[str], np.ndarray]) -> np.ndarray:
        """Return an infrared image (h, w), turned if `invert: auto` finds the folder of its file to be black-hot."""
        if self.rig.thermal.invert != "auto" or counts.dtype != np.uint8:
            return counts
        where = place_of(file)
        if where not in self._black_hot:
            self._black_hot[where] = bool(is_black_hot(some_beside(file, self.rig.pairing, read)))
            if self._black_hot[where]:
                LOGGER.info(turned_note(where))
        return turned(counts) if self._black_hot[where] else counts

    def limits_of(self, infrared: str | Path) -> Limits | None:
        """Return the counts that become black and white in the folder or TIFF of a file; None if each has its own."""
        thermal = self.rig.thermal.over("sequence") if isinstance(infrared, Page) else self.rig.thermal
        where = place_of(infrared)
        if not thermal.per_image and where not in self._limits:
            self._limits[where] = thermal.limits_of(some_beside(infrared, self.rig.pairing, self.counts))
        return self._limits.get(where)

    def stack(
        self,
        visible: np.ndarray,
        counts: np.ndarray | None,
        file: str | Path | None = None,
        infrared_name: str | Path | None = None,
        limits: Limits | None = None,
    ) -> np.ndarray:
        """Stack a visible (H, W, 3) RGB uint8 image and an infrared (h, w) one of any depth to one (H, W, 4) array.

        Args:
            visible: The visible image, whose size is that of the pair.
            counts: The infrared image, to be registered to the visible one; None leaves the plane blank.
            file: The visible file or video, whose folder selects the registration of a sequence.
            infrared_name: The infrared file; errors name both.
            limits: Counts that become black and white; None to take them from the image.

        Raises:
            PairError: If there is no registration and the aspect ratios differ by more than 2 %, or if the image cannot
                hold the counts that the rig describes.
        """
        if self.off == "visible":
            visible = np.zeros_like(visible)
        if counts is None or self.off == "infrared":
            return join(visible, np.zeros(visible.shape[:2], np.uint8))
        names = f"'{file}' and '{infrared_name}'" if infrared_name else "the two images"
        if problem := self.rig.thermal.problem(counts):
            raise PairError(f"{names}: {problem}")
        if limits and counts.dtype == np.uint8 and limits[1] > 255 and not self.rig.thermal.range:
            self._warn("infrared images of 8 bits among deeper ones have a range of their own", names)
            limits = None
        grey = self.rig.thermal.to_uint8(counts, limits, file)
        if self.rig.thermal.range and grey.size and grey.min() == grey.max() and counts.min() < counts.max():
            self._warn("nothing is within 'thermal: range:', so the infrared image is blank", names)
        for camera, plane in (("visible", visible), ("infrared", grey)):
            if count_levels(plane[::8, ::8]) < FEW and 1 < (levels := count_levels(plane)) < FEW:
                self._warn(f"{camera} images with {levels} of 256 levels; metafusion data check lists all such", names)
        sizes = visible.shape[1::-1], grey.shape[1::-1]
        homography = self.rig.homography(file, *sizes)
        if homography is not None:
            return join(visible, self._aligned(visible, warp_infrared(visible, grey, homography), file))
        if sizes[0] != sizes[1]:
            if problem := compare_sizes(*sizes, names)[0]:
                raise PairError(problem)
            grey = cv2.resize(grey, sizes[0], interpolation=cv2.INTER_LINEAR)
        return join(visible, self._aligned(visible, grey, file))

    def _aligned(self, visible: np.ndarray, grey: np.ndarray, file: str | Path | None) -> np.ndarray:
        """Return the infrared plane (H, W) of a pair, moved to where its edges fit those of the visible image."""
        if self.align != "auto" and not (self.align and self.rig.registration):
            return grey
        aligner = self._aligners.setdefault(Path(file or "").parent, Aligner())
        if self.align != "auto" and aligner.pairs >= SETTLED:
            return grey
        aligner.see(visible, grey)
        width = visible.shape[1]
        if self.align != "auto":
            if aligner.pairs == SETTLED and aligner.size > FAR:
                x, y = (width * share for share in aligner.shift)
                self._warn(
                    f"registration is off by {x:+.1f}, {y:+.1f} px of {width} by the edges of {SETTLED} pairs; "
                    f"align=auto corrects it, metafusion data register measures it again",
                    f"'{file}'",
                )
            return grey
        return aligner.moved(grey)

    def thermogram(self, counts: np.ndarray | None, size: Size, file: str | Path | None = None) -> Thermogram | None:
        """Return the measurement of a pair; None without an infrared image or a unit.

        Args:
            counts: The infrared image (h, w), as it was given to :meth:`stack`.
            size: (width, height) of the pair.
            file: The visible file, as there.
        """
        if counts is None or self.off == "infrared" or not self.rig.thermal.unit:
            return None
        infrared = counts.shape[1::-1]
        homography = self.rig.homography(file, size, infrared)
        homography = scaling(infrared, size) if homography is None else homography
        if self.align == "auto" and (aligner := self._aligners.get(Path(file or "").parent)):
            homography = aligner.matrix(size[0]) @ homography
        return Thermogram(counts, self.rig.thermal, homography)

    def _warn(self, text: str, names: str) -> None:
        """Log a warning once per reader."""
        kind = text.partition(" ")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            LOGGER.warning(f"{names}, for example: {text}")

    def check(self, visible: str, infrared: str) -> tuple[str, str]:
        """Check that both files of a pair are complete and, without a registration, that their sizes fit.

        Returns:
            A problem that makes the pair unusable, and a warning; empty where there is none.
        """
        try:
            if self.rig.layout:
                check_image(visible, read_visible)
                self.read_both(visible)
                return "", ""
            sizes = check_image(visible, read_visible), check_image(infrared, read_counts)
            for file in (visible, infrared):
                if (count := len(pages_of(file))) > 1:
                    self._warn(f"{count} pages, of which only the first is read; split them into files", f"'{file}'")
        except PairError as error:
            return str(error), ""
        names = f"'{visible}' and '{infrared}'"
        thermal = self.rig.thermal
        if (thermal.range or thermal.unit) and (problem := thermal.problem(self.counts(infrared))):
            return f"{names}: {problem}", ""
        if self.rig.homography(visible, *sizes) is not None:
            return "", ""
        return compare_sizes(*sizes, names)

    def check_all(self, files: Sequence[str], partners: Mapping[str, str], prefix: str, where: str) -> None:
        """Check every pair as :meth:`check` does, and log the warnings together.

        Args:
            files: Visible images.
            partners: Infrared images by visible one.
            prefix: What messages begin with.
            where: Where the pairs are from, for the error.

        Raises:
            PairError: If a pair is unusable.
        """
        if self.rig.thermal.invert == "auto":  # said once, before workers read
            for visible in {Path(partners[file] or file).parent: file for file in files}.values():
                with suppress(PairError):
                    self.parts(visible, partners[visible])
        problems, warnings = [], []
        with ThreadPool(NUM_THREADS) as pool:
            checks = pool.imap(lambda file: self.check(file, partners[file]), files)
            for problem, warning in TQDM(checks, desc=f"{prefix}Checking pairs...", total=len(files)):
                problems += [problem] if problem else []
                warnings += [warning] if warning else []
        if warnings:
            LOGGER.warning(f"{prefix}sizes of {len(warnings)} pairs:{listed(warnings)}")
        if problems:
            raise PairError.of(problems, where)


def count_levels(plane: np.ndarray) -> int:
    """Return the number of levels that a uint8 image uses."""
    return int(np.count_nonzero(np.bincount(plane.ravel(), minlength=256)))
