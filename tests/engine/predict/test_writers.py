"""Files that grow: whole after every step, read back with other libraries."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from metafusion_yolo.engine.predict.writers import (
    BackgroundWriter,
    CsvTable,
    JsonArray,
    Names,
    PictureFolder,
)
from metafusion_yolo.support.files import write_image


def frames_of(file) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(file)), []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return frames


def test_a_json_array_is_valid_after_every_record(tmp_path):
    file = tmp_path / "a.json"
    array = JsonArray(file)
    records = [{"a": 1}, {"a": None, "b": ["é", 2.5]}, {}]
    for count, record in enumerate(records, start=1):
        assert json.loads(file.read_text() or "[]") == records[: count - 1]
        array.add(record)
        assert json.loads(file.read_text()) == records[:count]
    array.close()
    assert json.loads(file.read_text()) == records


def test_a_csv_table_is_readable_after_every_row(tmp_path):
    file = tmp_path / "a.csv"
    table = CsvTable(file, ("path", "frame"))
    table.add([{"path": 'a, "b".png', "frame": None}])
    table.add([{"path": "c\udce9.png", "frame": 2}])  # a file name that is no UTF-8
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        assert list(csv.reader(lines)) == [["path", "frame"], ['a, "b".png', ""], ["c\udce9.png", "2"]]
    table.close()


def test_names_never_repeat():
    names = Names()
    paths = ["a/1.png", "b/1.png", "a/1.jpg", "a/1-2.png", "c/2.tar.png", "c/2.png"]
    assert [names.of_image(path) for path in paths] == ["1", "1-2", "1-3", "1-2-2", "2.tar", "2"]
    assert [names.of_video(path) for path in ("a/1.mp4", "b/v.mp4", "a/1.mp4")] == ["1-4", "v", "1-4"]


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_a_video_plays_with_all_frames_at_its_rate(tmp_path, size):
    folder = PictureFolder(tmp_path / "deep" / "fused")
    for level in (40, 120, 200):
        assert folder.add("v", np.full((*size, 3), level, np.uint8), fps=12.5) == tmp_path / "deep" / "fused" / "v.mp4"
    folder.add("v", np.full((20, 30, 3), 240, np.uint8), fps=12.5)  # a camera that changed its size
    folder.close()
    frames = frames_of(tmp_path / "deep" / "fused" / "v.mp4")
    assert [round(frame.mean(), -1) for frame in frames] == [40, 120, 200, 240]
    assert {frame.shape for frame in frames} == {(48, 64 if size[1] == 64 else 66, 3)}
    assert cv2.VideoCapture(str(tmp_path / "deep" / "fused" / "v.mp4")).get(cv2.CAP_PROP_FPS) == 12.5


def test_pictures_are_lossless(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(cv2.imread(str(PictureFolder(tmp_path).add("ä b", picture))), picture)


@pytest.mark.parametrize("fps", [None, 25])
def test_what_cannot_be_written_is_not_passed_over(tmp_path, fps):
    folder = PictureFolder(tmp_path / "fused")
    folder.folder.rmdir()
    with pytest.raises(OSError, match=r"cannot write '.*fused/a\.(png|mp4)'"):
        folder.add("a", np.zeros((8, 8, 3), np.uint8), fps)
    folder.close()


# Writing behind ------------------------------------------------------------------------------------------------------
def test_pictures_written_behind_are_all_there_at_the_end(tmp_path):
    pictures = [np.full((40, 60, 3), 5 * i, np.uint8) for i in range(20)]
    writer = BackgroundWriter(behind=3)
    for i, picture in enumerate(pictures):
        writer.add(write_image, tmp_path / f"{i}.png", picture)
    writer.close()
    for i, picture in enumerate(pictures):
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"{i}.png")), picture)


def test_failure_of_writing_behind_is_raised(tmp_path):
    writer = BackgroundWriter()
    with pytest.raises(OSError, match=r"cannot write '.*nowhere.*0.png': No such file"):
        for i in range(20):
            writer.add(write_image, tmp_path / "nowhere" / f"{i}.png", np.zeros((4, 4, 3), np.uint8))
    writer = BackgroundWriter()
    with pytest.raises(OSError, match="cannot write"):
        writer.add(write_image, tmp_path / "nowhere" / "0.png", np.zeros((4, 4, 3), np.uint8))
        writer.close()


def test_nothing_is_written_behind_what_could_not_be(tmp_path):
    done = []
    writer = BackgroundWriter()
    with pytest.raises(OSError, match="cannot write"):
        writer.add(write_image, tmp_path / "nowhere" / "0.png", np.zeros((4, 4, 3), np.uint8))
        writer.add(done.append, 0)
        writer.close()
    assert done == []


# Going on ------------------------------------------------------------------------------------------------------------
def test_records_of_what_is_done_are_kept_and_half_ones_dropped(tmp_path):
    file = tmp_path / "p.json"
    array = JsonArray(file)
    for name in ("a", "b", "c"):
        array.add({"visible": name, "n": [1, 2]})
    array.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:-12])  # half of the record of c
    array = JsonArray(file, keep={"a", "b", "c"})
    array.add({"visible": "c", "n": [1, 2]})
    array.close()
    assert file.read_bytes() == whole
    JsonArray(file, keep={"x"}).close()
    assert json.loads(file.read_text()) == []


def test_rows_of_what_is_done_are_kept_and_half_ones_dropped(tmp_path):
    file = tmp_path / "p.csv"
    table = CsvTable(file, ("visible", "n"))
    table.add([{"visible": "\udcff, ä", "n": None}, {"visible": "b", "n": 0.5}, {"visible": "b", "n": 1}])
    table.close()
    whole = file.read_bytes()
    with file.open("ab") as lines:
        lines.write(b"c")
    table = CsvTable(file, ("visible", "n"), keep={"\udcff, ä", "b"})
    table.close()
    assert file.read_bytes() == whole
