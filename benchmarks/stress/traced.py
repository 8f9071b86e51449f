"""`metafusion serve`, which also notes each result of a watched pair, a JSON line in the file of its first argument.

A line has the time `at` (seconds since 1970) and the `pair`; which cameras were `there`; what the detector `found`:
class, confidence, x1, y1, x2, y2; and what the tracker made of that, `tracks`: number, class, x1, y1, x2, y2.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from ultralytics.trackers.byte_tracker import BYTETracker

from metafusion_yolo.cli import main
from metafusion_yolo.serve.watch.stream import Stream

NOTES = Path(sys.argv.pop(1)).open("a", buffering=1)  # noqa: SIM115 - as long as the process
LAST = local()
update, take = BYTETracker.update, Stream._take


def rows(numbers: Any, boxes: Any) -> list[list[float]]:
    """Return rows of numbers before their boxes."""
    return [[*head, *(round(float(x)) for x in box)] for head, box in zip(numbers, boxes, strict=True)]


def noted_update(tracker: BYTETracker, results: Any, *args: Any, **kwargs: Any) -> Any:
    """Keep what the detector has found."""
    LAST.found = rows(
        [(int(c), round(float(p), 2)) for c, p in zip(results.cls, results.conf, strict=True)], results.xyxy
    )
    return update(tracker, results, *args, **kwargs)


def noted_take(stream: Stream, result: Any) -> None:
    """Write a line, once the rules have seen the result."""
    take(stream, result)
    boxes = result.found.cpu().numpy()
    numbers = [] if boxes.id is None else np.stack([boxes.id, boxes.cls], 1).astype(int).tolist()
    note = {"at": time.time(), "pair": stream.watched.name, "there": result.modalities}
    note |= {"found": vars(LAST).pop("found", []), "tracks": rows(numbers, boxes.xyxy if numbers else [])}
    NOTES.write(json.dumps(note) + "\n")


BYTETracker.update, Stream._take = noted_update, noted_take
raise SystemExit(main())
