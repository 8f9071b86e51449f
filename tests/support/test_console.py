"""What the host says reaches the reader in our words, and a file without frames and colours."""

from __future__ import annotations

import io
import sys

import pytest
from ultralytics.utils import LOGGER, TQDM, colorstr

from metafusion_yolo.support.console import in_our_words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO", logger="ultralytics")
    return lambda: [record.getMessage() for record in caplog.records]


def test_nothing_names_the_command_of_the_host(said) -> None:
    with in_our_words():
        LOGGER.info(
            "\nExport complete (1.0s)\nResults saved to /a\nPredict:         yolo predict task=detect model=a.onnx"
            "\nValidate:        yolo val task=detect model=a.onnx data=b \nVisualize:       https://netron.app"
        )
    assert said() == ["\nExport complete (1.0s)\nResults saved to /a\nVisualize:       https://netron.app"]


def test_an_empty_folder_is_not_pointed_to(said, tmp_path) -> None:
    with in_our_words():
        LOGGER.info(f"Results saved to {colorstr('bold', tmp_path)}")
        (tmp_path / "a.txt").touch()
        LOGGER.info(f"Results saved to {colorstr('bold', tmp_path)}")
    assert said() == [f"Results saved to {tmp_path}"]


def test_augmentations_are_listed_once_a_run_and_other_lines_as_they_come(said) -> None:
    for _ in range(2):
        with in_our_words():
            for _ in range(2):
                LOGGER.info(f"{colorstr('albumentations: ')}Blur(p=0.01)")
                LOGGER.info("epoch")
    assert said() == ["albumentations: Blur(p=0.01)", "epoch", "epoch"] * 2


def test_arguments_of_a_message_are_kept(said) -> None:
    with in_our_words():
        LOGGER.info("%d pairs", 3)
    LOGGER.info(colorstr("after"))
    assert said() == ["3 pairs", colorstr("after")]


@pytest.mark.parametrize(("stream", "frames", "colours"), [(io.StringIO, 0, 0), (Terminal, 3, 1)])
def test_progress_is_redrawn_for_those_who_watch(monkeypatch, stream, frames, colours) -> None:
    monkeypatch.setattr(sys, "stdout", stream())
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    with in_our_words():
        for _ in TQDM(range(3), desc=colorstr("train: "), mininterval=0):
            pass
    written = sys.stdout.getvalue()
    assert written.count("\r") >= frames and (frames or "\r" not in written)
    assert ("\x1b[34m" in written) == bool(colours) and "3/3" in written and written.count("\n") == 1
