"""The live part of the page in a real browser: pictures that follow the cameras, events, and a clip that plays."""

from __future__ import annotations

import pytest

from metafusion_yolo.serve import lineup
from tests.serve.conftest import barriers
from tests.serve.watch.test_service import events, shapes, wait_for

WIDTH = "document.querySelector('#clip').videoWidth"


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")], ids=["phone", "desk"])
def test_live(watching, browser, folder, width, scheme, monkeypatch) -> None:
    monkeypatch.setattr(lineup, "PAUSE", 0.05)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said = context.new_page(), []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://{watching.host}/")
    for pair in ("gate", "yard"):
        feed = page.locator(".feed", has=page.locator(f"h2:text('{pair}')"))
        feed.locator(".badge:text('both cameras')").wait_for()
        picture = feed.locator("img[src^=blob]").element_handle()
        page.wait_for_function("([one, src]) => one.src !== src", arg=[picture, picture.get_attribute("src")])
    page.select_option("#look", "infrared")
    wait_for(lambda: events(watching, event="crowded"))
    clip = folder / "clips" / events(watching)[-1]["clip"]
    wait_for(lambda: len(shapes(clip)) >= 10)
    wait_for(lambda: plays(page))
    page.click("#close")
    assert page.locator("#player").is_hidden()
    assert barriers(page) == []
    page.click("nav a:text('Line up')")  # what the cameras show now
    page.wait_for_selector(".figure.good:has-text('px')")
    picture = page.get_attribute("#infrared", "src")
    page.wait_for_function("before => document.querySelector('#infrared').src !== before", arg=picture)
    page.locator(".handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.click("#save")
    page.wait_for_selector("#problem:has-text('there is no data-set YAML of yours')")
    assert "status of 403" in said.pop()  # by the browser itself
    page.click("nav a:text('Try')")
    page.wait_for_selector("#scene:enabled")
    assert said == [] and page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def plays(page) -> bool:
    """Return whether the oldest clip plays; one that is still being written says so."""
    page.locator(".play").last.click()
    page.wait_for_function(
        f"() => {WIDTH} === 128 || document.querySelector('#clip-state').textContent.includes('still')"
    )
    written = page.evaluate(WIDTH) == 128
    if not written:
        page.click("#close")
    return written
