"""What damaged files do: no crash, no hang, nothing run, and only the documented errors, each in a line.

Writes mutated files (see `mutate.py`) and gives them to whatever reads that kind, in a process of its own, which is
watched: a case that kills it or takes more than --patience seconds is told, and the next one goes on. Inside, an audit
hook of Python sees every command, connection and file written elsewhere. Every case follows from its number.

    python benchmarks/stress/fuzz.py --minutes 10
    python benchmarks/stress/fuzz.py --cases 1 --first 1234      # again, with the traceback
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

MEMORY = 8 << 30  # bytes of address space of the process: a header may ask for any size
FAULTS = ("died", "hung", "undocumented", "silent", "ran")


class Guard:
    """Notes what a case has no right to do: run a command, connect, import by name, or write outside its folder."""

    REFUSED = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pty.spawn")

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = str(folder), []
        self.watching = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        """Take a note; the case goes on."""
        if not self.watching:
            return
        if event in self.REFUSED:
            self.seen.append(f"{event}{arguments[:1]}")
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            path = str(arguments[0])
            if not path.startswith((self.folder, "/dev/")) and not path.isdigit():
                self.seen.append(f"writes {path}")


def work(first: int, count: int, folder: Path, loud: bool) -> None:
    """Run cases in this process, a line of JSON each."""
    import resource

    import numpy as np
    from fuzz_targets import targets

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is read may write to stdout
    kinds = targets(folder)
    guard = Guard(folder)
    print(json.dumps({"ready": [kind.name for kind in kinds]}), file=told, flush=True)
    for number in range(first, first + count):
        kind = kinds[number % len(kinds)]
        file = folder / f"case{kind.suffix}"
        file.write_bytes(kind.damage(np.random.default_rng(number)))
        outcome, detail = "read", ""
        guard.seen.clear()
        guard.watching = True
        try:
            kind.read(file)
        except kind.documented as error:
            outcome, text = "refused", str(error)
            if not text.strip() or "\n" in text.strip() or (kind.names_file and file.name not in text):
                outcome, detail = "silent", f"{type(error).__name__}: {text}"
        except Exception as error:
            outcome, detail = "undocumented", f"{type(error).__name__}: {error}"
            if loud:
                traceback.print_exc()
        guard.watching = False
        if guard.seen or (folder / "canary").exists():
            outcome, detail = "ran", "; ".join(guard.seen)
            (folder / "canary").unlink(missing_ok=True)
        line = {"case": number, "kind": kind.name, "outcome": outcome, "detail": " ".join(detail.split())[:300]}
        print(json.dumps(line), file=told, flush=True)


def run(first: int, count: int, seconds: float, patience: float, loud: bool = False) -> list[dict]:
    """Run cases in processes that are watched.

    Args:
        first: Number of the first case.
        count: How many at most.
        seconds: For how long at most.
        patience: Seconds that a case may take.
        loud: Whether to let the processes write to stderr.

    Returns:
        A row a case: `case`, `kind`, `outcome` ("read", "refused", or one of `FAULTS`) and `detail`.
    """
    rows: list[dict] = []
    end, number = time.monotonic() + seconds, first
    while number < first + count and time.monotonic() < end:
        folder = Path(tempfile.mkdtemp())
        words = [sys.executable, __file__, "--work", str(folder), "--first", str(number)]
        command = [*words, "--cases", str(first + count - number), *["--loud"] * loud]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=None if loud else subprocess.DEVNULL)
        names: list[str] = []
        while number < first + count and time.monotonic() < end:
            hung = not select.select([process.stdout], [], [], patience if names else 300)[0]
            line = b"" if hung else process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                process.kill()
                if not names:
                    raise RuntimeError(f"the process of the cases did not start: {' '.join(command)}")
                code = process.wait()
                kind, fate = names[number % len(names)], "hung" if hung else "died"
                rows.append({"case": number, "kind": kind, "outcome": fate, "detail": f"exit code {code}"})
                number += 1
                break
            row = json.loads(line)
            names = row.get("ready", names)
            if "case" in row:
                rows.append(row)
                number += 1
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def main() -> int:
    """Run, print a table and the faults, write JSON; 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--cases", type=int, default=sys.maxsize >> 1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--patience", type=float, default=20, help="seconds that a case may take")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/fuzz.json"))
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--loud", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.first, args.cases, args.work, args.loud)
        return 0
    rows = run(args.first, args.cases, args.minutes * 60, args.patience, loud=args.cases < 10)
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["kind"], Counter())[row["outcome"]] += 1
    columns = ("read", "refused", *FAULTS)
    print(f"{'':<12}" + "".join(f"{column:>13}" for column in columns))
    for kind in sorted(counts):
        print(f"{kind:<12}" + "".join(f"{counts[kind][column]:>13}" for column in columns))
    faults = [row for row in rows if row["outcome"] in FAULTS]
    for row in faults[:50]:
        print(f"case {row['case']} ({row['kind']}): {row['outcome']} {row['detail']}")
    print(f"{len(rows)} cases, {len(faults)} faults")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"cases": len(rows), "counts": counts, "faults": faults}, indent=2))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
