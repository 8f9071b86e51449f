"""The maker of a radiometric JPEG, from its segments; with the standard library only."""

from __future__ import annotations

from typing import BinaryIO

START, EXIF, RAW = b"\xff\xd8", 0xE1, 0xE3  # of a file; segments APP1 and APP3
LAST = 0xDA, 0xD9  # segments after which there are pixels, or nothing


def preview_note(maker: str) -> str:
    """Return the warning for a radiometric JPEG of which only the preview is read."""
    return f"preview of 8 bits is read from a radiometric file of {maker}"


def radiometric_maker(stream: BinaryIO) -> str:
    """Return the maker of the radiometric JPEG in a stream, "FLIR" or "DJI"; empty for any other file."""
    if stream.read(2) != START:
        return ""
    made = raw = False
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF and head[1] not in LAST:
        data = stream.read(max(int.from_bytes(head[2:], "big") - 2, 0))
        if head[1] == EXIF and data.startswith(b"FLIR\0"):
            return "FLIR"
        made |= head[1] == EXIF and data.startswith(b"Exif\0") and b"DJI" in data
        raw |= head[1] == RAW
    return "DJI" if made and raw else ""
