"""The page itself, built with gradio: what is on it, and what happens when something is moved."""

from __future__ import annotations

import os
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialembed.app.kept import Kept
from spatialembed.app.stage import HOVER, STYLE, shown, stage
from spatialembed.app.study import MOST_MEGAPIXELS, study, write_results
from spatialembed.app.temporary import keep_together
from spatialembed.app.visitors import OwnVisitorsOnly
from spatialembed.errors import UserError, missing_extra
from spatialembed.inference.predictor import Model
from spatialembed.models.spec import require_one_target
from spatialembed.pictures import VIEWS, Plane, PlaneExplanation

if TYPE_CHECKING:
    import gradio

LARGEST_FILE = "300mb"

KEPT = 24 * 3600
"""Seconds after which files that were given or made are removed."""

AWAY = "What was given was put away, to make room or since it lay here for long: drop it in again."

EMPTY = "Drop an image in: PNG, TIFF, JPEG, or the zip of an OME-Zarr folder."

EMPTY_OF_VOLUMES = (
    "Drop a stack in: a TIFF whose planes lie in z, or the zip of an OME-Zarr folder. "
    "(Folders themselves cannot be dropped.)"
)

ACROSS = [("planes at z", 0), ("cuts at y", 1), ("cuts at x", 2)]
"""Ways through a volume, and their axes."""


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
        UserError: gradio is missing, host or port cannot be listened on, or the model is of several
            targets.
    """
    require_one_target(model.spec, model.name, "the page")
    gr = _gradio()
    require_free(host, port)
    keep_together()
    page = build(model)
    from starlette.middleware import Middleware

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
            app_kwargs={"middleware": [Middleware(OwnVisitorsOnly, host=host)]},
        )
    except OSError as error:
        raise _taken(host, port) from error
    return page, address


def require_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before a model is loaded for it.

    Raises:
        UserError: no such host, no such port, or one that is taken.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"a port is a number from 1 to 65535, not {port}; choose another --port")
    try:
        [family, *_], *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except (OSError, UnicodeError) as error:
        raise _taken(host, port) from error


def _taken(host: str, port: int) -> UserError:
    return UserError(
        f"{host} cannot be listened on at port {port}: choose another --port, or check --host"
    )


def build(model: Model) -> gradio.Blocks:
    """The page of a model, not yet open.

    Raises:
        UserError: gradio is missing.
    """
    gr = _gradio()
    kept = Kept()
    seed, foreground, size = model.settings()
    volumes = model.spec.dims == 3
    kind, unit, empty = "Image", "pixel", EMPTY
    if volumes:
        kind, unit, empty = "Stack", "voxel", EMPTY_OF_VOLUMES
    largest = f"{MOST_MEGAPIXELS} {'million voxels' if volumes else 'megapixels'}"
    page: gradio.Blocks
    with gr.Blocks(
        title=f"spatialembed: {model.name}", analytics_enabled=False, delete_cache=(3600, KEPT)
    ) as page:
        token = gr.State(None, delete_callback=kept.drop)
        finds = ", ".join(name for name in model.spec.class_names if name != "object")
        gr.Markdown(f"## {model.name}" + (f"\nFinds {finds}." if finds else ""))
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                file = gr.File(label=f"{kind}, up to {largest}", height=130)
                settings = [
                    gr.Slider(0, 1, seed, step=0.01, label="Seed threshold",
                              info="How sure an object's center must be; lower finds more."),
                    gr.Slider(0, 1, foreground, step=0.01, label="Foreground threshold",
                              info=f"How sure a {unit} must be; lower makes objects larger."),
                    gr.Slider(1, max(1000, 10 * size), size, step=1, label="Minimum size",
                              info=f"Fewest {unit}s of an object."),
                ]  # fmt: skip
                with gr.Row():
                    labels = gr.DownloadButton("Label map", interactive=False, size="sm")
                    table = gr.DownloadButton("Measurements", interactive=False, size="sm")
            with gr.Column(scale=3):
                said = gr.Markdown(empty)
                titles = [(title, view) for view, title in VIEWS.items()]
                view = gr.Radio(titles, value="instances", show_label=False)
                ways = _ways(gr) if volumes else []
                picture = gr.HTML(js_on_load=HOVER)
        answer = [said, picture]
        files = [labels, table]
        again, write = partial(_again, kept), partial(_files, kept)
        inputs, settled = [token, view, *settings, *ways], [token, *settings]
        # Whatever is asked for while an answer is on its way is answered after it, the last alone.
        last = {"trigger_mode": "always_last"}
        quiet = last | {"show_progress": "hidden"}
        given = file.upload(
            partial(_take, model, kept), [token, file], [token, said, *files], **last
        )
        if volumes:
            axis, at = ways
            middle = partial(_middle, kept)
            given = given.then(middle, [token, axis], [at], **last)
            turned = axis.change(middle, [token, axis], [at], **quiet)
            turned.then(again, inputs, answer, **quiet)
            at.input(again, inputs, answer, **quiet)
        given.then(again, inputs, answer, **last).then(write, settled, files, **last)
        gone = file.clear(partial(_gone, kept, empty), [token], [token, said, *files])
        gone.then(again, inputs, answer)
        view.change(again, inputs, answer, **quiet)
        for slider in settings:
            moved = slider.change(partial(_moved, kept), inputs, [*answer, *files], **quiet)
            moved.then(write, settled, files, **quiet)
    return page


def _ways(gr: Any) -> list[Any]:
    """What is moved through a volume: along which axis, and where."""
    with gr.Row():
        axis = gr.Radio(ACROSS, value=0, show_label=False, min_width=380)
        at = gr.Slider(0, 1, 0, step=1, label="Plane, from 0", interactive=False)
    return [axis, at]


def _take(model: Model, kept: Kept, token: str | None, path: str) -> tuple[Any, ...]:
    """Run the network on an image that was dropped in; or say what is wrong with it."""
    kept.drop(token)
    try:
        return kept.put(study(model, Path(path))), "Clustering …", *_no_files()
    except UserError as error:
        text = str(error)
    except MemoryError:
        text = "there is not enough memory for this; give a smaller one"
    except RuntimeError as error:  # torch reports lack of memory as this, among others
        text = f"the network failed on it: {str(error).partition(chr(10))[0]}"
    return None, f"**{text}**", *_no_files()


def _gone(kept: Kept, empty: str, token: str | None) -> tuple[Any, ...]:
    kept.drop(token)
    return None, empty, *_no_files()


def _middle(kept: Kept, token: str | None, axis: int) -> Any:
    """The slider through a volume along an axis, on the middle."""
    gr = _gradio()
    given = None if token is None else kept.get(token)
    if given is None:
        return gr.update(interactive=False)
    count = given.image.shape[axis]
    label = f"{'zyx'[axis]}, 0 to {count - 1}"
    return gr.update(maximum=count - 1, value=count // 2, label=label, interactive=True)


def _no_files() -> tuple[Any, Any]:
    """Nothing to download, until it belongs to what is shown."""
    gr = _gradio()
    return gr.update(interactive=False), gr.update(interactive=False)


def _again(
    kept: Kept,
    token: str | None,
    view: str,
    seed: float,
    foreground: float,
    size: float,
    axis: int = 0,
    at: float = 0,
) -> tuple[Any, str]:
    """Cluster with these settings and draw; without an image, what was said stays.

    Of a volume what is drawn is the plane ``at`` along an axis.
    """
    gr = _gradio()
    if token is None:
        return gr.skip(), ""
    given = kept.get(token)
    if given is None:
        return AWAY, ""
    settings = seed, foreground, int(size)
    plane = Plane(axis, min(int(at), given.image.shape[axis] - 1))
    explanation = given.explanation(settings, plane)
    picture = explanation.picture("image" if view == "instances" else view)  # outlines show them
    found = given.found(settings)
    counted = f"**{len(found)}** found in {given.name}, {given.size}"
    note = f" ({given.note})" if given.note else ""
    if not isinstance(explanation, PlaneExplanation):
        return counted + note, stage(picture, found, view)
    rows = explanation.rows.tolist()
    counted += f"; **{len(rows)}** of them at {plane}{note}"
    return counted, stage(picture, explanation.found, view, shown(found, rows, explanation.colors))


def _moved(kept: Kept, *inputs: Any) -> tuple[Any, ...]:
    return *_again(kept, *inputs), *_no_files()


def _files(
    kept: Kept, token: str | None, seed: float, foreground: float, size: float
) -> tuple[Any, ...]:
    """Write what can be downloaded, and let it be."""
    gr = _gradio()
    given = None if token is None else kept.get(token)
    if given is None:
        return _no_files()
    found = given.found((seed, foreground, int(size)))
    # As they lie in the page's own folder, which gradio clears, it makes no copies of them.
    paths = write_results(Path(tempfile.mkdtemp()), given, found)
    return tuple(gr.update(value=str(path), interactive=True) for path in paths)


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gradio
    except ImportError as error:
        raise missing_extra("the web page", "app") from error
    return gradio
