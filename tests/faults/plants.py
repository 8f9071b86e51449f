"""What spoils the folder of a fault: each function returns one that does it to a folder."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from tests.faults.catalogue import ROOT, Plant


def all_of(*plants: Plant) -> Plant:
    """Do several things."""

    def spoil(root: Path) -> None:
        for plant in plants:
            plant(root)

    return spoil


# Files ---------------------------------------------------------------------------------------------------------------
def removed(name: str) -> Plant:
    """Remove a file or folder."""

    def spoil(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def written(name: str, content: str | bytes = b"") -> Plant:
    """Write a file, in folders that are made."""

    def spoil(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def cut(name: str) -> Plant:
    """Cut a file in half."""
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[: (root / name).stat().st_size // 2])


def folder(name: str) -> Plant:
    """Put a folder in the place of a file."""

    def spoil(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).mkdir()

    return spoil


def link(name: str, target: str) -> Plant:
    """Put a link in the place of a file."""

    def spoil(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)

    return spoil


def archive(root: Path) -> None:
    """Write a ZIP archive, which is what a checkpoint is too, of something else."""
    with zipfile.ZipFile(root / "other.pt", "w") as file:
        file.writestr("readme.txt", "no checkpoint")


def renamed(stem: bytes) -> Plant:
    """Give the files of a training pair a stem that need not be UTF-8."""

    def spoil(root: Path) -> None:
        for part, suffix in (("images", b".png"), ("infrared", b".png"), ("labels", b".txt")):
            home = os.fsencode(root / part / "train")
            Path(os.fsdecode(home + b"/1" + suffix)).rename(os.fsdecode(home + b"/" + stem + suffix))

    return spoil


# Images --------------------------------------------------------------------------------------------------------------
def picture(name: str, *shape: int) -> Plant:
    """Write a black image of a shape (height, width[, 3])."""

    def spoil(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(root / name), np.zeros(shape, np.uint8))

    return spoil


def bomb(name: str) -> Plant:
    """Write a PNG of a hundred bytes whose head promises 60,000 x 60,000 pixels, 10 GB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return written(name, b"\x89PNG\r\n\x1a\n" + head + body)


def array(values: Any) -> Plant:
    """Put a `.npy` file in the place of an infrared image."""

    def spoil(root: Path) -> None:
        (root / "infrared/train/1.png").unlink()
        np.save(root / "infrared/train/1.npy", values)

    return spoil


# Descriptions --------------------------------------------------------------------------------------------------------
def described(**content: Any) -> Plant:
    """Change keys of the data-set YAML; None takes one out."""

    def spoil(root: Path) -> None:
        file = root / "data.yaml"
        keys = {**yaml.safe_load(file.read_text()), **content}
        file.write_text(yaml.safe_dump({key: value for key, value in keys.items() if value is not None}))

    return spoil


def modelled(fusion: Any = None, **content: Any) -> Plant:
    """Write `mine.yaml`: the shipped model YAML with another `fusion:` section, or other keys."""

    def spoil(root: Path) -> None:
        keys = yaml.safe_load((ROOT / "cfg" / "models" / "metafusion-yolov8.yaml").read_text()) | {"scale": "n"}
        keys |= {"fusion": fusion} if fusion is not None else {}
        (root / "mine.yaml").write_text(yaml.safe_dump(keys | content))

    return spoil


def labelled(text: str | bytes, name: str = "train/1") -> Plant:
    """Write a label file."""
    return written(f"labels/{name}.txt", text)
