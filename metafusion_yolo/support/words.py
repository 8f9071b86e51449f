"""Words for messages: the closest known name, and the host's text without emoji and colours."""

import difflib
import re
from collections.abc import Iterable

from metafusion_yolo.support.errors import UserValueError


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word.

    Examples:
        >>> nearest("epoch", ["epochs", "batch"])
        "did you mean 'epochs'?"
        >>> nearest("zzz", ["b", "a"])
        'known: a, b'
    """
    known = sorted(known)
    match = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"


def spelling(name: str) -> str:
    """Return the name of a class in the form used to compare names.

    Examples:
        >>> spelling(" Freight_Car")
        'freight car'
    """
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def refuse_unknown(keys: Iterable[object], known: Iterable[str], where: str) -> None:
    """Reject the first key that is not known, with the closest known one; `where` is as in "under 'thermal:'"."""
    for key in keys:
        if key not in (known := [*known]):
            raise UserValueError(f"unknown key '{key}' {where}, {nearest(str(key), known)}")


def without_signs(text: str) -> str:
    r"""Strip emoji, other signs and colour codes from a text of the host; letters of all languages stay.

    Examples:
        >>> without_signs("\x1b[31mWARNING ⚠️ no labels\x1b[0m ✅")
        'WARNING no labels'
    """
    return re.sub("\x1b\\[[0-9;]*m| ?[\u2300-\u2bff\ufe0f\U0001f000-\U0001faff]", "", text).strip()


def without_passwords(text: str) -> str:
    """Hide passwords, tokens and keys in addresses and arguments.

    Examples:
        >>> without_passwords("no camera rtsp://me:word@10.0.0.2/ir?key=1&channel=2")
        'no camera rtsp://***@10.0.0.2/ir?key=***&channel=2'
    """
    text = re.sub(r"(?<=://)[^/\s'\"]*@", "***@", text)
    return re.sub(r"(?i)\b(\w*(?:pass\w*|pwd|token|secret|key|auth)=)[^&\s'\"]+", r"\1***", text)
