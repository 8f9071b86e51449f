"""What does the server cost? Answers a second and latency of `POST /detect`, against a bare loop of predictions.

The server is a process of its own, its clients are threads with a connection each. The loop is of the same engine, with
batches as large, in a process of its own, once a round; both decode the same files. With `--minutes` the memory of the
server is watched instead, while four clients ask: its slope after the first fifth.

    python benchmarks/serve.py --model yolov8n.pt --imgsz 320 --seconds 30
    python benchmarks/serve.py --model yolov8n.pt --imgsz 64 --minutes 20 --json docs/results/serve-memory.json
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

import cv2
import numpy as np
import psutil
from results import RESULTS, save

from metafusion_yolo.options.serve import Serve
from metafusion_yolo.prepare.synthetic import render_pair
from metafusion_yolo.serve.engines import load_engine
from metafusion_yolo.serve.uploads import read_pair

CLIENTS = (1, 4, 16)
EDGE = "edge"


def files(count: int) -> list[tuple[bytes, bytes]]:
    """Return synthetic pairs as JPEG and PNG, of 640 x 512 pixels."""
    made = [render_pair(seed) for seed in range(count)]
    return [
        (
            cv2.imencode(".jpg", cv2.cvtColor(one.visible, cv2.COLOR_RGB2BGR))[1].tobytes(),
            cv2.imencode(".png", one.infrared)[1].tobytes(),
        )
        for one in made
    ]


def body_of(pair: tuple[bytes, bytes]) -> bytes:
    """Return a pair as a form."""
    parts = (
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode() + content
        for name, content in zip(("visible", "infrared"), pair, strict=True)
    )
    return b"".join(part + b"\r\n" for part in parts) + f"--{EDGE}--\r\n".encode()


def bare(options: Serve, pairs: list[tuple[bytes, bytes]], seconds: float) -> float:
    """Return pairs a second of the engine alone, in batches of the server's size."""
    engine = load_engine(options)
    together, done = engine.together, 0

    def run() -> None:
        nonlocal done
        engine([read_pair(*pairs[(done + i) % len(pairs)], most=5e7) for i in range(together)])
        done += together

    end = time.perf_counter() + seconds / 3
    while time.perf_counter() < end:  # until all that is loaded late is there
        run()
    done, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        run()
    return done / (time.perf_counter() - start)


def ask(port: int, bodies: list[bytes], clients: int, seconds: float) -> tuple[float, list[float]]:
    """Return answers a second, and the latency of each, milliseconds."""
    end = time.perf_counter() + seconds

    def client(number: int) -> list[float]:
        connection, found, i = HTTPConnection("127.0.0.1", port, timeout=60), [], number
        while (start := time.perf_counter()) < end:
            connection.request(
                "POST", "/detect", bodies[i % len(bodies)], {"content-type": f"multipart/form-data; boundary={EDGE}"}
            )
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise SystemExit(f"the server answers {response.status}")
            found.append(1e3 * (time.perf_counter() - start))
            i += clients
        return found

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        latencies = [one for some in pool.map(client, range(clients)) for one in some]
    return len(latencies) / (time.perf_counter() - start), latencies


def wait(port: int) -> None:
    """Wait until the model is loaded."""
    for _ in range(600):
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server does not start")


def memory(server: subprocess.Popen[bytes], port: int, bodies: list[bytes], minutes: float) -> dict[str, object]:
    """Return how the memory of the server changes while it answers four clients."""
    process, samples = psutil.Process(server.pid), []
    end = time.perf_counter() + 60 * minutes
    while time.perf_counter() < end:
        ask(port, bodies, 4, min(10, 6 * minutes))
        samples.append((time.perf_counter() / 60, process.memory_info().rss / 2**20))
    times, sizes = np.array(samples[len(samples) // 5 :]).T
    slope = np.polyfit(times - times[0], sizes, 1)[0]
    return {"MiB": round(float(sizes.mean())), "MiB a minute": round(float(slope), 2), "minutes": minutes}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.pt")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0, help="for which the memory is watched; 0: not at all")
    parser.add_argument("--port", type=int, default=8974)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=RESULTS / "serve.json")
    args = parser.parse_args()
    options, pairs = Serve(args.model, imgsz=args.imgsz, device="cpu"), files(16)
    if args.bare:
        print(bare(options, pairs, args.seconds))
        return
    bodies = [body_of(pair) for pair in pairs]
    command = [sys.executable, "-m", "metafusion_yolo", "serve", f"model={args.model}", f"imgsz={args.imgsz}"]
    server = subprocess.Popen([*command, "device=cpu", f"port={args.port}"], stdout=subprocess.DEVNULL)
    alone = [sys.executable, __file__, "--bare", "--model", args.model, "--imgsz", str(args.imgsz)]
    try:
        wait(args.port)
        ask(args.port, bodies, 4, args.seconds / 3)
        if args.minutes:
            grown = memory(server, args.port, bodies, args.minutes)
            save(args.json, {"4 clients": grown}, "one run", first="`POST /detect`", digits=2)
            print(grown)
            return
        loops: list[float] = []
        found: dict[int, list[tuple[float, list[float]]]] = {clients: [] for clients in CLIENTS}
        for _ in range(args.rounds):
            done = subprocess.run(
                [*alone, "--seconds", str(args.seconds)], capture_output=True, text=True, check=True
            ).stdout
            loops.append(float(done.split()[-1]))
            for clients, some in found.items():
                some.append(ask(args.port, bodies, clients, args.seconds))
    finally:
        server.terminate()
        server.wait()
    rows: dict[str, dict[str, object]] = {"bare loop": {"pairs a second": round(float(np.median(loops)), 2)}}
    for clients, some in found.items():
        shares = [rate / loop for (rate, _), loop in zip(some, loops, strict=True)]
        cuts = quantiles([one for _, latencies in some for one in latencies], n=100)
        rows[f"{clients} client{'s' * (clients > 1)}"] = {
            "pairs a second": round(float(np.median([rate for rate, _ in some])), 2),
            "of the bare loop": {"value": float(np.median(shares)), "interval": [min(shares), max(shares)]},
            "p50, ms": round(cuts[49]),
            "p99, ms": round(cuts[98]),
        }
    save(args.json, rows, "least to greatest of the rounds", first="`POST /detect`", digits=2)
    for name, row in rows.items():
        print(name, row)


if __name__ == "__main__":
    main()
