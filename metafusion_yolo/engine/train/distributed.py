"""Training in several processes: started here for a list of devices, or by a launcher such as torchrun."""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from ultralytics.cfg import get_cfg, get_save_dir
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import DEFAULT_CFG, RANK, WORLD_SIZE
from ultralytics.utils.torch_utils import parse_device, unwrap_model

from metafusion_yolo.engine._host import in_one_process, on_processors, replaced
from metafusion_yolo.support.errors import MissingPackageError, UserError, UserValueError

HANDOVER = "METAFUSION_HANDOVER"  # names the folder in which the processes leave results for the one that started them
PATIENCE = timedelta(hours=3)  # as in the host: rank 0 may look at a large data set first
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
LOST = re.compile("gloo|nccl|connection (closed|reset)|socket", re.IGNORECASE)  # what a rank says that misses another


class RanksFailedError(UserError, RuntimeError):
    """A training that ended because one of its processes failed."""


class DistributedTrainer(BaseTrainer):
    """The host's trainer, whose processes agree on their number and on the folder of the run, and fail in one line.

    On GPUs the processes speak by NCCL, on processors by gloo.
    """

    world_size: int

    def __init__(
        self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: dict[str, Any] | None = None
    ) -> None:
        overrides = dict(overrides or {})
        if RANK != -1:
            overrides["device"] = own_devices(overrides.get("device"))
        count = self.processes(overrides.get("device"))
        check_processes(count, overrides)
        if RANK != -1 and not (overrides.get("resume") or overrides.get("save_dir")):
            overrides["save_dir"] = decide_once(lambda: str(get_save_dir(get_cfg(cfg, overrides))))
        super().__init__(cfg, overrides, _callbacks)
        if count > 1:
            self.world_size, self.ddp = count, RANK == -1
        if RANK != -1:
            decide_once(lambda: "")  # the folder is there now
            if not self.save_dir.is_dir():
                raise UserValueError(
                    f"'{self.save_dir}' of rank 0 is not on this machine; give project= on a disk that all share"
                )

    @staticmethod
    def processes(device: Any) -> int:
        """Return the number of processes for the devices of the user; the launcher overrides it."""
        return WORLD_SIZE if RANK != -1 else len(parse_device(device if device is not None else "").split(","))

    def train(self) -> None:
        """Train; the results of other processes are handed to the one that started them.

        Raises:
            RanksFailedError: If a process of the training fails.
            UserError: Of any kind, as a process raised it.
        """
        if self.ddp:
            self._start_processes()
        elif RANK == -1:
            super().train()
        else:
            self._train_as_rank()

    def _start_processes(self) -> None:
        """Start one process per device, wait, and take the metrics of rank 0."""
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        self.train_time_start = time.time()
        with TemporaryDirectory(prefix="metafusion-") as folder:
            os.environ[HANDOVER] = folder
            try:
                with quiet_launcher(), in_one_process():
                    super().train()
            except ChildFailedError as error:
                raise first_cause(error, Path(folder), self.world_size) from None
            finally:
                del os.environ[HANDOVER]
            self.validator: Any = SimpleNamespace(metrics=handed_over(Path(folder) / "0"))

    def _train_as_rank(self) -> None:
        """Train as one of several processes, and leave the outcome for the one that started them."""
        folder = os.environ.get(HANDOVER)
        left: Any = None
        try:
            super().train()
            left = getattr(self.validator, "metrics", None)
        except UserError as error:
            left = error
        except RuntimeError as error:
            if not LOST.search(str(error)):
                raise
            if folder:  # the process that started all counts those that are gone
                raise SystemExit(1) from None
            raise RanksFailedError("another process of this training has ended; its own messages say why") from None
        if folder and (RANK == 0 or isinstance(left, UserError)):
            (Path(folder) / str(RANK)).write_bytes(pickle.dumps(left))
        if isinstance(left, UserError):
            if folder:
                raise SystemExit(2)
            raise left from None

    def _setup_ddp(self) -> None:
        """Join the other processes, unless the launcher has done so."""
        cpu = self.device.type == "cpu"
        if dist.is_initialized():
            if cpu:
                return
            dist.destroy_process_group()  # of an earlier training in these processes, perhaps on other devices
        place = decide_once(lambda: uuid4().hex)  # not where those before a restart met
        store = dist.PrefixStore(place, _store())  # type: ignore[attr-defined]
        if cpu:
            dist.init_process_group("gloo", store=store, timeout=PATIENCE, rank=RANK, world_size=self.world_size)
        else:
            with replaced(dist, "init_process_group", partial(dist.init_process_group, store=store)):
                super()._setup_ddp()

    def _do_train(self) -> None:
        """Train, on processors too."""
        with on_processors(self.device) if RANK != -1 else nullcontext():
            super()._do_train()

    def _model_train(self) -> None:
        """Start an epoch with the batch-norm statistics of rank 0, which checkpoints store."""
        super()._model_train()
        if self.world_size > 1:
            for buffer in unwrap_model(self.model).buffers():
                dist.broadcast(buffer, 0)


def check_processes(count: int, args: dict[str, Any]) -> None:
    """Check that a training can run in several processes, before its folder is touched.

    Args:
        count: Number of processes.
        args: Arguments of the training.

    Raises:
        ModuleNotFoundError: If the package is missing by which the host hands a training to its processes.
        ValueError: If the batch cannot be shared evenly, or the model is to be compiled.
    """
    if count < 2:
        return
    if RANK == -1:
        try:
            import cloudpickle  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                "several devices need the package 'cloudpickle', which is not installed: pip install cloudpickle",
                name="cloudpickle",
            ) from error
    if args.get("compile"):
        raise UserValueError(
            f"'compile={args['compile']}' needs a model whose parts all learn in every step, and phases and look-ahead "
            f"change that; with several devices leave it out"
        )
    batch = args.get("batch") or DEFAULT_CFG.batch
    if batch >= 1 and batch % count:
        raise UserValueError(
            f"'batch={batch}' is shared by {count} processes and must be a multiple of {count}, such as "
            f"{max(round(batch / count), 1) * count}"
        )


def own_devices(device: Any) -> str:
    """Return the devices of the processes of this machine, one each: those that are given, or all that are here.

    Raises:
        ValueError: If they are fewer or more than the processes.
    """
    count, names = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), parse_device(device if device is not None else "")
    here = torch.cuda.device_count()
    if not names and here:
        return ",".join(map(str, range(count))) if here > 1 else ",".join("0" * count)  # else each has one to itself
    if names and names not in {"cpu", "mps"} and len(names.split(",")) != count:
        raise UserValueError(
            f"'device={device}' names {len(names.split(','))} for {count} processes on this machine; name one per "
            "process, or leave it out"
        )
    return names or "cpu"


# Agreement -----------------------------------------------------------------------------------------------------------
_DECISIONS = itertools.count()


def decide_once(decide: Callable[[], str]) -> str:
    """Return what rank 0 decides; the others wait for it. All must ask for the same decisions in the same order."""
    if RANK == -1:
        return decide()
    store, key = _store(), f"metafusion/{next(_DECISIONS)}"
    heard = [f"{key}/{rank}" for rank in range(1, WORLD_SIZE)]
    if RANK > 0:
        store.wait([key], PATIENCE)
        answer = str(store.get(key).decode())
        store.set(heard[RANK - 1], "")
        return answer
    answer = decide()
    store.set(key, answer)
    store.wait(heard, PATIENCE)
    for name in (key, *heard):  # torchrun keeps the store, and processes that it starts anew would find the old answer
        store.delete_key(name)
    return answer


@cache
def _store() -> Any:
    """Return the store that all processes share, at the launcher's address.

    Raises:
        ValueError: If there is none, or it does not answer.
    """
    from torch.distributed.rendezvous import rendezvous

    try:
        return next(iter(rendezvous("env://", RANK, WORLD_SIZE)))[0]
    except (ValueError, RuntimeError) as error:
        raise UserValueError(
            f"process {RANK} of {WORLD_SIZE} does not find the others ({' '.join(str(error).split())}); start them by "
            f"torchrun, or take RANK out of the environment"
        ) from error


# Launch --------------------------------------------------------------------------------------------------------------
@contextmanager
def quiet_launcher() -> Iterator[None]:
    """Handle failures of the processes here, and keep signal handlers, log levels and threads as they were."""
    from torch.distributed.elastic.multiprocessing.api import SignalException

    disabled, threads = logging.root.manager.disable, os.environ.get("OMP_NUM_THREADS")
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    logging.disable(logging.ERROR)
    try:
        yield
    except SignalException as error:
        own = handlers.get(error.sigval)
        if callable(own):
            own(error.sigval, None)
        raise KeyboardInterrupt from None
    finally:
        logging.disable(disabled)
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        try:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        except ValueError:  # in a thread, where none were changed
            pass


def handed_over(file: Path) -> Any:
    """Return what a process of this training left in its folder, which only this user can read."""
    return pickle.loads(file.read_bytes())


def first_cause(error: Any, folder: Path, count: int) -> UserError:
    """Return why a training failed: a mistake of the user, or which process ended and how.

    Args:
        error: What the launcher raised, with the exit codes of the processes that failed.
        folder: Where they leave mistakes.
        count: Number of processes.
    """
    left = [handed_over(file) for file in sorted(folder.iterdir())]
    for mistake in left:
        if isinstance(mistake, UserError):
            return mistake
    ended = {rank: failure.exitcode for rank, failure in error.failures.items()}
    killed = {rank: code for rank, code in ended.items() if code < 0}
    rank, code = next(iter((killed or ended).items()))
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}, as said above"
    return RanksFailedError(f"the training stopped because its process {rank} of {count} {how}")
