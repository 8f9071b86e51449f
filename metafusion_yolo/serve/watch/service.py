"""All pairs together: they share a model, an outbox, and receivers."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

from metafusion_yolo.options.serve import Serve
from metafusion_yolo.serve.engines import Engine, HostEngine
from metafusion_yolo.serve.watch.clips import Recorder, finish
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.plan import Plan, Watched
from metafusion_yolo.serve.watch.sinks import Courier, sinks_of
from metafusion_yolo.support.resources import find_data_yaml

LOGGER = logging.getLogger(__name__)
TICK = 0.2  # seconds between looks after the pairs


class Service:
    """Watches the pairs of a plan, from :meth:`start` to :meth:`close`.

    Events of an earlier run are delivered at once; pairs are watched once the model is loaded.

    Attributes:
        outbox: The events.
        streams: The pairs by name.

    Args:
        options: The model and its settings.
        plan: The watched pairs, and where events go.

    Raises:
        UserError: If the outbox cannot be used, or a secret.
    """

    def __init__(self, options: Serve, plan: Plan) -> None:
        from metafusion_yolo.serve.watch.stream import Stream

        self.options, self.plan = options, plan
        sinks = sinks_of(plan.events)
        self.outbox = Outbox(plan.events.outbox, [*sinks], plan.events.keep)
        self._couriers = [Courier(name, sink, self.outbox) for name, sink in sinks.items()]
        self._pool = ThreadPoolExecutor(1, "clips")
        if plan.events.clips is not None:
            for left in Path(plan.events.clips).glob("*.snapshots"):
                self._pool.submit(finish, left)
        self.streams = {one.name: Stream(one, self._track, self.outbox, self._recorder(one.name)) for one in plan.pairs}
        self._ending = Event()
        self._watching = Thread(target=self._watch, name="watchdog", daemon=True)
        self._model: Any = None

    def _recorder(self, name: str) -> Recorder | None:
        events = self.plan.events
        if events.clips is None:
            return None
        return Recorder(name, Path(events.clips), events.before, events.after, events.keep, self._pool)

    def start(self, engine: Engine) -> None:
        """Start watching, with the model of an engine.

        Raises:
            UserError: If it does not know a class of a rule, or a file of a pair cannot be used.
        """
        from metafusion_yolo.data.rig import Rig
        from metafusion_yolo.engine._host import check_tracker

        for one in self.plan.pairs:
            one.check_classes(engine.names)
            check_tracker(one.cameras.tracker)
            if one.cameras.data is not None:
                Rig.of_file(find_data_yaml(one.cameras.data))
        if isinstance(engine, HostEngine):
            self._model = engine.model
        else:
            from metafusion_yolo.model import MetaFusionYOLO

            self._model = MetaFusionYOLO(self.options.model)
        self._model.add_callback("on_predict_start", self._opened)
        for stream in self.streams.values():
            stream.start()
        self._watching.start()

    def _opened(self, predictor: Any) -> None:
        """Give a stream the loader of its cameras; called in its thread."""
        name = current_thread().name.removeprefix("pair ")
        if name in self.streams and current_thread().name != name:
            self.streams[name].opened(predictor.dataset)

    def _track(self, one: Watched) -> Any:
        """Yield the results of a pair."""
        cameras, options = one.cameras, self.options
        given = {"imgsz": options.imgsz, "device": options.device, "data": cameras.data or options.data}
        given |= {"infrared": cameras.infrared, "layout": cameras.layout}
        return self._model.track(
            cameras.visible,
            stream=True,
            **{key: value for key, value in given.items() if value is not None},
            conf=cameras.conf,
            iou=options.iou,
            tracker=cameras.tracker,
            on_missing=cameras.on_missing,
            reconnect=float("inf"),
            sync_tolerance=cameras.sync_tolerance,
            sync_offset=cameras.sync_offset,
            verbose=False,
        )

    def _watch(self) -> None:
        failing: set[str] = set()  # pairs reported already, as a full disk stays full
        while not self._ending.wait(TICK):
            for name, stream in self.streams.items():
                try:
                    stream.check()
                    failing.discard(name)
                except (
                    Exception
                ):  # sqlite3.Error or OSError of a full disk, or a bug; others are looked after all the same
                    if name not in failing:
                        LOGGER.exception(f"{name}: cannot be looked after")
                    failing.add(name)

    def close(self) -> None:
        """End the pairs, the clips and the deliveries; the next run delivers waiting events."""
        self._ending.set()
        for stream in self.streams.values():
            stream.close()
        self._pool.shutdown()
        for courier in self._couriers:
            courier.close()
        self.outbox.close()
