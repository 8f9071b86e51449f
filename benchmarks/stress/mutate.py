"""Damage to files: what disks, networks and attackers do to them. Everything follows from a random generator."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Sequence

import numpy as np

MAGIC = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\x7f",
    b"\n",
    b"\x00\x01",
)
WORDS = (
    "nan",
    "inf",
    "-1",
    "1e999",
    "99999999999999999999",
    "null",
    "",
    "[" * 400,
    "{{",
    "&a [*a]",
    "!!python/name:os.system",
)
PAYLOADS = (  # (module, name, argument): what a hostile pickle calls
    ("posix", "system", "touch {canary}"),
    ("os", "system", "touch {canary}"),
    ("subprocess", "check_output", "touch {canary}"),
    ("builtins", "exec", "open({canary!r}, 'w')"),
    ("builtins", "eval", "open({canary!r}, 'w')"),
    ("builtins", "open", "{canary}"),
    ("torch.hub", "load_state_dict_from_url", "http://127.0.0.1:9/{canary}"),
    ("torch", "load", "{canary}"),
    ("ultralytics.utils.downloads", "safe_download", "http://127.0.0.1:9/x"),
    ("ultralytics.utils.checks", "check_requirements", "not-a-package"),
)


def mutate(rng: np.random.Generator, seeds: Sequence[bytes]) -> bytes:
    """Return one of the files with one to three injuries: flips, holes, doublets, cuts, ends of other files."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(rng.integers(1, 4)):
        size = max(len(data), 1)
        # Heads decide what a decoder does: half of the injuries are there.
        at = int(rng.integers(min(size, 64) if rng.random() < 0.5 else size))
        length = int(rng.integers(1, max(size // 4, 2)))
        kind = rng.integers(8)
        if kind == 0 and data:
            data[at] ^= 1 << rng.integers(8)
        elif kind == 1 and data:
            data[at] = rng.integers(256)
        elif kind == 2:
            word = MAGIC[rng.integers(len(MAGIC))]
            data[at : at + len(word)] = word
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            del data[at:]
        elif kind == 6:
            data[at:at] = rng.bytes(int(rng.integers(1, 20)))
        else:
            other = seeds[rng.integers(len(seeds))]
            data[at:] = other[int(rng.integers(max(len(other), 1))) :]
    return bytes(data)


def mutate_text(rng: np.random.Generator, seeds: Sequence[bytes]) -> bytes:
    """Return one of the texts damaged as any file, or with words exchanged for others and for surprising ones."""
    if rng.random() < 0.4:
        return mutate(rng, seeds)
    words = seeds[rng.integers(len(seeds))].decode().replace("\n", " \n ").split(" ")
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(len(words))
        known = words[rng.integers(len(words))]
        words[at] = known if rng.random() < 0.4 else WORDS[rng.integers(len(WORDS))]
    return " ".join(words).replace(" \n ", "\n").encode()


def mutate_checkpoint(rng: np.random.Generator, seeds: Sequence[bytes], canary: str) -> bytes:
    """Return a checkpoint with a damaged archive, a damaged pickle, or a pickle that calls something."""
    kind = rng.integers(4)
    if kind == 0:
        return mutate(rng, seeds)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds[rng.integers(len(seeds))])) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                content = mutate(rng, [content]) if kind == 1 else inject(rng, content, canary)
            target.writestr(name, content)
    return out.getvalue()


def inject(rng: np.random.Generator, content: bytes, canary: str) -> bytes:
    """Put the call of a function somewhere into a pickle, and leave the rest as it is."""
    module, name, argument = PAYLOADS[rng.integers(len(PAYLOADS))]
    places = [at for _, _, at in pickletools.genops(content)][1:]  # behind the protocol
    at = places[rng.integers(len(places))] if rng.random() < 0.5 else places[0]
    text = argument.format(canary=canary).encode()
    call = f"c{module}\n{name}\n".encode() + b"(X" + len(text).to_bytes(4, "little") + text + b"tR0"
    return content[:at] + call + content[at:]
