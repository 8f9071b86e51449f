"""The runs of a comparison. Each has its own process and leaves one JSON file, so that a comparison can be resumed."""

import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np

from metafusion_yolo.compare.budget import Setting, cores
from metafusion_yolo.evaluation.precision import Image, average_precision
from metafusion_yolo.support.cluster import each
from metafusion_yolo.support.errors import UserError, UserValueError
from metafusion_yolo.support.files import replacing

Work = Callable[[Setting, "Run"], dict[str, Any]]  # returns what was found by view and image, ready for JSON


@dataclass(frozen=True)
class Run:
    """One training of a row."""

    row: str
    fold: int
    seed: int
    out: str

    @property
    def file(self) -> Path:
        """The file of its result."""
        return Path(self.out) / f"{self.row}-fold{self.fold}-seed{self.seed}.json"

    @property
    def folder(self) -> Path:
        """The folder of its training."""
        return Path(self.out) / "runs" / self.file.stem

    @property
    def log(self) -> Path:
        """The file of its output."""
        return self.file.with_suffix(".log")


def remember(setting: Setting, out: Path) -> None:
    """Write the setting beside the results.

    Raises:
        ValueError: If the folder holds results of another setting.
    """
    out.mkdir(parents=True, exist_ok=True)
    file, now = out / "setting.json", json.loads(json.dumps(asdict(setting)))
    if file.exists() and (before := json.loads(file.read_text(encoding="utf-8"))) != now:
        changed = ", ".join(f"{k} {before.get(k)} -> {v}" for k, v in now.items() if before.get(k) != v)
        raise UserValueError(f"'{out}' holds results of another setting ({changed}); name another folder, or remove it")
    with replacing(file) as part:
        part.write_text(json.dumps(now), encoding="utf-8")


def do_missing(
    setting: Setting,
    batches: Sequence[Sequence[Run]],
    jobs: int | None,
    work: Work,
    say: Callable[[str], None],
    engine: str = "local",
) -> list[Run]:
    """Do every run that has no result yet, and report after each how long the rest will take.

    Args:
        setting: The setting that all runs share.
        batches: Runs; a batch starts when the batches before it are done.
        jobs: Runs at a time; None for what a cluster takes.
        work: Does a run.
        say: Receives the messages.
        engine: "local" or "ray".

    Returns:
        The runs that failed.

    Raises:
        UserError: If the first run that ends fails with it: what is wrong for one run is wrong for all.
    """
    todo = [[run for run in batch if not run.file.exists()] for batch in batches]
    total = sum(map(len, todo))
    seconds: list[float] = []
    kept = sum(map(len, batches)) - total
    if kept:
        say(f"{kept} finished runs are kept, {total} to go")
    failed = []
    do_all = _on_cluster if engine == "ray" else _in_processes
    for batch in todo:
        for run, result in do_all(setting, batch, jobs, work):
            if isinstance(result, UserError) and not seconds:
                raise result
            if isinstance(result, BaseException):
                failed.append(run)
                took, outcome = 0.0, f"failed: {result}, see {run.log}"
            else:
                score, took = result
                outcome = f"mAP50 {score:.1f}"
            seconds.append(took)
            left = sum(seconds) / len(seconds) * (total - len(seconds)) / (jobs or 1) / 60
            say(f"[{len(seconds)}/{total}] {run.file.stem}: {outcome}; about {left:.0f} min left")
    return failed


Ended = tuple[Run, tuple[float, float] | BaseException]  # a run with its score and seconds, or why it failed


def _in_processes(setting: Setting, batch: Sequence[Run], jobs: int | None, work: Work) -> Iterator[Ended]:
    """Do runs in processes of this machine, and yield them as they end."""
    with ProcessPoolExecutor(jobs, fresh_processes(), initializer=end_with_parent) as pool:
        futures = {pool.submit(do_logged, setting, run, jobs or cores(), work): run for run in batch}
        try:
            for future in as_completed(futures):
                yield futures[future], future.exception() or future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_cluster(setting: Setting, batch: Sequence[Run], jobs: int | None, work: Work) -> Iterator[Ended]:
    """Do runs as tasks of a cluster, and yield them as they end."""
    make = partial(_Runner, setting, work)
    for number, result in each(make, batch, "ray", jobs, setting.device != "cpu"):
        yield batch[number], result


class _Runner:
    """Does runs one by one, each with one core; a run that fails does not end the others."""

    def __init__(self, setting: Setting, work: Work, device: str | int | None) -> None:
        self._setting, self._work = setting, work

    def __call__(self, run: Run) -> tuple[float, float] | UserError | RuntimeError:
        try:
            return do_logged(self._setting, run, cores(), self._work)
        except UserError as error:
            return error
        except Exception as error:  # likewise; sent back as text, for not every exception can be pickled
            return RuntimeError(str(error))


def do_logged(setting: Setting, run: Run, jobs: int, work: Work) -> tuple[float, float]:
    """Do a run with its output in a log file; return its mAP50 in percent and its duration in seconds."""
    log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import cv2
    import torch

    threads = max(1, cores() // jobs)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    begin = time.monotonic()
    try:
        views = work(setting, run)
    except Exception:  # whatever a training may raise: memory, data, a bug; logged here, handled by the caller
        traceback.print_exc()
        raise
    seconds = round(time.monotonic() - begin, 1)
    content = {"seconds": seconds, "views": views}
    with replacing(run.file) as part:
        part.write_text(json.dumps(content), encoding="utf-8")
    images = [as_arrays(image) for image in next(iter(views.values())).values()]
    classes = setting.classes or sorted({c for image in images for c in image["target_cls"].astype(int).tolist()})
    return (average_precision(images, {c: str(c) for c in classes})["mAP50"] if classes else 0.0), seconds


def fresh_processes() -> BaseContext:
    """Return the way to start processes that share nothing with this one, where possible with PyTorch imported."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["metafusion_yolo.model"])  # done once, whatever the number of processes
    return context


def end_with_parent() -> None:
    """End this process with its parent, so that a restart does not do the same run twice at once."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def as_arrays(image: dict[str, Any]) -> Image:
    """Return the evaluation of one image, read from JSON, as arrays."""
    tp = np.array(image["tp"], bool).reshape(-1, 10)
    return {**{key: np.array(image[key], float) for key in ("conf", "pred_cls", "target_cls")}, "tp": tp}


def read_results(out: Path, row: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what the runs of a row found, by view and image, one entry per seed."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for file in sorted(out.glob(f"{row}-fold*-seed*.json")):
        for view, images in json.loads(file.read_text(encoding="utf-8"))["views"].items():
            for name, image in images.items():
                results.setdefault(view, {}).setdefault(name, []).append(image)
    return results


def read_arrays(out: Path, row: str) -> dict[str, dict[str, list[Image]]]:
    """Return the same as :func:`read_results`, as arrays."""
    return {
        view: {name: [as_arrays(image) for image in found] for name, found in images.items()}
        for view, images in read_results(out, row).items()
    }
