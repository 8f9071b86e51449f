"""What a run says: a fault in a line however often it occurs, nothing where nothing is wanted, a summary at the end."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from ultralytics.utils import LOGGER

from metafusion_yolo import MetaFusionYOLO, PairError, cli
from metafusion_yolo.support.console import in_our_words
from metafusion_yolo.support.logs import faults_in_a_line, info_once, warnings_once
from tests.conftest import TINY
from tests.data.test_dataset import build

FAULTY = 50


@pytest.fixture
def said(caplog):
    """Return the function that returns all lines said since, without colours."""
    caplog.set_level("INFO", logger="ultralytics")

    def lines(containing: str = "") -> list[str]:
        text = "\n".join(record.getMessage() for record in caplog.records)
        return [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if containing in line]

    return lines


@pytest.fixture
def many(make_pair_folder):
    """Sixty pairs."""
    return make_pair_folder(FAULTY + 10)


def start_training(folder) -> None:
    """Do what a training does with its data before the first epoch."""
    for mode in ("train", "val"):
        build(folder, mode)


def spoil(folder, how: str) -> None:
    """Make the same fault in fifty pairs."""
    for i in range(10, 10 + FAULTY):
        label = folder.root / "labels" / "train" / f"{i}.txt"
        if how == "out of bounds":
            label.write_text(f"0 {1.5 + i / 100} 0.5 0.2 0.2\n")
        elif how == "duplicate labels":
            label.write_text("0 0.5 0.5 0.2 0.2\n" * 2)
        elif how == "size":
            cv2.imwrite(str(folder.infrared[i]), np.full((24, 32), i, np.uint8))
        elif how == "missing":
            folder.infrared[i].unlink()
        elif how == "truncated":
            folder.infrared[i].write_bytes(folder.infrared[i].read_bytes()[:200])


@pytest.mark.parametrize("fault", ["out of bounds", "duplicate labels"])
def test_fifty_faulty_labels_are_a_line_also_from_the_cache(many, said, fault):
    spoil(many, fault)
    for run in (1, 2):  # the second one reads the cache
        start_training(many)
        lines = said(fault)
        assert len(lines) == 2 * run  # of the training and of the validation split, which are one here
        assert "10.png, 11.png, 12.png and 47 more (50 files): " in lines[-1]


def test_fifty_pairs_of_two_sizes_are_a_warning(many, said):
    spoil(many, "size")
    start_training(many)
    assert said("sizes of 50 pairs:")
    assert len(said("; the infrared image is resized")) == 3
    assert said("... and 47 more like it")


@pytest.mark.parametrize("fault", ["missing", "truncated"])
def test_fifty_broken_pairs_are_an_error_of_a_few_lines(many, tmp_path, capsys, fault):
    spoil(many, fault)
    with pytest.raises(PairError) as caught:
        start_training(many)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5 and lines[0].startswith("50 problems in ") and lines[-1] == "  ... and 47 more like it"
    assert cli.main(["predict", f"model={TINY}", f"source={many.images}", f"project={tmp_path}", "imgsz=32"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("metafusion: error: ") and len(error.splitlines()) <= 5


def test_what_a_long_run_left_out_is_said_once_at_its_end(many, tmp_path, said):
    spoil(many, "truncated")
    results = MetaFusionYOLO(TINY).predict(many.images, on_error="skip", imgsz=32, verbose=False)
    assert len(results) == 10
    assert "random weights" in said()[0]
    assert said()[1].endswith("50 of 60 pairs skipped:") and len(said()) == 6


@pytest.mark.parametrize("mode", ["predict", "track", "fuse_images"])
def test_where_nothing_is_to_be_said_nothing_is(mode, pair_folder, tmp_path, capfd, said):
    model = MetaFusionYOLO(TINY)
    options = {"project": str(tmp_path)} if mode == "fuse_images" else {}
    assert len(list(getattr(model, mode)(pair_folder.images, verbose=False, imgsz=64, **options))) == 4
    assert [line for line in said() if "random weights" not in line] == []
    out, err = capfd.readouterr()
    assert err == "" and (out == "" or "random weights" in out) and out.count("\n") <= 1


def test_what_was_asked_for_is_said_a_line_a_pair_and_a_summary(pair_folder, tmp_path, said):
    MetaFusionYOLO(TINY).predict(pair_folder.images, imgsz=64, save=True, save_json=True, project=str(tmp_path))
    assert len(said("pair ")) == 4
    assert said()[-1] == f"predictions.json saved to {tmp_path / 'predict'}"
    assert sum(line.startswith(("Speed: ", "Results saved to ")) for line in said()) == 2


def test_a_warning_of_every_frame_is_said_once_with_a_count(make_pair_folder, said, monkeypatch):
    """Of the host's tracker, which warns of each frame in which it finds nothing to follow."""
    folder, filters = make_pair_folder(6), [*LOGGER.filters]
    model = MetaFusionYOLO(TINY)
    model.add_callback("on_predict_batch_start", lambda predictor: LOGGER.warning("not enough matching points"))
    results = model.predict(folder.images, imgsz=64, verbose=False, stream=True)
    next(results)
    assert len(said("not enough")) == 1
    assert LOGGER.filters == filters, "what its user warns of is not counted"
    assert len(list(results)) == 5
    assert [line.removeprefix("WARNING ⚠️ ") for line in said("not enough")] == [
        "not enough matching points",
        "6 times: not enough matching points",
    ]
    assert LOGGER.filters == filters


def warning(times: int) -> Iterator[int]:
    """Warn before each of some numbers."""
    for number in range(times):
        LOGGER.warning("not enough matching points")
        yield number


def test_other_threads_and_other_calls_keep_their_warnings(said):
    """Two streams take turns in one thread, beside a third one, and their consumer warns of the same."""
    first, second = warnings_once(warning(3)), warnings_once(warning(2))
    next(first), next(second)
    LOGGER.warning("not enough matching points")
    thread = threading.Thread(target=list, args=(warnings_once(warning(4)),))
    thread.start()
    thread.join()
    list(second), list(first)
    assert [line.removeprefix("WARNING ⚠️ ") for line in said("not enough")] == [
        *["not enough matching points"] * 4,
        *[f"{times} times: not enough matching points" for times in (4, 2, 3)],
    ]


def test_filters_go_however_a_run_ends():
    filters = [*LOGGER.filters]
    with pytest.raises(ZeroDivisionError):
        list(warnings_once(1 / number for number in (1, 0)))
    for context in (faults_in_a_line, in_our_words):
        with pytest.raises(KeyError), context():
            raise KeyError
    assert LOGGER.filters == filters


def test_different_faults_and_few_lines_stay(said):
    with faults_in_a_line():
        LOGGER.info("a/1.png: ignoring corrupt image/label: no numbers\na/2.png: 3 duplicate labels removed")
        LOGGER.info("\n".join(f"a: b/{i}.png: {i} duplicate labels removed" for i in range(5)))
        LOGGER.log(logging.INFO, "%s\n%s", "one", "two")
    assert said() == [
        "a/1.png: ignoring corrupt image/label: no numbers",
        "a/2.png: 3 duplicate labels removed",
        "a: b/0.png, 1.png, 2.png and 2 more (5 files): 0 duplicate labels removed",
        "one",
        "two",
    ]


def test_a_legend_is_given_once_a_process(said) -> None:
    for _ in range(2):
        info_once("a legend of this test")
    assert said("a legend of this test") == ["a legend of this test"]
