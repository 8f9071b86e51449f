"""Events in a SQLite file, until every receiver has confirmed them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Condition
from typing import Any, NamedTuple

from metafusion_yolo.support.errors import UserValueError

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, body TEXT);
CREATE TABLE IF NOT EXISTS readers (name TEXT PRIMARY KEY, last INTEGER);
CREATE TABLE IF NOT EXISTS states (pair TEXT PRIMARY KEY, body TEXT);
"""


class Letter(NamedTuple):
    """An event to deliver: its number, its id, and its content, one line of JSON."""

    number: int
    id: str
    body: str


class Outbox:
    """Keep events in order, and for each reader the last one that it confirmed.

    Events are on disk when :meth:`take` returns. An event is delivered until its reader confirms it, so a reader may
    see it twice, with the same id, if the process ends in between.

    Args:
        file: The SQLite file; it is made if there is none.
        readers: Names of the receivers. A new one starts with the next event.
        keep: Number of events kept after all have confirmed them.

    Raises:
        UserValueError: If another process uses the file, or it is none of ours.
    """

    def __init__(self, file: str | Path, readers: Sequence[str], keep: int) -> None:
        self._keep = keep
        self.changed = Condition()
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, timeout=1, check_same_thread=False)
        try:
            self._database.executescript(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA
            )
            with self._database:
                for name in readers:
                    self._database.execute(
                        "INSERT OR IGNORE INTO readers SELECT ?, COALESCE(MAX(number), 0) FROM events", [name]
                    )
                marks = ",".join("?" * len(readers))  # who is no longer told keeps no event
                self._database.execute(f"DELETE FROM readers WHERE name NOT IN ({marks})", [*readers])
        except sqlite3.OperationalError as error:
            raise UserValueError(f"the outbox '{file}' is in use by another process, or cannot be written") from error
        except sqlite3.DatabaseError as error:
            raise UserValueError(f"the outbox '{file}' is damaged, or not a SQLite file; move it away") from error

    def take(self, events: Sequence[dict[str, Any]], pair: str, state: Any) -> None:
        """Store events of a pair, together with its state."""
        with self.changed, self._database:
            for event in events:
                body = json.dumps(event, ensure_ascii=False, allow_nan=False)
                self._database.execute("INSERT INTO events (id, body) VALUES (?, ?)", [event["id"], body])
            self._database.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", [pair, json.dumps(state)])
            if events:
                self._database.execute(
                    "DELETE FROM events WHERE number <= (SELECT MAX(number) FROM events) - ? "
                    "AND number <= COALESCE((SELECT MIN(last) FROM readers), number)",
                    [self._keep],
                )
                self.changed.notify_all()

    def state(self, pair: str) -> Any:
        """Return the last state of a pair; None if there is none."""
        with self.changed:
            row = self._database.execute("SELECT body FROM states WHERE pair = ?", [pair]).fetchone()
        return json.loads(row[0]) if row else None

    def next(self, reader: str) -> Letter | None:
        """Return the first event that a reader has not confirmed; the caller holds `changed`."""
        row = self._database.execute(
            "SELECT number, id, body FROM events WHERE number > (SELECT last FROM readers WHERE name = ?) "
            "ORDER BY number LIMIT 1",
            [reader],
        ).fetchone()
        return Letter(*row) if row else None

    def confirm(self, reader: str, number: int) -> None:
        """Record that a reader has an event."""
        with self.changed, self._database:
            self._database.execute("UPDATE readers SET last = ? WHERE name = ?", [number, reader])

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return the last events, newest first."""
        with self.changed:
            rows = self._database.execute("SELECT body FROM events ORDER BY number DESC LIMIT ?", [limit]).fetchall()
        return [json.loads(body) for (body,) in rows]

    def waiting(self) -> dict[str, int]:
        """Return how many events each reader has not confirmed."""
        with self.changed:
            rows = self._database.execute(
                "SELECT name, (SELECT COUNT(*) FROM events WHERE number > last) FROM readers"
            ).fetchall()
        return dict(rows)

    def close(self) -> None:
        """Close the file."""
        with self.changed:
            self._database.close()
