"""The maker of a radiometric file, from its bytes; with the standard library only."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

START, EXIF, RAW = b"\xff\xd8", 0xE1, 0xE3  # of a JPEG; segments APP1 and APP3
LAST, END = (0xDA, 0xD9), b"\xff\xd9"  # segments after which there are pixels, or nothing; what a JPEG ends in
ANSWER, HEAD = b"JpegPictureWithAppendData", 4096  # what an answer of Hikvision's ISAPI names in its first bytes
HDRI, LARGEST = b"HDRI", 4096  # the counts of HIKMICRO behind the JPEG, after their width and height


APART = {"Seek": "seek-shot", "Hikvision": "hikvision"}  # cameras of files that hold both images


def preview_note(maker: str) -> str:
    """Return the warning for a radiometric file of which only the preview is read."""
    return f"preview of 8 bits is read from a radiometric file of {maker}"


def radiometric_maker(stream: BinaryIO, name: str = "") -> str:
    """Return the maker of the radiometric file in a stream, empty for any other file.

    Args:
        stream: "DJI", "FLIR" and "HIKMICRO" are found in a JPEG, "Hikvision" in a saved answer of its cameras.
        name: Of the file; the end `.hir` tells "Seek".
    """
    start = stream.read(2)
    if start in (b"--", b"HT"):  # of a multipart body, and of one with its HTTP headers
        return "Hikvision" if ANSWER in stream.read(HEAD) else ""
    if start != START:
        return ""
    if name.lower().endswith(".hir"):
        return "Seek"
    made = raw = False
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF and head[1] not in LAST:
        data = stream.read(max(int.from_bytes(head[2:], "big") - 2, 0))
        if head[1] == EXIF and data.startswith(b"FLIR\0"):
            return "FLIR"
        made |= head[1] == EXIF and data.startswith(b"Exif\0") and b"DJI" in data
        raw |= head[1] == RAW
    return "DJI" if made and raw else "HIKMICRO" if _holds_counts(stream) else ""


def _holds_counts(stream: BinaryIO) -> bool:
    """Return whether counts of HIKMICRO, of a size that a camera has, stand behind the pixels of a JPEG."""
    pixels = stream.tell()
    stream.seek(-len(END), os.SEEK_END)
    if stream.read() == END:  # nothing stands there
        return False
    stream.seek(pixels)
    rest = stream.read()
    at = rest.rfind(HDRI)
    if at < 0 or len(rest) < at + 20:
        return False
    return all(0 < side <= LARGEST for side in struct.unpack_from("<2I", rest, at + 12))
