"""Files that hold both images, taken apart into images that every tool reads."""

from __future__ import annotations

import glob
from collections import Counter
from pathlib import Path

import cv2
from ultralytics.utils import LOGGER

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.radiometric import READERS, VISIBLE, maker_of
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.files import write_image

QUALITY = 95  # of the JPEG files


def unpack(files: str, maker: str, dst: Path) -> tuple[str, str]:
    """Write the images of a maker's files to `dst/images` (JPEG) and `dst/infrared` (TIFF, degrees celsius as float32).

    Args:
        files: Their folder, or a glob.
        maker: See :data:`~metafusion_yolo.data.radiometric.VISIBLE`.
        dst: Where to.

    Returns:
        The two folders.

    Raises:
        FileNotFoundError: If there are none.
        PairError: If one cannot be read.
        ValueError: If two have one name.
    """
    pattern = str(Path(glob.escape(files), "*")) if Path(files).is_dir() else files
    found = [path for path in map(Path, sorted(glob.glob(pattern))) if maker_of(path) == maker]  # noqa: PTH207
    if not found:
        raise MissingFileError(f"no files of {maker} in '{files}'; give the folder of those that the camera wrote")
    (stem, count), *_ = Counter(path.stem for path in found).most_common(1)
    if count > 1:
        raise UserValueError(f"'{stem}' is the name of {count} files of '{files}' but for their ends; rename them")
    folders = dst / "images", dst / "infrared"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for path in found:
        try:
            pair = VISIBLE[maker](path.read_bytes()), READERS[maker](str(path), Thermal())
        except PairError as error:
            raise PairError(f"'{path}' cannot be read ({error}); restore or remove it") from error
        write_image(folders[0] / f"{path.stem}.jpg", pair[0], cv2.IMWRITE_JPEG_QUALITY, QUALITY)
        write_image(folders[1] / f"{path.stem}.tiff", pair[1])
    LOGGER.info(f"{len(found)} files of {maker} taken apart into '{folders[0]}' and '{folders[1]}'")
    return str(folders[0]), str(folders[1])
