"""Pairs or plain images without labels, for universal fusion."""

from __future__ import annotations

from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import yaml
from ultralytics.data.dataset import DATASET_CACHE_VERSION
from ultralytics.data.utils import save_dataset_cache_file
from ultralytics.utils import NUM_THREADS

from metafusion_yolo.data.dataset import PairedYOLODataset
from metafusion_yolo.data.layout import part_shape
from metafusion_yolo.data.listing import list_images
from metafusion_yolo.data.packed import pack_sizes
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import image_size
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.resources import read_yaml

UNNAMED = {0: "object"}


class UnlabelledDataset(PairedYOLODataset):
    """A paired data set whose labels are not read.

    With `plain: true` in its description, images have no partners and their infrared plane is blank.
    """

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """List the images, and pair them unless they are plain."""
        if not self.data_is_plain:
            return super().get_img_files(img_path)
        files = sorted(list_images(img_path))
        self.partners = dict.fromkeys(files, "")
        fraction = self.fraction
        return files[: fraction if isinstance(fraction, int) else max(1, round(len(files) * fraction))]

    def __init__(self, *args: Any, data: dict[str, Any], **kwargs: Any) -> None:
        self.data_is_plain = bool(data.get("plain"))
        super().__init__(*args, data=data, **kwargs)

    def get_label_files(self) -> list[str]:
        """Read no labels."""
        self.label_files: list[str] = []
        return self.label_files

    def get_labels(self) -> list[dict[str, Any]]:
        """Return the images without boxes; the pairs are checked once, and again when a file changes.

        Raises:
            PairError: If a pair cannot be read, or its two images do not fit.
        """
        self.get_label_files()
        folder = Path(self.im_files[0]).absolute().parent
        cache, _ = self._load_or_scan_cache(folder.with_name(f"{folder.name}.pairs.cache"), self.get_cache_hash())
        labels: list[dict[str, Any]] = cache["labels"]
        return labels

    def cache_labels(self, path: Path = Path("./pairs.cache")) -> dict[str, Any]:
        """Check every pair, and keep the sizes of the images."""

        def look(file: str) -> tuple[str, tuple[int, int]]:
            problem = "" if self.data_is_plain else self.reader.check(file, self.partners[file])[0]
            return problem, (0, 0) if problem else part_shape(image_size(file)[::-1], self.reader.rig.layout)

        with ThreadPool(NUM_THREADS) as pool:
            found = list(pool.imap(look, self.im_files))
        if problems := [problem for problem, _ in found if problem]:
            raise PairError.of(problems, str(self.img_path))
        scanned = {"hash": self.get_cache_hash(), "labels": pack_sizes([shape for _, shape in found])}
        save_dataset_cache_file(self.prefix, path, scanned, DATASET_CACHE_VERSION)
        return scanned


def describe_unlabelled(data: str, file: Path) -> Path:
    """Write a description of unlabelled images that the host accepts, with class names and validation images.

    Args:
        data: Folder of plain images, or a data-set YAML of pairs, in which `val` and `names` may be missing.
        file: The YAML to write.

    Returns:
        The path of the YAML.

    Raises:
        FileNotFoundError: If there is no such folder or YAML.
        ValueError: If the YAML names no images to train with.
    """
    path = Path(data)
    if path.is_dir():
        content: dict[str, Any] = {"path": str(path.absolute()), "train": ".", "plain": True}
    elif path.is_file():
        content = read_yaml(path)
        root = Path(content.get("path") or path.parent)
        content["path"] = str(root if root.is_dir() else (path.parent / root).absolute())
    else:
        raise MissingFileError(f"no '{data}'; give a folder of images or the YAML of a paired data set")
    if not isinstance(content.get("train"), (str, list)):
        raise UserValueError(f"'{data}' has no 'train:'; give the folder of the visible images there")
    content = {"val": content["train"], "names": UNNAMED, **content}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file
