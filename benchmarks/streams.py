"""Is every frame of two live cameras accounted for when one of them dies, twice?

Serves two cameras as Motion JPEG on this machine, tracks on them with `on_missing=single`, kills one camera twice and
restarts it, and prints what became of the frames of each. The account must add up:

    sent = received + in transit                                   (cut off by the kills, or by the end of the run)
    received = matched + single + unmatched + skipped + left

    python benchmarks/streams.py --seconds 30 --kill infrared
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from mjpeg import MjpegCamera
from results import RESULTS, save

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.synthetic import render_pair

COUNTS = ("received", "matched", "single", "unmatched", "skipped", "left")


def kill_twice(camera: MjpegCamera, seconds: float) -> None:
    """Kill a camera at a fifth and at three fifths of the time, for a fifth each."""
    for _ in range(2):
        time.sleep(seconds / 5)
        camera.kill()
        time.sleep(seconds / 5)
        camera.start()


def main() -> None:
    """Serve, track, kill, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="metafusion-yolov8n.yaml")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rates", type=float, nargs=2, default=(25, 9), help="of the visible and the infrared camera")
    parser.add_argument("--kill", choices=("visible", "infrared"), default="infrared")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--json", type=Path, default=RESULTS / "streams.json")
    args = parser.parse_args()

    pair = render_pair(1, args.imgsz)
    images = {"visible": pair.visible[..., ::-1], "infrared": np.repeat(pair.infrared[..., None], 3, 2)}
    cameras = {
        name: MjpegCamera(lambda i, image=image: np.roll(image, 2 * i, 1), rate)
        for (name, image), rate in zip(images.items(), args.rates, strict=True)
    }
    model = MetaFusionYOLO(args.model)
    model.predict(images["visible"], infrared=images["infrared"], imgsz=args.imgsz, verbose=False)  # warm
    results = model.track(
        cameras["visible"].url,
        infrared=cameras["infrared"].url,
        on_missing="single",
        stream=True,
        stream_buffer=True,
        imgsz=args.imgsz,
        verbose=False,
    )
    end = time.monotonic() + args.seconds
    killer = threading.Thread(target=kill_twice, args=(cameras[args.kill], args.seconds), daemon=True)
    killer.start()
    modalities: Counter[str] = Counter()
    order = []
    for result in results:
        modalities[result.modalities] += 1
        if order[-1:] != [result.modalities]:
            order.append(result.modalities)
        if time.monotonic() > end:
            results.close()
            break
    killer.join()
    for camera in cameras.values():
        camera.kill()

    report = model.sync_report
    columns = ("camera", "sent", "in transit", *COUNTS, "lost", "reconnects")
    print(" ".join(f"{column:>10}" for column in columns))
    rows: list[dict] = []
    used = report.visible.matched + report.visible.single + report.infrared.single
    adds_up = sum(modalities.values()) == used
    for name, camera in cameras.items():
        one = getattr(report, name)
        row = [name, camera.sent, camera.sent - one.received, *(getattr(one, key) for key in columns[3:])]
        adds_up &= one.received == sum(getattr(one, key) for key in COUNTS[1:]) and camera.sent >= one.received
        rows.append(dict(zip(columns, row, strict=True)))
        print(" ".join(f"{value:>10}" for value in row))
    print(f"results: {dict(modalities)}, in turn {', '.join(order)}")
    print(f"difference in a pair: {report.offset:+.1f} ms on average, {report.largest:.1f} ms at most")
    print("every frame is accounted for" if adds_up else "THE ACCOUNT DOES NOT ADD UP")
    cameras_found = {row["camera"]: {key: row[key] for key in columns[1:]} for row in rows}
    save(args.json, cameras_found, "one run", first="camera", results=modalities, order=order, adds_up=adds_up)
    raise SystemExit(0 if adds_up else 1)


if __name__ == "__main__":
    main()
