"""Pictures of a training, and that the loggers of the host get them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from metafusion_yolo.engine.train.pictures import FilmStrip, Shown, plot_losses, plot_weights, stretches
from metafusion_yolo.nn.rules import PixelRule
from tests.conftest import TINY
from tests.engine.conftest import TRAIN_ARGS
from tests.processes import run_code

PAIRS = [
    Shown(torch.rand(1, 4, 64, 96, generator=torch.Generator().manual_seed(i)), (slice(8, 56), slice(0, 96)))
    for i in range(2)
]


@pytest.fixture(scope="module")
def pictured(tiny_data, tmp_path_factory) -> Path:
    """Folder of two epochs with pictures and TensorBoard, in a process of its own, with settings of its own."""
    folder = tmp_path_factory.mktemp("pictured")
    arguments = {**TRAIN_ARGS, "data": str(tiny_data), "epochs": 2, "plots": True, "workers": 0}
    arguments |= {"project": str(folder), "name": "train"}
    code = (
        "from ultralytics import settings, utils; dict.update(settings, tensorboard=True)\n"  # without writing them
        "utils.TESTS_RUNNING = False\n"  # else the host logs nothing
        f"from metafusion_yolo import MetaFusionYOLO; MetaFusionYOLO({TINY!r}).train(**{arguments!r})\n"
    )
    done = run_code(code)
    assert done.returncode == 0, done.stderr
    return folder / "train"


def test_a_training_leaves_its_pictures(pictured) -> None:
    sizes = {
        name: cv2.imread(str(pictured / name)).shape for name in ("film_strip.jpg", "fusion_weights.jpg", "losses.png")
    }
    columns = sorted(path.stem for path in (pictured / "film").glob("*.png"))
    assert columns == [f"{epoch:05d}" for epoch in (1, 2)]
    assert sizes["film_strip.jpg"][1] >= 3 * 200
    assert (pictured / "results.png").stat().st_size > 0


def test_the_picture_of_a_batch_shows_both_sources_and_the_fused_image(pictured) -> None:
    height, width = cv2.imread(str(pictured / "train_batch0.jpg")).shape[:2]
    assert width == 3 * height  # a square grid of samples, three views each


def test_a_strip_keeps_few_epochs_with_the_first_and_the_last_and_goes_on_after_a_pause(tmp_path) -> None:
    file = tmp_path / "strip.jpg"
    written = []
    for epoch in range(1, 101):
        strip = FilmStrip(tmp_path / "film", PAIRS, epochs=100)  # a new one each time, as after a pause
        written += [epoch] if strip.add(PixelRule("average"), epoch, file) else []
    assert len(written) == 8 and written[0] == 1 and written[-1] == 100
    assert cv2.imread(str(file)).shape[1] >= 9 * 200  # nine columns


def test_weights_show_which_camera_it_was(tmp_path) -> None:
    visible = cv2.imread(str(plot_weights(PixelRule("visible"), PAIRS, tmp_path / "v.png")))
    infrared = cv2.imread(str(plot_weights(PixelRule("infrared"), PAIRS, tmp_path / "i.png")))
    dark, bright = visible[60, -40], infrared[60, -40]
    assert bright.astype(int).sum() > dark.astype(int).sum() + 100
    assert visible.shape[1] >= 4 * 320


def test_small_differences_between_weights_fill_the_colours(tmp_path) -> None:
    class Half(PixelRule):
        def forward(self, pair):
            output = super().forward(pair)
            output.weights = output.weights.clone()
            output.weights[:, 1, :, 12:] += 0.1
            return output

    drawn = cv2.imread(str(plot_weights(Half("average"), PAIRS, tmp_path / "w.png")))
    left, right = drawn[60, -280].astype(int), drawn[60, -40].astype(int)
    assert np.abs(left - right).sum() > 250  # the ends of the scale


def test_the_letterbox_is_cut_off() -> None:
    item = {"img": torch.zeros(4, 64, 64, dtype=torch.uint8), "ratio_pad": ((0.5, 0.5), (0, 8)), "ori_shape": (96, 128)}
    assert Shown.of(item).views(PixelRule("average"), 320)["fused"].shape == (240, 320, 3)


def test_losses_are_plotted_by_term(tmp_path) -> None:
    results = tmp_path / "results.csv"
    results.write_text("epoch,train/ssim_loss,train/box_loss,val/box_loss\n1,0.5,2,3\n2,0.4,1.5,2.5\n3,0.3,1,2\n")
    image = cv2.imread(str(plot_losses(results, ["warmup", "joint", "joint"], tmp_path / "losses.png")))
    assert image.shape[1] > 600
    assert stretches(["warmup", "joint", "joint"]) == [("warmup", 1, 1), ("joint", 2, 3)]


def test_tensorboard_gets_terms_and_pictures(pictured) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(pictured), size_guidance={"images": 0})
    tags = events.Reload().Tags()
    assert {"train/ssim_loss", "train/grad_loss", "train/int_loss", "metrics/mAP50(B)"} <= {*tags["scalars"]}
    assert {"film_strip", "fusion_weights", "losses"} <= {*tags["images"]}
    assert [event.step for event in events.Images("film_strip")] == [1, 2]
