"""The page itself, built with gradio: what is on it, and what happens when something is moved."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialembed.app.drawing import HOVER, STYLE, drawing
from spatialembed.app.study import MOST_MEGAPIXELS, Study, study, write_results
from spatialembed.errors import UserError, missing_extra
from spatialembed.inference.predictor import Model
from spatialembed.pictures import VIEWS

if TYPE_CHECKING:
    import gradio

LARGEST_FILE = "300mb"

KEPT = 24 * 3600
"""Seconds after which files that were given or made are removed."""

EMPTY = "Drop an image in: PNG, TIFF or JPEG."


def serve(
    model: Model, host: str = "127.0.0.1", port: int = 7860, browser: bool = True
) -> tuple[gradio.Blocks, str]:
    """Open the page; it is there as long as the process, or until its ``close()``.

    Args:
        model: what finds the instances.
        host: address to listen on; the default can be reached from this machine alone.
        port: of the page.
        browser: open it in the browser.

    Returns:
        The page and its address.

    Raises:
        UserError: gradio is missing, or the port is taken.
    """
    gr = _gradio()
    page = build(model)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=browser,
            prevent_thread_lock=True,
            max_file_size=LARGEST_FILE,
            # The fonts of the system: nothing is asked of any other machine.
            theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=STYLE,
            footer_links=[],
            quiet=True,
            share=False,
            ssr_mode=False,
        )
    except OSError as error:
        raise UserError(
            f"{host} cannot be listened on at port {port}: choose another --port, or check --host"
        ) from error
    return page, address


def build(model: Model) -> gradio.Blocks:
    """The page of a model, not yet open.

    Raises:
        UserError: gradio is missing.
    """
    gr = _gradio()
    seed, foreground, size = model.settings()
    page: gradio.Blocks
    with gr.Blocks(
        title=f"spatialembed: {model.name}", analytics_enabled=False, delete_cache=(3600, KEPT)
    ) as page:
        kept = gr.State(None, time_to_live=KEPT)
        finds = ", ".join(name for name in model.spec.class_names if name != "object")
        gr.Markdown(f"## {model.name}" + (f"\nFinds {finds}." if finds else ""))
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                file = gr.File(label=f"Image, up to {MOST_MEGAPIXELS} megapixels", height=130)
                settings = [
                    gr.Slider(0, 1, seed, step=0.01, label="Seed threshold",
                              info="How sure an object's center must be; lower finds more."),
                    gr.Slider(0, 1, foreground, step=0.01, label="Foreground threshold",
                              info="How sure a pixel must be; lower makes objects larger."),
                    gr.Slider(1, max(1000, 10 * size), size, step=1, label="Minimum size",
                              info="Fewest pixels of an object."),
                ]  # fmt: skip
                with gr.Row():
                    labels = gr.DownloadButton("Label map", interactive=False, size="sm")
                    table = gr.DownloadButton("Measurements", interactive=False, size="sm")
            with gr.Column(scale=3):
                said = gr.Markdown(EMPTY)
                titles = [(title, view) for view, title in VIEWS.items()]
                view = gr.Radio(titles, value="instances", show_label=False)
                shown = gr.HTML(js_on_load=HOVER)
        answer = [said, shown]
        files = [labels, table]
        again, write = partial(_again, model), partial(_files, model)
        inputs, settled = [kept, view, *settings], [kept, *settings]
        # Whatever is asked for while an answer is on its way is answered after it, the last alone.
        last = {"trigger_mode": "always_last"}
        quiet = last | {"show_progress": "hidden"}
        given = file.upload(partial(_take, model), [file], [kept, said, *files], **last)
        given.then(again, inputs, answer, **last).then(write, settled, files, **last)
        gone = file.clear(_gone, None, [kept, said, *files])
        gone.then(again, inputs, answer)
        view.change(again, inputs, answer, **quiet)
        for slider in settings:
            moved = slider.change(partial(_moved, model), inputs, [*answer, *files], **quiet)
            moved.then(write, settled, files, **quiet)
    return page


def _take(model: Model, path: str) -> tuple[Any, ...]:
    """Run the network on an image that was dropped in; or say what is wrong with it."""
    try:
        return study(model, Path(path)), "Clustering …", *_no_files()
    except UserError as error:
        text = str(error)
    except MemoryError:
        text = "there is not enough memory for this image; give a smaller one"
    except RuntimeError as error:  # torch reports lack of memory as this, among others
        text = f"the network failed on this image: {str(error).partition(chr(10))[0]}"
    return None, f"**{text[:1].upper()}{text[1:]}**", *_no_files()


def _gone() -> tuple[Any, ...]:
    return None, EMPTY, *_no_files()


def _no_files() -> tuple[Any, Any]:
    """Nothing to download, until it belongs to what is shown."""
    gr = _gradio()
    return gr.update(interactive=False), gr.update(interactive=False)


def _again(
    model: Model, kept: Study | None, view: str, seed: float, foreground: float, size: float
) -> tuple[Any, str]:
    """Cluster with these settings and draw; without an image, what was said stays."""
    gr = _gradio()
    if kept is None:
        return gr.skip(), ""
    found = model.cluster(kept.output, seed, foreground, int(size))
    shows = "image" if view == "instances" else view  # the outlines show the instances
    picture = model.explanation(kept.image, kept.output, found).picture(shows)
    height, width = kept.image.shape[:2]
    counted = f"**{len(found)}** found in {kept.name}, {width} × {height} pixels"
    return counted, drawing(picture, found, view)


def _moved(model: Model, *inputs: Any) -> tuple[Any, ...]:
    return *_again(model, *inputs), *_no_files()


def _files(
    model: Model, kept: Study | None, seed: float, foreground: float, size: float
) -> tuple[Any, ...]:
    """Write what can be downloaded, and let it be."""
    gr = _gradio()
    if kept is None:
        return _no_files()
    found = model.cluster(kept.output, seed, foreground, int(size))
    paths = write_results(Path(tempfile.mkdtemp(dir=_temporary())), kept, found)
    return tuple(gr.update(value=str(path), interactive=True) for path in paths)


def _temporary() -> Path:
    """Where gradio keeps files, which it clears."""
    folder = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gradio
    except ImportError as error:
        raise missing_extra("the web page", "app") from error
    return gradio
