"""Fused images alone: every size, every method, files, folders and videos, with and without a model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from metafusion_yolo import MetaFusionYOLO, PairError, cli
from metafusion_yolo.engine.predict.classical import fuse_pair
from metafusion_yolo.engine.predict.fuser import LearnedFusion, fuse_images
from metafusion_yolo.engine.predict.journal import Journal
from metafusion_yolo.options import METHODS
from tests.engine.conftest import IMGSZ
from tests.engine.predict.test_writers import frames_of


@pytest.fixture(scope="module")
def model(run) -> MetaFusionYOLO:
    return MetaFusionYOLO(run.best)


def files(run) -> list[Path]:
    return sorted(run.source.glob("*.png"))


def all_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_mistakes_are_found_at_the_call() -> None:
    with pytest.raises(ValueError, match="'method=magic' is invalid"):
        fuse_images("nowhere", method="magic")
    with pytest.raises(FileNotFoundError, match="'nowhere' does not exist"):
        fuse_images("nowhere", method="average")


def test_fused_images_and_nothing_else(run, model, tmp_path):
    paths = list(model.fuse_images(run.source, project=str(tmp_path), imgsz=IMGSZ, verbose=False))
    assert [p.stem for p in paths] == [f.stem for f in files(run)]
    assert all_files(tmp_path) == sorted(paths)
    for path, file in zip(paths, files(run), strict=True):
        assert cv2.imread(str(path)).shape == cv2.imread(str(file)).shape


def test_the_learned_image_is_that_of_the_prediction(run, model, tmp_path):
    [path] = model.fuse_images(files(run)[0], project=str(tmp_path), imgsz=IMGSZ, verbose=False)
    [result] = model.predict(files(run)[0], imgsz=IMGSZ, verbose=False)
    assert np.abs(cv2.imread(str(path)).astype(int) - result.image("fused")).mean() < 4


@pytest.mark.parametrize("size", [(33, 200), (31, 17), (5, 3), (300, 402)])
def test_any_size_without_a_border(model, size):
    fuse = LearnedFusion(model.model.fusion, imgsz=IMGSZ, device="cpu")
    pair = np.full((*size, 4), 120, np.uint8)
    pair[:: 2 + size[0] // 8, ::3] = 140  # not blank, but alike everywhere
    fused = fuse(pair).astype(int)
    assert fused.shape == (*size, 3)
    assert np.abs(fused - pair[..., :3]).max() < 24  # a letterbox would show at the edges


@pytest.mark.parametrize("method", ["average", "maximum", "max", "laplacian"])
def test_classical_methods_from_the_command_line(pair_folder, tmp_path, method, capsys):
    words = ["fuse", f"method={method}", f"source={pair_folder.images}", f"project={tmp_path}", f"name={method}"]
    assert cli.main(words) == 0
    for visible, infrared in zip(pair_folder.visible, pair_folder.infrared, strict=True):
        pair = np.dstack((cv2.imread(str(visible))[..., ::-1], cv2.imread(str(infrared), cv2.IMREAD_GRAYSCALE)))
        fused = cv2.imread(str(tmp_path / method / f"{visible.stem}.png"))
        assert np.array_equal(fused[..., ::-1], fuse_pair(pair, "maximum" if method == "max" else method))


def test_the_data_set_says_how_the_cameras_go_together(make_pair_folder, tmp_path):
    pairs = make_pair_folder(1, infrared="heat", thermal={"normalize": "fixed", "range": [0, 255], "invert": True})
    (pairs.root / "infrared").rename(pairs.root / "heat")
    with pytest.raises(PairError, match="infrared"):
        list(fuse_images(pairs.images, method="average", project=str(tmp_path), verbose=False))
    [path] = fuse_images(pairs.images, method="average", data=str(pairs.yaml), project=str(tmp_path), verbose=False)
    visible = cv2.imread(str(pairs.visible[0]))
    inverted = 255 - cv2.imread(str(pairs.root / "heat" / "train" / "0.png"), cv2.IMREAD_GRAYSCALE)
    expected = fuse_pair(np.dstack((visible[..., ::-1], inverted)), "average")
    assert np.abs(cv2.imread(str(path))[..., ::-1].astype(int) - expected).max() <= 1


def test_a_tensor_is_taken_as_it_is(model, tmp_path):
    pair = np.random.default_rng(0).integers(0, 256, (40, 56, 4), dtype=np.uint8)
    tensor = torch.from_numpy(pair).permute(2, 0, 1)[None].float() / 255
    [path] = model.fuse_images(tensor, method="maximum", project=str(tmp_path), verbose=False)
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], fuse_pair(pair, "maximum"))


def test_a_video_becomes_a_video(model, tmp_path):
    for name in ("visible", "infrared"):
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
        for i in range(9):
            frame = np.full((48, 64, 3), 40 + 10 * i, np.uint8)
            frame[10:30, 5 * i : 5 * i + 20] = 200
            writer.write(frame)
        writer.release()
    source = {"source": tmp_path / "visible.mp4", "infrared": tmp_path / "infrared.mp4", "project": str(tmp_path)}
    for method in METHODS:
        [file] = model.fuse_images(**source, method=method, name=method, vid_stride=2, imgsz=IMGSZ, verbose=False)
        assert file == tmp_path / method / "visible.mp4"
        frames = frames_of(file)
        assert len(frames) == 4 and frames[0].shape == (48, 64, 3)
        assert cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FPS) == 5
        assert frames[3].mean() > frames[0].mean() + 30


def test_images_and_videos_that_hold_both_cameras(pair_folder, tmp_path):
    (tmp_path / "both").mkdir()
    expected = {}
    for visible, infrared in zip(pair_folder.visible, pair_folder.infrared, strict=True):
        halves = cv2.imread(str(visible)), cv2.imread(str(infrared))
        cv2.imwrite(str(tmp_path / "both" / visible.name), np.vstack(halves))
        expected[visible.stem] = fuse_pair(np.dstack((halves[0][..., ::-1], halves[1][..., 0])), "maximum")
    options = {"method": "maximum", "layout": "vertical", "project": str(tmp_path), "verbose": False}
    paths = list(fuse_images(tmp_path / "both", **options))
    assert {path.stem for path in paths} == expected.keys()
    for path in paths:
        assert np.array_equal(cv2.imread(str(path))[..., ::-1], expected[path.stem])


def test_videos_of_different_rates_by_time(tmp_path):
    for name, rate in (("visible", 20), ("infrared", 10)):
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), rate, (64, 48))
        for i in range(rate):  # a second
            writer.write(np.full((48, 64, 3), 100 + 100 * i // rate, np.uint8))
        writer.release()
    words = [f"source={tmp_path}/visible.mp4", f"infrared={tmp_path}/infrared.mp4", f"project={tmp_path}", "name=f"]
    assert cli.main(["fuse", "method=average", *words]) == 2
    assert cli.main(["fuse", "method=average", "sync=time", *words]) == 0
    assert len(frames_of(tmp_path / "f" / "visible.mp4")) == 10


def test_a_generator_is_fused_as_it_goes(tmp_path):
    def pairs():
        for i in range(3):
            yield np.full((24, 32, 3), 50 * i, np.uint8), np.full((24, 32), 100, np.uint8)

    paths = fuse_images(pairs(), method="average", project=str(tmp_path), verbose=False)
    assert cv2.imread(str(next(paths))).mean() == 50
    assert [cv2.imread(str(path)).mean() for path in paths] == [75, 100]


def test_names_that_repeat_do_not_overwrite_each_other(run, model, tmp_path):
    pairs = [(files(run)[0], run.data.parent / "infrared" / "val" / files(run)[0].name)] * 2
    for name in ("fuse", "fuse-2"):  # nor do runs
        paths = list(model.fuse_images(pairs, project=str(tmp_path), imgsz=IMGSZ, verbose=False))
        assert [p.relative_to(tmp_path).as_posix() for p in paths] == [f"{name}/000000.png", f"{name}/000000-2.png"]


def test_what_was_fused_is_kept_when_a_pair_is_broken(pair_folder, truncate, tmp_path):
    truncate(pair_folder.visible[2])
    done = []
    with pytest.raises(PairError, match=r"2\.png"):
        done.extend(fuse_images(pair_folder.images, method="average", project=str(tmp_path / "out"), verbose=False))
    assert [p.name for p in all_files(tmp_path / "out")] == ["0.png", "1.png", Journal.NAME]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "laplace"}, "'method=laplace' is invalid, did you mean 'laplacian'"),
        ({}, "learned needs model="),
    ],
)
def test_wrong_arguments(pair_folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        next(fuse_images(pair_folder.images, **arguments))


def test_an_export_has_no_front_end(run, model):
    export = MetaFusionYOLO(model.export(format="onnx", imgsz=IMGSZ))
    with pytest.raises(TypeError, match=r"is an export; use the \.pt checkpoint"):
        export.fuse_images(run.source)


def test_real_pairs_keep_their_size_and_colours(model, roadscene, tmp_path):
    rig = yaml.safe_load((roadscene / "data.yaml").read_text())
    assert rig["val"] == "images/val"
    for method in METHODS:
        source = sorted((roadscene / "images" / "val").glob("*"))[:2]
        for path, file in zip(
            model.fuse_images(source, method=method, project=str(tmp_path), name=method, imgsz=160, verbose=False),
            source,
            strict=True,
        ):
            fused, visible = cv2.imread(str(path)), cv2.imread(str(file))
            assert fused.shape == visible.shape
            inside = ((fused > 4) & (fused < 251) & (visible > 4) & (visible < 251)).all(-1)
            chroma = [np.diff(image.astype(int), axis=-1)[inside] for image in (fused, visible)]
            if method == "learned":  # which shows a share of the colours, and no other ones
                assert (np.abs(chroma[0]) <= np.abs(chroma[1]) + 2).all() and (chroma[0] * chroma[1] >= -2 * 2).all()
            else:
                assert np.abs(chroma[0] - chroma[1]).max() <= 2  # no colour cast
