"""How long from `metafusion app` to a picture in the browser? The built-in scene, on a new process each round.

The browser is open already, and asks for the page until it comes; then it presses "Show a synthetic scene". Seconds
since the command, and of processor time of the app: until the `page` is drawn, the scene is seen as a `picture`, and
it is fused and has `boxes`.

    python benchmarks/first_picture.py --model yolov8n.pt --rounds 3
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psutil
from playwright.sync_api import Error, sync_playwright

LONGEST = 120  # seconds after which something is broken
STAGES = {
    "page": "() => document.querySelector('#scene') !== null",
    "picture": "() => document.querySelector('#result:not([hidden])') !== null",
    "boxes": "() => ['#rows tr', '[data-view=fused][aria-pressed=true]'].every(one => document.querySelector(one))",
}


@contextmanager
def app(model: str) -> Iterator[tuple[str, psutil.Process]]:
    """Start the app; yield its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["metafusion", "app", f"model={model}", f"port={port}", "open=False"]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}/", process
    process.kill()
    process.wait()


def look(page: Any, address: str, process: psutil.Process) -> dict[str, tuple[float, float]]:
    """Return the seconds until each stage, and those of the processor."""
    began, seconds = time.monotonic(), {}
    while time.monotonic() - began < LONGEST:
        try:
            page.goto(address, wait_until="domcontentloaded")
            break
        except Error:  # nobody listens yet
            time.sleep(0.05)
    for stage, shown in STAGES.items():
        page.wait_for_function(shown, timeout=1000 * LONGEST)
        seconds[stage] = time.monotonic() - began, sum(process.cpu_times()[:2])
        if stage == "page":
            page.click("#scene")
    return seconds


def show(stages: dict[str, tuple[float, ...]]) -> None:
    """Print a line."""
    print(", ".join(f"{stage} {wall:.1f} s ({cpu:.1f})" for stage, (wall, cpu) in stages.items()), flush=True)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.pt")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    file = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    rounds = []
    with sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=file, args=flags)
        for _ in range(args.rounds):
            with app(args.model) as (address, process):
                page = browser.new_page()
                rounds.append(look(page, address, process))
                page.close()
                show(rounds[-1])
        browser.close()
    show({stage: tuple(map(median, zip(*(one[stage] for one in rounds), strict=True))) for stage in STAGES})
    print(f"the median; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
