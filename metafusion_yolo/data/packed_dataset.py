"""The host's YOLO data set with its labels in arrays, packed once and kept so in its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.data.dataset import DATASET_CACHE_VERSION, YOLODataset
from ultralytics.data.utils import save_dataset_cache_file
from ultralytics.utils import LOGGER

from metafusion_yolo.data.labels import crosses_itself, is_empty
from metafusion_yolo.data.packed import PackedLabels, Packer
from metafusion_yolo.support.errors import UserValueError

Scanned = tuple[dict[str, Any] | None, int, int, int, int, str]  # a label, and what the host counts and says
POLYGON_FAULTS = {"have no area": is_empty, "cross themselves": crosses_itself}


class PackedYOLODataset(YOLODataset):
    """A data set of the host whose labels take little memory; what reads them sees the host's dictionaries."""

    packs = True  # whether labels are boxes and what belongs to them
    labels: Any  # packed, or a dictionary an image

    @property
    def needs_polygons(self) -> bool:
        """Whether masks or oriented boxes are made of the labels."""
        return bool(self.use_segments or self.use_obb)

    @property
    def polygon_faults(self) -> list[str]:
        """What is looked for in polygons; the corners of an oriented box may come in any order."""
        return [what for what in POLYGON_FAULTS if not (self.use_obb and what.startswith("cross"))]

    def _load_or_scan_cache(self, cache_path: Path, cache_hash: str) -> tuple[dict[str, Any], bool]:
        """Show the arrays as labels."""
        cache, exists = super()._load_or_scan_cache(cache_path, cache_hash)
        if self.packs:
            cache["labels"] = PackedLabels(cache["labels"], self.im_files)
        return cache, exists

    def cache_labels(self, path: Path = Path("./labels.cache")) -> dict[str, Any]:
        """Pack the labels while the host scans them, which then sees none, and keeps none itself."""
        self._packer = Packer(self.im_files)
        cache: dict[str, Any] = super().cache_labels(path)
        if arrays := self._packer.arrays():
            cache["labels"] = arrays
            save_dataset_cache_file(self.prefix, path, cache, DATASET_CACHE_VERSION)
        return cache

    def packed(self, labelled: Scanned) -> Scanned:
        """Pack a label, and count the polygons that make no mask: it takes a minute a million."""
        label = labelled[0]
        if label is None or not self.packs:
            return labelled
        if self.needs_polygons:
            label["faults"] = {what: sum(map(POLYGON_FAULTS[what], label["segments"])) for what in self.polygon_faults}
        self._packer.add(label)
        return None, *labelled[1:]

    def verify_labels(self, labels: Any, cache_path: Path) -> None:
        """Reject boxes where polygons are needed, and warn of polygons that make no mask.

        Raises:
            ValueError: If there are any.
        """
        if not isinstance(labels, PackedLabels):
            super().verify_labels(labels, cache_path)
            return
        whole = labels.whole()
        boxes, polygons = len(whole["bboxes"]), labels.polygons
        if boxes != polygons and self.needs_polygons:
            wanted = "oriented boxes need four corners" if self.use_obb else "masks need polygons"
            raise UserValueError(
                f"{boxes - polygons} of {boxes} labels of '{self.img_path}' are boxes of four numbers, and {wanted}: "
                f"class x1 y1 x2 y2 x3 y3 ... in shares of the image"
            )
        for what in self.polygon_faults if self.needs_polygons else ():
            count, first = labels.with_fault(what)
            if count:
                LOGGER.warning(
                    f"{self.prefix}{count} of {polygons} polygons {what}, so their masks or boxes will be wrong; the "
                    f"first is of '{first}'"
                )
        super().verify_labels([whole], cache_path)

    def update_labels(self, include_class: list[int] | None) -> None:
        """Keep the objects of the requested classes."""
        if isinstance(self.labels, PackedLabels):
            self.labels = self.labels.of_classes(include_class, self.single_cls)
        else:
            super().update_labels(include_class)

    def set_rectangle(self) -> None:
        """Let the host sort the shapes of the images, and sort the labels alike."""
        packed = self.labels
        if isinstance(packed, PackedLabels):
            self.labels = [{"shape": shape, "place": i} for i, shape in enumerate(packed.shapes)]
        super().set_rectangle()
        if isinstance(packed, PackedLabels):
            self.labels = packed.reordered([label["place"] for label in self.labels])
