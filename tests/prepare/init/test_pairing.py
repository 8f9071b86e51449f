"""How two folders are paired: by names, EXIF times and looks; what is in doubt is refused with its candidates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from metafusion_yolo.data.shown_in import ShownIn
from metafusion_yolo.options import Init
from metafusion_yolo.prepare.draft import draft
from metafusion_yolo.prepare.init import init_dataset
from metafusion_yolo.prepare.pairing import AmbiguousPairingError, propose, taken_at
from tests.conftest import linked_roads, real_pairs
from tests.prepare.init.conftest import save, scene


def both(root: Path) -> tuple[list[str], list[str]]:
    """Return the files of the folders `a` and `b`, sorted."""
    return tuple(sorted(map(str, (root / side).iterdir())) for side in "ab")  # type: ignore[return-value]


def moment(second: float) -> str:
    return f"20240601_1200{int(second):02}_{round(second % 1 * 1000):03}"


def photo(file: Path, second: float) -> None:
    """Write a photograph that was taken so many seconds after noon."""
    file.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[36867] = f"2024:06:01 12:{int(second) // 60:02}:{int(second) % 60:02}"
    details[37521] = f"{round(second % 1 * 100):02}"
    Image.new("RGB", (16, 16)).save(file, exif=exif)


def test_exif_times_pair_what_names_do_not(tmp_path) -> None:
    for i in range(6):
        photo(tmp_path / f"a/{'qwerty'[i]}.jpg", 20 * i)
        photo(tmp_path / f"b/{'asdfgh'[5 - i]}.jpg", 20 * i + 1.25)
    photo(tmp_path / "b/late.jpg", 1000)
    assert taken_at(str(tmp_path / "b/h.jpg")) - taken_at(str(tmp_path / "a/q.jpg")) == 1.25
    for by in ("auto", "exif"):
        found = propose(*both(tmp_path), by)
        assert found.by == "times in EXIF"
        assert {Path(v).stem + Path(i).stem for v, i in found.pairs.items()} == {"qh", "wg", "ef", "rd", "ts", "ya"}
        assert found.alone == ([], [str(tmp_path / "b/late.jpg")])
        assert "1 infrared images without a partner, for example 'late.jpg'" in found.summary()


def test_exif_times_of_a_burst_pair_nothing(tmp_path) -> None:
    for i in range(6):
        photo(tmp_path / f"a/{'qwerty'[i]}.jpg", 0.3 * i)
        photo(tmp_path / f"b/{'asdfgh'[i]}.jpg", 0.3 * i + 0.15)
    with pytest.raises(AmbiguousPairingError, match="6 images have several partners as likely, for example"):
        propose(*both(tmp_path), "exif")


def test_looks_pair_real_images_whose_names_say_nothing(tmp_path) -> None:
    pairs = real_pairs(linked_roads(tmp_path), 12)
    for i, (visible, infrared) in enumerate(pairs):
        save(tmp_path / f"a/{i}.jpg", cv2.imread(str(visible)))
        save(tmp_path / f"b/{chr(122 - i)}.jpg", cv2.imread(str(infrared), 0))
    found = propose(*both(tmp_path), "looks")
    right = [ord(Path(i).stem) == 122 - int(Path(v).stem) for v, i in found.pairs.items()]
    assert len(right) >= 10 and all(right)
    with pytest.raises(AmbiguousPairingError, match=r"no partner for 12 of 12 images by .*; nothing is written"):
        propose(*both(tmp_path))


@pytest.mark.parametrize(
    ("visible", "infrared", "message"),
    [
        (  # either camera has two images of each number
            [f"{i}_{letter}.png" for i in range(3) for letter in "xy"],
            [f"{i}_{letter}.png" for i in range(3) for letter in "pq"],
            "3 images have several partners as likely, for example '0_x.png', '0_y.png', '0_p.png', ...; give a glob",
        ),
        (  # two infrared cameras
            [f"x{i}.jpg" for i in range(3)],
            [f"x{i}_{side}.jpg" for i in range(3) for side in ("left", "right")],
            "3 images have several partners as likely, for example 'x0.jpg', 'x0_left.jpg', 'x0_right.jpg'; "
            "give a glob of one camera, such as infrared='",
        ),
        (  # numbers say one thing, the nearest times another
            [f"{i}_{moment(2.2 * i)}.png" for i in range(12)],
            [f"{i}_{moment(2.2 * i + 2)}.png" for i in range(12)],
            "ambiguous: '",
        ),
        (["a.png", "b.png"], ["c.png", "d.png"], "no partner for 2 of 2 images by "),
    ],
)
def test_doubt_lists_its_candidates_and_writes_nothing(tmp_path, visible, infrared, message) -> None:
    for side, names in (("a", visible), ("b", infrared)):
        for name in names:
            save(tmp_path / side / name, np.zeros((8, 8), np.uint8))
    with pytest.raises(AmbiguousPairingError) as caught:
        init_dataset(Init(tmp_path / "a", tmp_path / "b", dst=tmp_path / "pairs"))
    assert str(caught.value).startswith(message)
    assert "nothing is written; choose by=" in str(caught.value)
    assert not (tmp_path / "pairs").exists()


def test_cameras_that_do_not_line_up_are_registered(tmp_path) -> None:
    for i, (visible, infrared) in enumerate(real_pairs(linked_roads(tmp_path), 6)):
        size = (120, 80)
        image, heat = (cv2.resize(cv2.imread(str(file)), size) for file in (visible, infrared))
        save(tmp_path / f"a/{i}.png", image[..., ::-1])
        save(tmp_path / f"b/{i}.png", cv2.cvtColor(heat, cv2.COLOR_BGR2GRAY)[5:75, 10:110])
    found, page = init_dataset(Init(tmp_path / "a", tmp_path / "b", dst=tmp_path / "pairs"))
    content = yaml.safe_load(found.yaml.read_text())
    matrix = np.array(content["registration"]["matrix"])
    corners = np.array([[0, 0, 1], [100, 0, 1], [100, 70, 1], [0, 70, 1]]) @ matrix.T
    there = np.array([[10, 5], [110, 5], [110, 75], [10, 75]])
    assert np.abs(corners[:, :2] / corners[:, 2:] - there).max() < 0.02 * 120
    assert "a matrix brings them together" in page.read_text()


def test_unreadable_images_are_named(tmp_path, caplog) -> None:
    for i in range(4):
        visible, infrared, _ = scene(i)
        save(tmp_path / f"a/{i}.png", visible)
        save(tmp_path / f"b/{i}.png", infrared)
    (tmp_path / "b/2.png").write_bytes(b"no image")
    init_dataset(Init(tmp_path / "a", tmp_path / "b", dst=tmp_path / "pairs"))
    said = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert len(said) == 1
    assert "1 of 4 pairs looked at cannot be used" in said[0] and "metafusion data check lists all" in said[0]


def test_who_shows_what_comes_along(tmp_path, monkeypatch) -> None:
    for i in range(4):
        image, heat, row = scene(i)
        save(tmp_path / f"a/images/{i}.png", image), save(tmp_path / f"a/infrared/{i}.png", heat)
        (tmp_path / "a/labels").mkdir(exist_ok=True)
        (tmp_path / f"a/labels/{i}.txt").write_text(row)
    (tmp_path / "a/shown_in.csv").write_text(
        "file,box,class,shown_in,condition\nlabels/1.txt,0,0,infrared,night\nlabels/9.txt,0,0,both,day\n"
    )
    monkeypatch.chdir(tmp_path)
    found, _ = init_dataset(Init("a/images", "a/infrared", dst="b"))
    assert "shown_in.csv: taken along, for 1 label files" in found.notes
    assert ShownIn("b").of(tmp_path / "a/labels/1.txt", [0]) == ["infrared"]
    assert (tmp_path / "b/shown_in.csv").read_text().endswith("condition\n../a/labels/1.txt,0,0,infrared,night\n")


def test_pairs_without_a_label_are_counted_wherever_the_labels_are(tmp_path) -> None:
    images, heats, labels = (tmp_path / name for name in ("images", "infrared", "labels"))
    for i in range(6):
        image, heat, _ = scene(i)
        save(images / f"{i}.png", image)
        save(heats / f"{i}.png", heat)
    labels.mkdir()
    for i in range(4):
        (labels / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"images/{i}.png,infrared/{i}.png,labels/{i}.txt\n" for i in range(6)))
    beside = draft(tmp_path / "a", Init(images, heats))
    assert "4 labels, beside the visible images" in beside.notes
    for drafted in (beside, draft(tmp_path / "b", Init(images, heats, labels)), draft(tmp_path / "c", Init(rows))):
        assert "without a label, taken for empty: 2" in drafted.notes
