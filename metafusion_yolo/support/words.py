"""Words for messages: the closest known name, and the host's text without emoji and colours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word.

    Example:
        >>> nearest("epoch", ["epochs", "batch"])
        "did you mean 'epochs'?"
        >>> nearest("zzz", ["b", "a"])
        'known: a, b'
    """
    known = sorted(known)
    match = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"


def without_signs(text: str) -> str:
    """Strip emoji and colour codes from a text of the host; letters of all languages stay."""
    return re.sub(r" ?(\x1b\[[0-9;]*m|[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])", "", text).strip()
