"""How fast a long run goes, and when it will be done."""

from __future__ import annotations

import time
from datetime import timedelta


def pace(done: int, total: int, start: float) -> str:
    """Return the rate and the time left, as in " (31.2/s, 0:01:20 left)"; empty while there is little to go by.

    Args:
        done: Pairs that are done.
        total: Pairs there are.
        start: When it began, by `time.monotonic`, seconds.
    """
    seconds = time.monotonic() - start
    if not done or seconds <= 1:  # that is the time of the first batch alone
        return ""
    left = timedelta(seconds=round(seconds / done * max(total - done, 0)))
    return f" ({done / seconds:.1f}/s, {left} left)"
