"""What is written for other tools is read back as it was, and by the tools' own readers where they are installed."""

from __future__ import annotations

import json
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from metafusion_yolo.labelling.corrections import read_export
from metafusion_yolo.labelling.found import Found
from metafusion_yolo.labelling.tools import coco, cvat, fiftyone, label_studio
from tests.labelling.conftest import NAMES


def exported(tool: str, folder, sheets):
    """Write the tasks of a tool and return what it exports if nobody changes anything."""
    if tool == "coco":
        return coco.write(folder, sheets, NAMES)
    if tool == "cvat":
        return cvat.write(folder, sheets, NAMES) / "annotations.xml"
    if tool == "fiftyone":
        return fiftyone.write(folder, sheets, NAMES)
    return submitted(label_studio.write(folder, sheets, NAMES) / "tasks.json")


def submitted(file):
    """Make annotations of predictions, as Label Studio does when a task is submitted."""
    tasks = json.loads(file.read_text())
    for number, task in enumerate(tasks):
        task |= {"id": number, "annotations": [{"id": number, "result": task.pop("predictions")[0]["result"]}]}
        task["annotations"][0] |= {"created_at": "2026-01-01T00:00:00Z", "was_cancelled": False}
    target = file.with_name("export.json")
    target.write_text(json.dumps(tasks))
    return target


@pytest.mark.parametrize("tool", ["coco", "cvat", "label-studio", "fiftyone"])
def test_what_is_written_is_read_back(tool, folder, sheets) -> None:
    found = read_export(exported(tool, folder, sheets))
    assert [name.removesuffix(".jpg") for name in found] == [sheet.key for sheet in sheets]
    for objects, sheet in zip(found.values(), sheets, strict=True):
        in_order = [sorted(side, key=lambda one: one.box_xyxyn) for side in (objects, sheet.found)]
        for one, other in zip(*in_order, strict=True):
            np.testing.assert_allclose(one.box_xyxyn, other.box_xyxyn, atol=2e-4)
            assert (one.name, one.score, one.shows_in) == (other.name, other.score, other.shows_in)


def test_cvat_finds_the_infrared_image_beside_each(folder, sheets) -> None:
    root = cvat.write(folder, sheets, NAMES)
    with zipfile.ZipFile(root / "images.zip") as archive:
        assert archive.namelist()[:2] == ["images/day 1/0.a.jpg", "images/day 1/related_images/0_a_jpg/infrared.jpg"]
        assert len(archive.namelist()) == 6
    labels = json.loads((root / "labels.json").read_text())
    assert [label["name"] for label in labels] == list(NAMES.values())


def test_cvat_exports_a_zip(tmp_path, folder, sheets) -> None:
    file = cvat.write(folder, sheets, NAMES) / "annotations.xml"
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(file, "annotations.xml")
    assert read_export(tmp_path / "export.zip") == read_export(file)


def test_label_studio_draws_a_box_where_it_shows_and_joins_what_a_person_draws_twice(folder, sheets) -> None:
    file = submitted(label_studio.write(folder, sheets, NAMES) / "tasks.json")
    tasks = json.loads(file.read_text())
    results = tasks[0]["annotations"][0]["result"]
    assert [result["to_name"] for result in results] == ["visible", "visible", "infrared"]
    again = json.loads(json.dumps(results[0]))  # the first box on the infrared image too, a little to the right
    again["to_name"], again["value"]["x"] = "infrared", again["value"]["x"] + 2
    results.append(again)
    tasks[1]["annotations"] = []  # not done yet
    file.write_text(json.dumps(tasks))
    found = read_export(file)
    assert [*found] == [sheets[0].key, sheets[2].key]
    assert len(found[sheets[0].key]) == 3
    both = found[sheets[0].key][0]
    np.testing.assert_allclose(both.box_xyxyn, (0.135, 0.25, 0.51, 0.75))
    assert both.shows_in == "both"


def test_a_turned_box_of_label_studio_becomes_the_upright_one_around_it() -> None:
    value = {"x": 50, "y": 50, "width": 25, "height": 10, "rotation": 90, "rectanglelabels": ["car"]}
    size = {"original_width": 200, "original_height": 100}
    result = {"type": "rectanglelabels", "to_name": "infrared", "value": value, **size}
    [one] = label_studio.read([{"data": {"pair": "7"}, "annotations": [{"result": [result]}]}])["7"]
    np.testing.assert_allclose(one.box_xyxyn, (0.45, 0.5, 0.5, 1.0))  # 50 x 10 pixels about (100, 50), now 10 x 50
    assert (one.name, one.score, one.shows_in) == ("car", None, "infrared")


# The tools themselves -----------------------------------------------------------------------------------------------
def test_datumaro_reads_our_cvat_file_and_we_read_its_own(tmp_path, folder, sheets) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro reads and writes the files of CVAT")
    root = cvat.write(folder, sheets, NAMES)
    with zipfile.ZipFile(root / "images.zip") as archive:
        archive.extractall(root / "images")
    data = datumaro.Dataset.import_from(str(root / "annotations.xml"), "cvat")
    boxes = {item.id: item.annotations for item in data}
    assert [*boxes] == [sheet.key for sheet in sheets]
    first = boxes[sheets[0].key]
    assert [box.attributes["shows_in"] for box in first] == ["both", "visible", "infrared"]
    np.testing.assert_allclose(first[0].get_bbox(), (8, 12, 24, 24))
    data.export(str(tmp_path / "export"), "cvat", save_media=False)
    [file] = (tmp_path / "export").glob("*.xml")
    assert [*read_export(file).values()] == [*read_export(root / "annotations.xml").values()]


def test_datumaro_reads_our_coco_file(tmp_path, folder, sheets) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro reads COCO")
    home = tmp_path / "coco" / "annotations"
    home.mkdir(parents=True)
    (tmp_path / "coco" / "images").symlink_to(folder / "pictures" / "visible")
    (home / "instances_train.json").write_text(coco.write(folder, sheets, NAMES).read_text())
    data = datumaro.Dataset.import_from(str(tmp_path / "coco"), "coco_instances")
    boxes = {item.id: item.annotations for item in data}
    assert {key: len(found) for key, found in boxes.items()} == {sheet.key: len(sheet.found) for sheet in sheets}
    np.testing.assert_allclose(boxes[sheets[0].key][1].get_bbox(), (32, 24, 32, 24))


def test_label_studio_takes_our_interface_and_tasks_and_converts_them(tmp_path, folder, sheets) -> None:
    reason = "label-studio-sdk checks and converts tasks"
    interfaces = pytest.importorskip("label_studio_sdk.label_interface", reason=reason)
    converters = pytest.importorskip("label_studio_sdk.converter", reason=reason)
    root = label_studio.write(folder, sheets, NAMES)
    config = (root / "config.xml").read_text()
    interface = interfaces.LabelInterface(config)
    interface.validate()
    for task in json.loads((root / "tasks.json").read_text()):
        assert interface.validate_task({"data": task["data"]})
        assert interface.validate_prediction(task["predictions"][0])
    converter = converters.Converter(config, str(tmp_path), output_tags=["visible-boxes"])
    converter.convert_to_coco(str(submitted(root / "tasks.json")), str(tmp_path / "out"), is_dir=False)
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert sorted(item["bbox"] for item in content["annotations"])[0] == [8, 12, 24, 24]


def test_fiftyone_reads_our_samples(folder, sheets) -> None:
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason="fiftyone reads its data sets")
    root = fiftyone.write(folder, sheets, NAMES)
    importer = importers.FiftyOneDatasetImporter(str(root))
    assert importer._is_legacy_format_data()  # plain JSON, which needs no database
    with importer._to_legacy_importer() as plain:
        samples = [*plain]
    assert [sample.group.name for sample in samples] == ["visible", "infrared"] * 3
    assert samples[0].group.id == samples[1].group.id != samples[2].group.id
    assert samples[0].filepath == str(sheets[0].visible)
    assert [d.shows_in for d in samples[1].objects.detections] == ["both", "visible", "infrared"]
    back = {"samples": [json.loads(sample.to_json()) for sample in samples]}  # as its export has them
    assert [*fiftyone.read(back).values()] == [*read_export(root).values()]


def test_nothing_is_made_up_of_a_person_who_drew_without_attributes() -> None:
    xml = '<annotations><image name="7.jpg" width="10" height="20"><box label="car" xtl="1" ytl="2" xbr="5" ybr="10"/>'
    found = cvat.read(ElementTree.fromstring(f"{xml}</image></annotations>"))
    assert found == {"7.jpg": [Found("car", (0.1, 0.1, 0.5, 0.5), None, "")]}
