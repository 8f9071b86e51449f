"""The page in a real browser: a pair is dragged in, looked at, filtered and saved, on a phone and on a desk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import combinations
from threading import Event, Thread

import cv2
import numpy as np
import pytest

from metafusion_yolo.options.serve import App
from metafusion_yolo.serve import server
from tests.serve.conftest import barriers, encoded

DROP = """files => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(files))
    data.items.add(new File([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], name));
  return data;
}"""
TAGS = """() => {
  const context = document.createElement("canvas").getContext("2d");
  const box = (i) => ({ x1: 90 + i, y1: 50 + i, x2: 120, y2: 80 });
  const objects = Array.from({ length: 20 }, (_, i) => ({ text: "car", box: box(i) }));
  return place(objects, 1, 1, 19, context, 19);
}"""
PIXELS = "canvas => canvas.toDataURL()"


@pytest.fixture(params=[(390, "dark"), (1400, "light")], ids=["phone", "desk"])
def page(request, app, browser) -> Iterator[object]:
    """The page of the server; at its end nothing has been complained of, nor asked elsewhere, nor cut."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda asking: asked.append((asking.method, asking.url)))
    opened.asked, opened.said = asked, said
    opened.goto(f"http://{app.host}/")
    opened.host = app.host
    opened.wait_for_selector("#state[data-status=ready]")
    yield opened
    assert said == []
    assert barriers(opened) == []
    assert all(url.startswith((f"http://{app.host}/", "data:", "blob:")) for _, url in asked)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def drop(page, files: dict[str, bytes]) -> None:
    texts = {name: base64.b64encode(content).decode() for name, content in files.items()}
    page.dispatch_event("body", "drop", {"dataTransfer": page.evaluate_handle(DROP, texts)})


def posts(page) -> int:
    return sum(method == "POST" for method, _ in page.asked)


def test_drag_in_look_and_save(page, files, tmp_path) -> None:
    drop(page, {"cam_ir.png": files["infrared"], "cam_vis.png": files["visible"]})  # told by their names
    page.wait_for_selector("#result:not([hidden])")
    named = [page.inner_text(f".slot[data-camera={camera}] .file") for camera in ("visible", "infrared")]
    assert named == ["cam_vis.png", "cam_ir.png"]
    assert page.inner_text("#views [aria-pressed=true]") == "fused"
    canvas = page.locator("#stage")
    seen = {canvas.evaluate(PIXELS)}
    page.focus("#view")
    for _ in range(50):  # half a step of the slider: between two views
        page.keyboard.press("ArrowRight")
    seen.add(canvas.evaluate(PIXELS))
    for view in ("visible", "infrared", "weights"):
        page.click(f"[data-view={view}]")
        seen.add(canvas.evaluate(PIXELS))
    assert len(seen) == 5

    page.fill("#conf", "0.05")
    every = page.locator("#rows tr").count()
    scores = [float(text) for text in page.locator("#rows tr td:nth-child(2)").all_inner_texts()]
    page.fill("#conf", f"{sorted(scores)[len(scores) // 2]:.2f}")
    fewer = page.locator("#rows tr").count()
    assert 0 < fewer < every and page.inner_text("#count") == str(fewer)
    page.fill("#conf", "0.05")
    page.locator("#classes input").first.uncheck()
    assert page.locator("#rows tr").count() < every
    assert posts(page) == 1, "all of this without asking the model again"

    page.click("[data-view=visible]")
    page.uncheck("#boxes")
    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.name == "cam_vis-visible.png"
    drawn = cv2.imdecode(np.frombuffer(files["visible"], np.uint8), cv2.IMREAD_COLOR)
    image = cv2.resize(cv2.imread(str(saved)), drawn.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - drawn).mean() < 20  # it was a JPEG, and larger on the screen


def test_the_labels_of_objects_cover_no_other(page) -> None:
    tags = [(i, one["left"], one["top"], one["width"]) for i, one in enumerate(page.evaluate(TAGS)) if one["text"]]
    assert tags[0][0] == 0 and tags[-1][0] == 19 and 3 < len(tags) < 20, "the surest, and the one that is looked at"
    for (_, left, top, width), (_, x, y, _) in combinations(tags[:-1], 2):
        assert abs(top - y) >= 19 or abs(left - x) >= width


def test_a_scene_and_a_file_that_is_none(page, files) -> None:
    page.click("#scene")
    page.wait_for_selector(".slot .file:has-text('synthetic scene 1')")
    assert page.locator("#stage").evaluate("canvas => canvas.width / canvas.height") == pytest.approx(1.25, abs=0.01)
    page.set_input_files(".slot[data-camera=visible] input", [{"name": "a.png", "mimeType": "", "buffer": b"none"}])
    page.set_input_files(
        ".slot[data-camera=infrared] input", [{"name": "b.png", "mimeType": "", "buffer": files["infrared"]}]
    )
    page.wait_for_selector("#problem:has-text(\"'visible' is not a JPEG\")")
    assert "status of 422" in page.said.pop()  # by the browser itself
    page.set_input_files(
        ".slot[data-camera=visible] input", [{"name": "c.png", "mimeType": "", "buffer": files["visible"]}]
    )
    page.wait_for_selector("#problem", state="hidden")
    page.wait_for_selector("#busy:empty", state="attached")


def test_folders_and_videos(page, drawn, tmp_path) -> None:
    many = {
        f"{camera}_{i}.png": encoded(drawn[k] // (1, 256)[k])
        for i in range(3)
        for k, camera in enumerate(("rgb", "ir"))
    }
    drop(page, {**many, "ir_9.png": many["ir_1.png"]})
    page.wait_for_selector("#where:has-text('1 of 3, 1 without a partner: rgb_0.png')")
    page.click("#next")
    page.wait_for_selector("#where:has-text('2 of 3')")
    page.wait_for_selector("#busy:empty", state="attached")
    films = {}
    for camera in ("vis", "ir"):
        film = cv2.VideoWriter(str(tmp_path / f"{camera}.webm"), cv2.VideoWriter.fourcc(*"VP80"), 10, (64, 48))
        for i in range(20):
            film.write(np.roll(drawn[0], i, 1))
        film.release()
        films[f"{camera}.webm"] = (tmp_path / f"{camera}.webm").read_bytes()
    drop(page, films)
    page.wait_for_selector("#where:text-matches('^0.0 of [12].. s$')")
    before = posts(page)
    page.click("#play")
    page.wait_for_selector("#play[aria-pressed=false]")
    assert posts(page) >= before + 5, "five pairs a second"
    assert page.locator("#stage").evaluate("canvas => canvas.width / canvas.height") == pytest.approx(4 / 3, abs=0.01)


@pytest.mark.usefixtures("quick_search")
def test_line_up(page, pairs) -> None:
    """By dragging a point, by the keys, by the pairs; judged in pixels, and written into the YAML."""
    before = pairs.yaml.read_text()
    page.click("nav a:text('Line up')")
    page.wait_for_selector(".figure.good:has-text('px')")
    for handle in page.locator(".handle").all():  # all four by 1.5 of 64 pixels to the right
        area, place = page.locator("#over").bounding_box(), handle.bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + area["width"] * 1.5 / 64, y)
        page.mouse.up()
    assert page.inner_text("#words") == "not measured"
    page.click("#measure")
    page.wait_for_selector(".figure:has-text('px')")
    assert float(page.inner_text("#pixels").split()[0]) == pytest.approx(1.5, abs=0.3)
    page.click("#estimate")
    page.wait_for_selector("#words:has-text('8 pairs')")
    assert float(page.inner_text("#pixels").split()[0]) < 0.5
    page.locator(".handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.click("#undo")
    assert page.is_disabled("#save"), "nothing has changed"
    page.wait_for_selector(".figure.good:has-text('px')")
    page.locator(".handle").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert pairs.yaml.read_text() == before, "nothing is written before it is asked for"
    try:
        page.click("#save")
        page.wait_for_selector("#saved:has-text('Written into data.yaml')")
        [row, *_] = pairs.data["registration"]["matrix"]
        assert row[2] != 0 and before in pairs.yaml.read_text()
        page.check("#blink")
        page.wait_for_function("() => !document.querySelector('#measure').disabled")
    finally:
        pairs.yaml.write_text(before)


def test_compare_runs(page) -> None:
    page.click("nav a:text('Compare runs')")
    first = page.locator("[data-kind=validations] tbody .open")
    first.first.wait_for()
    assert first.all_inner_texts() == ["better", "val"], "best first"
    page.click("[data-kind=validations] thead button:text('mAP50-95')")
    assert first.all_inner_texts() == ["val", "better"]
    left = "table => table.querySelector('tbody th').getBoundingClientRect().left"
    index = page.locator("[data-kind=validations] table")
    before = index.evaluate(left)
    index.evaluate("table => table.parentElement.scrollLeft = 300")
    assert index.evaluate(left) == before, "the first column stays"
    first.first.click()
    page.wait_for_selector("#inside figure img[src^=blob]")
    assert page.locator("#inside figure img").count() >= 3
    page.locator("[data-kind=trainings] .open").click()
    page.wait_for_selector("#inside svg .line0")
    page.locator("[data-kind=comparisons] .open").first.click()
    page.wait_for_selector("#inside svg .estimate")


def test_data_set(page, pairs) -> None:
    """A miss is found and looked at, and its labels are corrected by drawing once for both cameras."""
    label = pairs.root / "labels" / "train" / "1.txt"
    before = label.read_text()
    page.click("nav a:text('Data set')")
    page.wait_for_selector("#review:enabled, #progress:has-text('4 of 4')")
    if page.is_enabled("#review"):
        page.click("#review")
    page.wait_for_selector("#progress:has-text('predictions on 4 of 4')")
    assert page.locator("#rows tr").count() == 4
    page.select_option("#show", "missed")
    assert 0 < page.locator("#rows tr").count() <= 4
    page.select_option("#size", "96,1e9")
    assert page.locator("#rows tr").count() == 0
    page.select_option("#size", "0,1e9")
    page.select_option("#show", "")
    page.locator("#rows .open").nth(1).click()
    page.wait_for_selector("#name:has-text('images/train/1')")
    canvas = page.locator("#stage")
    seen = set()
    for view in ("visible", "infrared", "weights"):
        page.click(f"[data-view={view}]")
        seen.add(canvas.evaluate(PIXELS))
    assert len(seen) == 3
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    page.select_option("#class", "1")
    page.select_option("#shown-in", "infrared")
    page.mouse.move(area["x"] + 2, area["y"] + 2)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 2)
    page.mouse.up()
    page.click("#save")
    page.wait_for_selector("#hint:text('Saved.')")
    rows = label.read_text().splitlines()
    assert len(rows) == len(before.splitlines()) + 1 and rows[-1].startswith("1 0.1")
    for row, old in zip(rows, before.splitlines(), strict=False):
        assert list(map(float, row.split())) == pytest.approx(list(map(float, old.split())), abs=1e-5)
    shown_in = pairs.root / "shown_in.csv"
    table = shown_in.read_text().splitlines()
    assert table[-1] == f"labels/train/1.txt,{len(rows) - 1},1,infrared" and len(table) == len(rows) + 1
    page.select_option("#camera", "infrared")
    page.wait_for_selector("#count:has-text('1 of 4')")
    page.select_option("#camera", "all")
    page.select_option("#object", "0")
    page.click("#remove")
    page.click("#save")
    page.wait_for_function("() => document.querySelector('#save').disabled && document.querySelector('#undo').disabled")
    assert shown_in.read_text().splitlines()[-1] == f"labels/train/1.txt,{len(rows) - 2},1,infrared"
    page.select_option("#object", str(len(rows) - 2))
    page.click("#remove")
    page.click("#save")
    page.wait_for_function("() => document.querySelector('#save').disabled && document.querySelector('#undo').disabled")
    assert len(label.read_text().splitlines()) == len(rows) - 2
    assert label.with_name("1.txt.bak").is_file()


def test_pictures_before_the_model_is_loaded(browser, tiny, files, monkeypatch) -> None:
    """What the cameras show is there at once, and the boxes once there is a model."""
    may = Event()
    load = server.load_engine
    monkeypatch.setattr(server, "load_engine", lambda options: may.wait(60) and load(options))
    one = server.Server(App(str(tiny), port=0, imgsz=64, device="cpu"))
    running = Thread(target=one.run)
    running.start()
    page = browser.new_page()
    page.set_default_timeout(20_000)
    try:
        page.goto(one.url)
        page.click("#scene")
        page.wait_for_selector(".slot .file:has-text('synthetic scene 1')")
        drop(page, {"ir.png": files["infrared"], "vis.png": files["visible"]})
        page.wait_for_selector("#stage")
        assert page.locator("#views button:visible").all_inner_texts() == ["visible", "infrared"]
        assert page.inner_text("#busy") == "the model is being loaded …"
        may.set()
        page.wait_for_selector("#views [aria-pressed=true]:has-text('fused')")
        page.fill("#conf", "0.05")
        assert page.locator("#rows tr").count() > 0
    finally:
        may.set()
        page.close()
        one.stop()
        running.join(30)
