"""Calls of one model keep apart: those of several threads, those within the loop of another, those of copies."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.engine.predict.calls import KEPT
from metafusion_yolo.engine.predict.outputs import run_folder
from metafusion_yolo.support.errors import UserValueError

LOW = {"imgsz": 64, "conf": 0.1, "verbose": False}
TRACK = {**LOW, "tracker": "bytetrack.yaml"}


@pytest.fixture
def model(lively) -> MetaFusionYOLO:
    return lively


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 255, (64, 64, 3), np.uint8), rng.integers(0, 255, (64, 64), np.uint8)) for _ in range(4)]


def at_once(*tasks: Callable[[], object]) -> list:
    """Run tasks in a thread each, all from the same moment, and return what they return or raise."""
    ready, found = threading.Barrier(len(tasks)), [None] * len(tasks)

    def work(number: int) -> None:
        ready.wait()
        try:
            found[number] = tasks[number]()
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a call hangs"
    return found


def boxes(results) -> list:
    return [result.boxes.data.tolist() for result in results]


# Threads -------------------------------------------------------------------------------------------------------------
def test_files_land_in_the_folder_of_their_call(model, make_pair_folder, tmp_path):
    files = make_pair_folder(8).visible
    settings = {"save": True, "save_txt": True, "save_json": True, "project": str(tmp_path), **LOW}
    calls = [lambda i=i: model.predict(files[2 * i : 2 * i + 2], name=f"{i}", **settings) for i in range(4)]
    for i, results in enumerate(at_once(*calls)):
        names = [f"{2 * i}", f"{2 * i + 1}"]
        assert [Path(result.path).stem for result in results] == names
        assert sorted(file.stem for file in (tmp_path / f"{i}").glob("*.jpg")) == names
        assert sorted(file.stem for file in (tmp_path / f"{i}" / "labels").iterdir()) == names
        assert not (tmp_path / f"{i}" / "unfinished.txt").exists()


def test_arguments_stay_with_their_call(model, pairs):
    scores = torch.cat([result.boxes.conf for result in model.predict(pairs, **LOW)])
    levels = [float(scores.unique().quantile(share)) for share in (0.1, 0.5, 0.9)]
    wanted = [boxes(model.predict(pairs, **{**LOW, "conf": level})) for level in levels]
    assert len({str(rows) for rows in wanted}) == len(levels)

    def often(level: float) -> list:
        return [boxes(model.predict(pairs, **{**LOW, "conf": level})) for _ in range(6)]

    for found, rows in zip(at_once(*(lambda level=level: often(level) for level in levels)), wanted, strict=True):
        assert found == [rows] * 6


def test_threads_share_weights_and_nothing_else(model, pairs):
    def predictor():
        model.predict(pairs[:1], **LOW)
        return model.predictor

    one, other = at_once(predictor, predictor)
    assert one is not other
    first, second = (predictor.model.model for predictor in (one, other))
    assert first.fusion is not second.fusion
    assert [p.data_ptr() for p in first.parameters()] == [p.data_ptr() for p in second.parameters()]
    hooked = [[hook.__self__ for hook in net.fusion._forward_hooks.values()] for net in (first, second)]
    assert hooked == [[one], [other]]


def test_callbacks_get_the_predictor_of_their_call(model, pairs):
    seen = {}
    callback = lambda predictor: seen.setdefault(threading.get_ident(), predictor.args.conf)  # noqa: E731
    model.add_callback("on_predict_end", callback)
    try:
        calls = [
            lambda c=c: (model.predict(pairs[:1], **{**LOW, "conf": c}), threading.get_ident()) for c in (0.1, 0.2, 0.3)
        ]
        assert [seen[ident] for _, ident in at_once(*calls)] == [0.1, 0.2, 0.3]
    finally:
        model.clear_callback("on_predict_end")


def test_runs_that_begin_together_get_a_folder_each(tmp_path):
    args = SimpleNamespace(project=str(tmp_path), name="run", task="detect", mode="predict", exist_ok=False)
    folders = at_once(*[lambda: run_folder(args)] * 8)
    assert len(set(folders)) == 8 and all(folder.is_dir() for folder in folders)
    assert run_folder(args, make=False).exists() is False
    assert run_folder(SimpleNamespace(**{**vars(args), "exist_ok": True})) == tmp_path / "run"
    assert run_folder(SimpleNamespace(**vars(args), save_dir=str(tmp_path / "run"))) == tmp_path / "run"
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        run_folder(SimpleNamespace(**{**vars(args), "name": "file", "exist_ok": True}))


def test_an_export_serves_threads_in_turn(onnx, pairs):
    model = MetaFusionYOLO(onnx)
    big = [(np.repeat(np.repeat(v, 5, 0), 5, 1), ir) for v, ir in pairs]
    wanted = boxes(model.predict(big, conf=0.01, verbose=False))

    def call():
        return boxes(model.predict(big, conf=0.01, verbose=False)), model.predictor.model

    found = at_once(*[call] * 3)
    assert [rows for rows, _ in found] == [wanted] * 3
    assert len({id(network) for _, network in found}) == 1, "the export is loaded once"


def test_validations_queue(model, pair_folder, tmp_path):
    """Matplotlib draws for one thread at a time."""
    events: list[str] = []
    for event in ("on_val_start", "on_val_end"):
        model.add_callback(event, lambda validator, event=event: events.append(event))
    settings = {"data": str(pair_folder.yaml), "imgsz": 64, "metrics": "none", "plots": False, "conf": 0.5}
    try:
        found = at_once(*[lambda: model.val(project=str(tmp_path), name="val", **settings).results_dict] * 2)
    finally:
        for event in ("on_val_start", "on_val_end"):
            model.clear_callback(event)
    assert found[0] == found[1]
    assert events == ["on_val_start", "on_val_end"] * 2
    assert len([*tmp_path.glob("val*/val.json")]) == 2


# Calls within calls --------------------------------------------------------------------------------------------------
def test_a_call_within_a_stream_is_one_of_its_own(model, pairs):
    outer, inner = boxes(model.predict(pairs, **LOW)), boxes(model.predict(pairs[3:], **{**LOW, "imgsz": 96}))

    def nested() -> list:
        found = []
        for result in model.predict(pairs, stream=True, **LOW):
            found += boxes([result])
            assert boxes(model.predict(pairs[3:], **{**LOW, "imgsz": 96})) == inner
        return found

    assert at_once(nested) == [outer]


def test_an_abandoned_stream_holds_nothing(model, pair_folder, tmp_path):
    model.predict(pair_folder.visible, **LOW)
    before, running = model.predictor, threading.active_count()
    for _ in range(KEPT + 2):
        for _ in model.predict(pair_folder.visible, stream=True, save=True, project=str(tmp_path), **LOW):
            break
        assert model.predictor is before, "its predictor is free again"
    model.predict(pair_folder.visible, stream=True, **LOW)  # dropped before it began
    with pytest.raises(PairError):
        model.predict([pairs_of_no_use(pair_folder)], **LOW)
    model.predict(pair_folder.visible, **LOW)
    assert model.predictor is before
    assert threading.active_count() == running, "neither its reader nor its writer is left"


def pairs_of_no_use(folder) -> Path:
    file = folder.images / "alone.png"
    file.write_bytes(folder.visible[0].read_bytes())
    return file


def test_a_stream_that_is_held_does_not_stop_others(model, pairs):
    held = [model.predict(pairs, stream=True, **LOW) for _ in range(KEPT + 2)]
    wanted = boxes(model.predict(pairs, **LOW))
    first = [boxes([next(stream)])[0] for stream in held]
    assert at_once(lambda: boxes(model.predict(pairs, **LOW))) == [wanted]
    assert [[start, *boxes(stream)] for start, stream in zip(first, held, strict=True)] == [wanted] * len(held)


def test_new_weights_reach_every_thread(pairs):
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    model.predict(pairs, **LOW)
    before = model.predictor
    model.load(MetaFusionYOLO("metafusion-yolov8n.yaml").model)
    assert model.predictor is None
    found = at_once(lambda: model.predict(pairs, **LOW), lambda: model.predict(pairs, **LOW))
    assert boxes(found[0]) == boxes(found[1])
    assert model.predictor is not before


# Tracking ------------------------------------------------------------------------------------------------------------
def identities(results) -> list:
    return [None if result.boxes.id is None else result.boxes.id.tolist() for result in results]


def test_each_call_has_trackers_of_its_own(model, pairs):
    wanted = identities(model.track(pairs, **TRACK))
    assert any(wanted)
    for _ in range(2):
        found = at_once(*[lambda: identities(model.track(pairs, **TRACK))] * 3)
        assert found == [wanted] * 3


def test_persist_continues_the_trackers_of_its_thread(model, pairs, caplog):
    def frame_by_frame(first: bool = True) -> list:
        trackers, found = [], []
        for number, pair in enumerate(pairs):
            found += identities(model.track([pair], persist=first or number > 0, **TRACK))
            trackers.append(model.predictor.trackers[0])
            model.predict([pair], **LOW)
        assert len({id(tracker) for tracker in trackers}) == 1, "a prediction between two frames changes nothing"
        return [found, trackers[0].frame_id]

    alone = at_once(frame_by_frame)[0]
    assert alone[1] == len(pairs)
    assert at_once(frame_by_frame, lambda: frame_by_frame(first=False)) == [alone, alone]
    assert [r.message for r in caplog.records if "trackers for each thread" in r.message]


def test_two_sequences_of_a_thread_do_not_share_trackers(model, pairs):
    wanted = identities(model.track(pairs, **TRACK))
    stream = model.track(pairs, stream=True, **TRACK)
    found = identities([next(stream)])
    with pytest.raises(UserValueError, match="unfinished stream of this thread"):
        model.track(pairs, persist=True, **TRACK)
    assert identities(model.track(pairs, **TRACK)) == wanted, "without persist it has its own"
    assert found + identities(stream) == wanted


# Copies --------------------------------------------------------------------------------------------------------------
def through_bytes(model: MetaFusionYOLO) -> MetaFusionYOLO:
    stream = io.BytesIO()
    pickle.dump(model, stream)
    return pickle.loads(stream.getvalue())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, through_bytes])
def test_copies_before_and_after_a_call(lively, pairs, duplicate):
    model = copy.deepcopy(lively)
    early = duplicate(model)
    wanted = boxes(model.predict(pairs, **LOW))
    stream = model.predict(pairs, stream=True, **LOW)
    next(stream)
    late = duplicate(model)
    for other in (early, late):
        assert other.predictor is None and other.trainer is None
        assert boxes(other.predict(pairs, **LOW)) == wanted
    late.model.requires_grad_(False)
    for parameter in late.model.parameters():
        parameter.zero_()
    assert boxes(model.predict(pairs, **LOW)) == wanted, "the copy has weights of its own"


def test_what_a_model_finds_can_be_pickled(model, pairs):
    found = model.predict(pairs, **LOW)
    copies = pickle.loads(pickle.dumps(found))
    assert boxes(copies) == boxes(found) and any(boxes(found))
    assert np.array_equal(copies[0].fused, found[0].fused)
