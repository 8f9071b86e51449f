"""Labels of a data set in a few arrays: a million dictionaries of small arrays would take ten times the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Packer:
    """Labels of images on their way into arrays, which a cache keeps; as dictionaries a million would take 2 GB.

    Args:
        files: The images.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._places = iter(enumerate(files))
        self._columns: dict[str, tuple[bytearray, np.dtype, tuple[int, ...]]] = {}

    def add(self, label: Mapping[str, Any]) -> None:
        """Add the label of an image as the host scans it; images come in the order of the files, some not at all."""
        place = next(place for place, file in self._places if file == label["im_file"])
        for key, rows in (
            ("kept", np.array([place], np.int64)),
            ("shapes", np.array([label["shape"]], np.int32)),
            ("starts", np.array([len(label["cls"])], np.int64)),
            *((key, label[key]) for key in ("cls", "bboxes", "keypoints") if label[key] is not None),
            ("corners", np.array([len(polygon) for polygon in label["segments"]], np.int64)),
            *(("points", polygon) for polygon in label["segments"]),
            *((what, np.array([count], np.int32)) for what, count in label.get("faults", {}).items()),
        ):
            column = self._columns.setdefault(key, (bytearray(), rows.dtype, rows.shape[1:]))
            column[0].extend(rows.tobytes())

    def arrays(self) -> Arrays:
        """Return the labels as arrays, none if there are no images.

        Returns:
            `kept` (N,) places of the images among the files, `shapes` (N, 2) heights and widths, `starts` (N + 1,)
            first object of each image, `cls` (K, 1), `bboxes` (K, 4), `polygons` () number of polygons there were,
            `points` (P, 2) of all polygons one after another and `corners` (K + 1,) first point of each, if every
            object has one, as the host, too, drops them otherwise, `keypoints` (K, points, 3) if there are any, and
            for each count under `faults` an array (N,) under its name.
        """
        columns = self._columns.items()
        arrays = {key: np.frombuffer(rows, dtype).reshape(-1, *shape) for key, (rows, dtype, shape) in columns}
        if arrays:
            corners, points = arrays.pop("corners"), arrays.pop("points", None)
            arrays |= {"starts": _starts(arrays["starts"]), "polygons": np.array(len(corners))}
            if points is not None and len(corners) == len(arrays["cls"]):
                arrays |= {"points": points, "corners": _starts(corners)}
        return arrays


def pack_sizes(shapes: Sequence[tuple[int, int]]) -> Arrays:
    """Return images of these heights and widths that show no object, as :class:`Packer` would."""
    none = np.zeros((0, 5), np.float32)
    return {
        "kept": np.arange(len(shapes)),
        "shapes": np.array(shapes, np.int32),
        "starts": np.zeros(len(shapes) + 1, np.int64),
        "cls": none[:, :1],
        "bboxes": none[:, 1:],
        "polygons": np.array(0),
    }


def _starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where each of several parts of these lengths begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)


class PackedLabels(Sequence[dict[str, Any]]):
    """The labels of a data set as the host reads them: one dictionary per image, made on access.

    A change of such a dictionary is lost; its arrays are views.

    Args:
        arrays: As :class:`Packer` returns them.
        files: The images that were packed.

    Examples:
        >>> label = {"im_file": "b.jpg", "shape": (48, 64), "cls": np.ones((1, 1)), "bboxes": np.full((1, 4), 0.5)}
        >>> files = ["a.jpg", "b.jpg"]  # the first one cannot be used
        >>> packer = Packer(files)
        >>> packer.add({**label, "segments": [], "keypoints": None})
        >>> labels = PackedLabels(packer.arrays(), files)
        >>> len(labels), labels[0]["im_file"], labels[0]["bboxes"].tolist()
        (1, 'b.jpg', [[0.5, 0.5, 0.5, 0.5]])
    """

    def __init__(self, arrays: Arrays, files: Sequence[str]) -> None:
        self._arrays, self._files = arrays, files
        self._rows = np.arange(len(arrays["kept"]))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        """Return the label of an image, or those of a slice."""
        if isinstance(i, slice):
            return [self._of(row) for row in self._rows[i].tolist()]
        return self._of(int(self._rows[i]))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the label of each image."""
        return map(self._of, self._rows.tolist())

    def _of(self, row: int) -> dict[str, Any]:
        arrays = self._arrays
        first, end = arrays["starts"][row : row + 2].tolist()
        height, width = arrays["shapes"][row].tolist()
        return {
            "im_file": self._files[arrays["kept"][row]],
            "shape": (height, width),
            "cls": arrays["cls"][first:end],
            "bboxes": arrays["bboxes"][first:end],
            "segments": self._polygons(first, end),
            "keypoints": arrays["keypoints"][first:end] if "keypoints" in arrays else None,
            "normalized": True,
            "bbox_format": "xywh",
        }

    def _polygons(self, first: int, end: int) -> list[np.ndarray]:
        if "points" not in self._arrays:
            return []
        corners = self._arrays["corners"][first : end + 1].tolist()
        return [self._arrays["points"][a:b] for a, b in pairwise(corners)]

    @property
    def shapes(self) -> list[list[int]]:
        """Height and width of each image."""
        shapes: list[list[int]] = self._arrays["shapes"][self._rows].tolist()
        return shapes

    @property
    def polygons(self) -> int:
        """Number of polygons that were labelled, kept or not."""
        return int(self._arrays["polygons"])

    def whole(self) -> dict[str, Any]:
        """Return the objects of all images as if they were in one, for counting; polygons are only numbered."""
        return {"cls": self._arrays["cls"], "bboxes": self._arrays["bboxes"], "segments": [*repeat(0, self.polygons)]}

    def with_fault(self, what: str) -> tuple[int, str]:
        """Return how many polygons have a fault that was counted, and the first image that has one; empty if none."""
        counts = self._arrays.get(what, np.zeros(0, np.int32))
        first = np.flatnonzero(counts)[:1]
        return int(counts.sum()), self._files[self._arrays["kept"][first[0]]] if len(first) else ""

    def reordered(self, order: Sequence[int]) -> PackedLabels:
        """Return the labels of the images in another order."""
        other = PackedLabels(self._arrays, self._files)
        other._rows = self._rows[np.asarray(order, np.int64)]
        return other

    def of_classes(self, classes: Sequence[int] | None, as_one: bool = False) -> PackedLabels:
        """Return the labels with the objects of these classes alone, None for all, as class 0 if they are to be one."""
        arrays = dict(self._arrays)
        if classes is not None:
            chosen = np.isin(arrays["cls"][:, 0], np.asarray(classes).ravel())
            arrays["starts"] = _starts(chosen.astype(np.int64))[arrays["starts"]]
            arrays |= {key: arrays[key][chosen] for key in ("cls", "bboxes", "keypoints") if key in arrays}
            if "points" in arrays:
                lengths = np.diff(arrays["corners"])
                arrays |= {"points": arrays["points"][np.repeat(chosen, lengths)], "corners": _starts(lengths[chosen])}
        if as_one:
            arrays["cls"] = np.zeros_like(arrays["cls"])
        other = PackedLabels(arrays, self._files)
        other._rows = self._rows
        return other
