"""Conditions under which pairs were taken, such as day and night: by the visible image's brightness, or from a CSV."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from metafusion_yolo.data.listing import read_table
from metafusion_yolo.data.reading import read_visible
from metafusion_yolo.options import Val
from metafusion_yolo.support.errors import MissingFileError, UserValueError

NIGHT_BELOW = Val.night_below  # mean grey of a visible image, 0 to 255
DAY, NIGHT, UNLISTED = "day", "night", "not listed"


class Conditions:
    """Find the condition of each visible image.

    Args:
        named: Condition by image or folder, given as parts of its path: "7.jpg", "val/7.jpg" or "set06"; None to
            distinguish day and night by the brightness.
        night_below: Mean of R, G and B over the visible image, 0 to 255, below which it is night.
    """

    def __init__(self, named: Mapping[str, str] | None = None, night_below: float = NIGHT_BELOW) -> None:
        self.named = named
        self.night_below = night_below

    @classmethod
    def of_data(cls, data: Mapping[str, Any], night_below: float = NIGHT_BELOW) -> "Conditions":
        """Read the CSV of `image,condition` rows that `conditions:` of a data-set YAML names.

        Args:
            data: The data-set dictionary; the file is relative to its `path`.
            night_below: See above.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If `conditions:` is not a name, or a row does not have two columns.
        """
        name = data.get("conditions")
        if name is None:
            return cls(None, night_below)
        if not isinstance(name, str):
            raise UserValueError(f"'conditions:' must name a CSV file of image,condition rows, not {name!r}")
        file = Path(data.get("path", "")) / name
        if not file.is_file():
            raise MissingFileError(f"no file '{file}' for 'conditions:'; give a CSV of image,condition rows")
        rows = read_table(file, ("image", "condition"))
        for image, condition in rows:
            if not (image and condition):
                raise UserValueError(f"'{file}' has a row '{image},{condition}'; give image,condition in each")
        return cls({_parts(image): condition for image, condition in rows}, night_below)

    @property
    def rule(self) -> str:
        """How conditions are determined, in words."""
        if self.named is not None:
            return "conditions as the file of the data-set YAML has them"
        return f"night: mean grey of the visible image below {self.night_below:g} of 255"

    def of(self, file: str) -> str:
        """Return the condition of a visible image; its own name precedes its folder's, longer names precede shorter."""
        if self.named is None:
            return NIGHT if read_visible(file)[::4, ::4].mean() < self.night_below else DAY
        parts = PurePosixPath(Path(file).as_posix()).parts
        for end in range(len(parts), 0, -1):  # the image itself, then its folders from the innermost
            for start in range(end):
                if (found := self.named.get("/".join(parts[start:end]))) is not None:
                    return found
        return UNLISTED


def _parts(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
