"""State of the calls of a model, shared and separate, so that threads and nested calls do not mix."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from ultralytics.engine.model import Model
from ultralytics.utils import LOGGER

from metafusion_yolo.engine._host import usable_again
from metafusion_yolo.nn.tasks import native_model
from metafusion_yolo.support.errors import UserValueError

VALIDATION = threading.RLock()  # plots are drawn by Matplotlib, which serves one thread at a time
KEPT = 4  # loaded networks of a model, and idle predictors of a thread: more settings than are in use at a time


class Networks:
    """The networks of a model, each loaded once for the settings it depends on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[Hashable, tuple[Any, threading.Lock]] = {}

    @torch.inference_mode(False)
    def share(self, settings: Hashable, load: Callable[[], Any]) -> tuple[Any, AbstractContextManager[Any]]:
        """Return a network, and the lock to hold while it runs.

        Each caller gets layers of its own over the same weights, because layers keep hooks and grids between images.
        An export cannot be taken apart: all callers get the same one and take turns.
        """
        with self._lock:
            if settings not in self._loaded:
                self._loaded[settings] = load(), threading.Lock()
                for old in [*self._loaded][:-KEPT]:
                    del self._loaded[old]
            network, turn = self._loaded[settings]
        native = native_model(network)
        if native is None:
            return network, turn
        weights = {id(tensor): tensor for tensor in (*native.parameters(), *native.buffers())}
        return deepcopy(network, weights), nullcontext()


class Call:
    """A call of a model. Its predictor is free again when the call ends, or is dropped before it begins."""

    done = False

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End, however the call ends."""
        self.done = True


class _Seat:
    """A predictor, once the host has built it, and the call that it serves."""

    predictor: Any = None
    call: weakref.ref[Call]

    @property
    def free(self) -> bool:
        call = self.call()
        return call is None or call.done


class _Here(threading.local):
    """State of one thread."""

    def __init__(self) -> None:
        self.seats: list[_Seat] = []  # the last one used is the last
        self.tracking: _Seat | None = None  # whose trackers `persist=True` continues


class Calls:
    """The predictors of a model. Each thread has its own, and each of its calls one that no other call is using."""

    def __init__(self) -> None:
        self.networks = Networks()
        self._here = _Here()
        self._latest: Any = None
        self._persisting = False

    @property
    def predictor(self) -> Any:
        """The predictor of the last call of this thread, or of another one if it made none; None before the first."""
        seats = self._here.seats
        return seats[-1].predictor if seats else self._latest

    @predictor.setter
    def predictor(self, predictor: Any) -> None:
        predictor.networks = self.networks
        if not self._here.seats:
            self.begin(lambda _: False)
        self._here.seats[-1].predictor = self._latest = predictor

    def begin(self, fits: Callable[[Any], bool], tracks: bool = False, persist: bool = False) -> Call:
        """Give a call of this thread a free predictor, or none, so that the host builds one.

        Args:
            fits: Returns whether a predictor can be used again for the arguments of the call.
            tracks: Whether the call tracks.
            persist: Whether it continues the trackers of the last call of this thread that tracked.

        Raises:
            ValueError: If a stream that has not ended is using these trackers.
        """
        here, call = self._here, Call()
        followed = here.tracking
        follows = tracks and (followed is None or followed.free)
        if persist and not follows:
            raise UserValueError(
                "persist=True continues trackers that an unfinished stream of this thread is using; end the stream "
                "first, or track the other sequence in a thread of its own"
            )
        if persist and followed is None and self._persisting:
            LOGGER.info("persist=True keeps trackers for each thread: this one begins with new ones")
        self._persisting |= persist
        idle = [seat for seat in here.seats if seat.free and seat.predictor is not None]
        usable = [seat for seat in idle if seat is not followed]  # whose trackers are left alone ...
        if follows and followed and followed.predictor is not None:  # ... except to go on with them, or anew
            usable = [followed]
        seat = next((seat for seat in reversed(usable) if fits(seat.predictor)), None) or _Seat()
        busy = [seat for seat in here.seats if not seat.free]
        here.seats = [*busy, *(other for other in idle[-KEPT:] if other is not seat), seat]
        seat.call = weakref.ref(call)
        if follows:
            here.tracking = seat
        return call


class ConcurrentModel(Model):
    """The host's model with calls that do not share state; copies carry no such state."""

    overrides: dict[str, Any]
    _calls: Calls

    @property
    def predictor(self) -> Any:
        """See :attr:`Calls.predictor`."""
        return self._calls.predictor

    @predictor.setter
    def predictor(self, predictor: Any) -> None:
        if predictor is None:  # the host has changed the weights
            self._calls = Calls()
        else:
            self._calls.predictor = predictor

    def _begin(self, arguments: dict[str, Any], predictor: type | None, persist: bool) -> Call:
        """Begin a call of the host's `predict`, see :meth:`Calls.begin`."""
        tracks = arguments.setdefault("mode", "predict") == "track"
        return self._calls.begin(partial(usable_again, {**self.overrides, **arguments}, predictor), tracks, persist)

    def val(self, *args: Any, **kwargs: Any) -> Any:
        """Validate as the host does, one call at a time."""
        with VALIDATION:
            return super().val(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Return the model without its predictors, and without the trainer, which holds files and processes."""
        return {**{key: value for key, value in self.__dict__.items() if key != "_calls"}, "trainer": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the model."""
        super().__setstate__(state)
        self._calls = Calls()
