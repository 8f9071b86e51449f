"""CVAT: "CVAT for images 1.1", with the infrared image of each pair as its related image."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from metafusion_yolo.labelling.found import BOTH, CAMERAS, Found, Sheet

Element = ElementTree.Element


def write(folder: Path, sheets: Sequence[Sheet], names: Mapping[int, str]) -> Path:
    """Write the files of a task into `cvat/`.

    `images.zip` is its data: the visible images, and the infrared ones where CVAT looks for related images.
    `labels.json` is for the raw label editor, `annotations.xml` for "Upload annotations".

    Returns:
        The folder.
    """
    root = folder / "cvat"
    root.mkdir(exist_ok=True)
    attributes = [
        {"name": "shows_in", "mutable": False, "input_type": "select", "default_value": BOTH, "values": [*CAMERAS]},
        {"name": "score", "mutable": False, "input_type": "text", "default_value": "", "values": [""]},
    ]
    labels = [{"name": name, "type": "rectangle", "attributes": attributes} for name in names.values()]
    (root / "labels.json").write_text(json.dumps(labels, indent=1), encoding="utf-8")
    with zipfile.ZipFile(root / "images.zip", "w") as archive:  # pictures are compressed already
        for sheet in sheets:
            path = PurePosixPath(sheet.key + sheet.visible.suffix)
            related = path.parent / "related_images" / path.name.replace(".", "_") / f"infrared{sheet.infrared.suffix}"
            archive.write(sheet.visible, str(path))
            archive.write(sheet.infrared, str(related))
    tree = ElementTree.ElementTree(_document(sheets, names))
    ElementTree.indent(tree)
    tree.write(root / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return root


def _document(sheets: Sequence[Sheet], names: Mapping[int, str]) -> Element:
    root = Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    for key, text in (("name", "metafusion"), ("size", str(len(sheets))), ("mode", "annotation")):
        ElementTree.SubElement(task, key).text = text
    labels = ElementTree.SubElement(task, "labels")
    for name in names.values():
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        attributes = ElementTree.SubElement(label, "attributes")
        for key, kind, values in (("shows_in", "select", "\n".join(CAMERAS)), ("score", "text", "")):
            attribute = ElementTree.SubElement(attributes, "attribute")
            words = {"name": key, "mutable": "False", "input_type": kind, "default_value": values.partition("\n")[0]}
            for word, text in {**words, "values": values}.items():
                ElementTree.SubElement(attribute, word).text = text
    for number, sheet in enumerate(sheets):
        width, height = map(str, sheet.size)
        described = {"id": str(number), "name": sheet.key + sheet.visible.suffix, "width": width, "height": height}
        image = ElementTree.SubElement(root, "image", described)
        for one in sheet.found:
            corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, sheet.pixels(one)), strict=True))
            known = {"label": one.name, "source": "auto", "occluded": "0", "z_order": "0"}
            box = ElementTree.SubElement(image, "box", {**known, **corners})
            ElementTree.SubElement(box, "attribute", {"name": "shows_in"}).text = one.shows_in
            ElementTree.SubElement(box, "attribute", {"name": "score"}).text = _number(one.score)
    return root


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def read(root: Element) -> dict[str, list[Found]]:
    """Return the objects of an export by image; only rectangles count."""
    found: dict[str, list[Found]] = {}
    for image in root.iter("image"):
        width, height = float(image.attrib["width"]), float(image.attrib["height"])
        found[image.attrib["name"]] = objects = []
        for box in image.iter("box"):
            left, top, right, bottom = (float(box.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
            more = {item.get("name"): (item.text or "").strip() for item in box.iter("attribute")}
            corners = left / width, top / height, right / width, bottom / height
            score = float(more["score"]) if more.get("score") else None
            shows = more.get("shows_in", "")
            objects.append(Found(box.attrib["label"], corners, score, shows))
    return found
