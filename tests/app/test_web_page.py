"""The page in a real browser, with a real model; skipped where there is no Chromium."""

import base64
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_study import blobs
from test_visitors import free_port
from test_volume_study import seeing, written

import spatialembed as se
from spatialembed.app.web_page import serve
from spatialembed.errors import UserError

NAMES = ("chromium", "chromium-browser", "chrome", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

DROP = """([zone, name, content]) => {
  const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name));
  document.querySelector(zone).dispatchEvent(
    new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def address():
    page, address = serve(se.load("nuclei"), port=free_port(), browser=False)
    assert "127.0.0.1" in address
    yield address
    page.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    page.close()


def give(page, path):
    page.set_input_files("input[type=file]", str(path))


def counted(page, number):
    page.get_by_text(f"{number} found in").wait_for()
    assert page.locator(".stage path").count() == number


def drag(page, slider, to):
    """Take the knob with the mouse to a share of the slider's length."""
    box = slider.bounding_box()
    low, high = (float(slider.get_attribute(name)) for name in ("min", "max"))
    y, now = box["y"] + box["height"] / 2, (float(slider.input_value()) - low) / (high - low)
    page.mouse.move(box["x"] + now * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + to * box["width"], y, steps=8)
    page.mouse.up()


def test_drop_look_point_move_and_download(page, address, tmp_path):
    stored = tmp_path / "my blobs.tif"
    tifffile.imwrite(stored, blobs())
    content = base64.b64encode(stored.read_bytes()).decode()
    page.evaluate(DROP, ["button:has(input[type=file])", stored.name, content])
    counted(page, 4)

    page.locator(".stage path").first.hover()
    told = page.locator(".told")
    told.wait_for(state="visible")
    assert "score 0." in told.inner_text()
    assert "pixels" in told.inner_text()

    before = page.locator(".stage img").get_attribute("src")
    for view in ("offsets", "centers and margins", "seed map", "where pixels land"):
        page.get_by_label(view).check()
        page.wait_for_function(f"document.querySelector('.stage img').src != {before!r}")
        before = page.locator(".stage img").get_attribute("src")
        assert page.locator(".stage path").count() == 4
    page.get_by_label("instances").check()
    # What is typed while an answer is under way is lost.
    page.wait_for_function(f"document.querySelector('.stage img').src != {before!r}")

    size = page.locator("input[type=number]").nth(2)
    size.fill("900")
    size.press("Enter")
    counted(page, 0)
    size.fill("20")
    size.press("Enter")
    counted(page, 4)
    slider = page.locator("input[type=range]").nth(2)
    drag(page, slider, to=0.95)
    counted(page, 0)
    drag(page, slider, to=0.02)
    counted(page, 4)

    page.wait_for_timeout(1500)  # a drag is several moves, and files follow the last answer
    with page.expect_download() as download:
        page.get_by_text("Label map").click()
    labels = tifffile.imread(download.value.path())
    assert labels.shape == (160, 160)
    assert labels.max() == 4
    with page.expect_download() as download:
        page.get_by_text("Measurements").click()
    assert download.value.suggested_filename == "my blobs.csv"
    assert len(download.value.path().read_text().splitlines()) == 5

    page.get_by_label("Clear").or_(page.get_by_label("Remove")).first.click()
    page.get_by_text("Drop an image in").wait_for()
    assert page.get_by_text("Label map").is_disabled()

    elsewhere = [url for url in page.asked if not url.startswith((address, "data:", "blob:"))]
    assert not elsewhere


def test_says_what_is_wrong_and_takes_the_next_image(page, tmp_path):
    (tmp_path / "notes.tif").write_text("no image")
    give(page, tmp_path / "notes.tif")
    page.get_by_text("notes.tif cannot be read as an image").wait_for()
    page.get_by_label("Clear").or_(page.get_by_label("Remove")).first.click()
    Image.fromarray(np.zeros((8000, 6250), np.uint8)).save(tmp_path / "wide.png")
    give(page, tmp_path / "wide.png")
    page.get_by_text("wide.png has 50 megapixels, this page takes up to 25").wait_for()
    page.get_by_label("Clear").or_(page.get_by_label("Remove")).first.click()
    tifffile.imwrite(tmp_path / "good.tif", blobs())
    give(page, tmp_path / "good.tif")
    counted(page, 4)


def test_a_port_that_is_taken(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(UserError, match=rf"127\.0\.0\.1 cannot be listened on at port {port}"):
        serve(se.load("nuclei"), port=port, browser=False)


@pytest.fixture
def page_of_volumes(browser):
    page, address = serve(seeing(), port=free_port(), browser=False)
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(60_000)
    opened.goto(address)
    opened.wait_for_selector("input[type=file]", state="attached")
    yield opened
    opened.close()
    page.close()


def test_a_stack_is_walked_through_and_cut(page_of_volumes, tmp_path):
    page, path = page_of_volumes, written(tmp_path)
    give(page, path)
    page.get_by_text("of them at z = 7").wait_for()
    slider = page.locator("input[type=range]").nth(3)
    assert slider.get_attribute("max") == "13"
    slider.focus()
    for z, count in ((6, 1), (5, 2), (4, 2)):
        page.keyboard.press("ArrowLeft")
        page.get_by_text(f"{count} of them at z = {z}").wait_for()
    assert page.locator(".stage path").count() == 2
    page.locator(".stage path").first.hover()
    told = page.locator(".told")
    told.wait_for(state="visible")
    assert "voxels" in told.inner_text()

    page.get_by_label("cuts at y").check()
    page.get_by_text("of them at y = 22").wait_for()
    drag(page, slider, to=12 / 43)
    page.get_by_text("2 of them at y = 12").wait_for()
    before = page.locator(".stage img").get_attribute("src")
    page.get_by_label("offsets").check()
    page.wait_for_function(f"document.querySelector('.stage img').src != {before!r}")

    size = page.locator("input[type=number]").nth(2)
    size.fill("900")
    size.press("Enter")
    page.get_by_text("0 found in a").wait_for()
    size.fill("20")
    size.press("Enter")
    page.get_by_text("3 found in a").wait_for()
    page.wait_for_timeout(1500)
    with page.expect_download() as download:
        page.get_by_text("Label map").click()
    with tifffile.TiffFile(download.value.path()) as file:
        assert file.series[0].shape == (14, 44, 56)
        assert file.imagej_metadata["spacing"] == 0.5
