"""The finished pairs of a run, from which `resume=True` of `predict` and `fuse` continues an interrupted one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from metafusion_yolo.engine.predict.writers import Names
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import replacing


class Journal:
    """A file in the folder of an unfinished run: its settings, then the pairs whose outputs are all on disk.

    It is removed when the run is finished, or if no pair was.

    Args:
        folder: Folder of the run; it is created if missing.
        settings: Settings that the outputs depend on; a run can only be resumed with the same ones.
        resume: Whether to continue the run in the folder, if there is one.

    Attributes:
        done: Paths of the visible images of the finished pairs, in order.

    Raises:
        ValueError: If the folder holds a finished run, or one with other settings.
    """

    NAME = "unfinished.txt"

    def __init__(self, folder: Path, settings: dict[str, Any], resume: bool = False) -> None:
        self.file = folder / self.NAME
        self.done: list[str] = []
        settings = json.loads(json.dumps(settings, default=str))
        if resume and self.file.exists():
            self._read(settings)
        elif resume and folder.is_dir() and any(folder.iterdir()):
            raise UserValueError(f"the run in '{folder}' is finished, nothing to resume; give another name=")
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.file) as part:
            part.write_text("".join(json.dumps(line) + "\n" for line in (settings, *self.done)), encoding="utf-8")
        self._stream = self.file.open("a", encoding="utf-8")

    def _read(self, settings: dict[str, Any]) -> None:
        """Read the settings and the finished pairs; an incomplete last line belongs to an unfinished pair."""
        lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        before, *self.done = (json.loads(line) for line in lines if line.endswith("\n"))
        for key, value in before.items():
            if settings.get(key) != value:
                raise UserValueError(
                    f"the run in '{self.file.parent}' was started with {key}={value}, not {settings.get(key)}; resume "
                    "it with the same arguments, or give another name="
                )
        LOGGER.info(f"resuming {self.file.parent}: {len(self.done)} are done already")

    @property
    def names(self) -> Names:
        """Names for the remaining pairs, as if the run had not been interrupted."""
        names = Names()
        for path in self.done:
            names.of_image(path)
        return names

    def add(self, path: str) -> None:
        """Record that all outputs of a pair are on disk."""
        self.done.append(path)
        self._stream.write(json.dumps(path) + "\n")
        self._stream.flush()

    def close(self, finished: bool) -> None:
        """Remove the file of a finished run; log how to continue an unfinished one."""
        self._stream.close()
        if finished or not self.done:
            self.file.unlink(missing_ok=True)
        else:
            folder = self.file.parent
            how = f"resume=True project={folder.parent} name={folder.name}"
            LOGGER.warning(f"{len(self.done)} done so far; to continue, give the same arguments and {how}")
