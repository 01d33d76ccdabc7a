"""Who is answered: real requests to a real page, and the rule alone for other addresses."""

import multiprocessing.util
import socket
import tempfile
from types import SimpleNamespace

import httpx
import pytest

from spatialembed.app import temporary
from spatialembed.app.visitors import refusal
from spatialembed.app.web_page import require_free, serve
from spatialembed.cli.main import main
from spatialembed.errors import UserError


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    # Kept for the life of the process, and a socket's path: not below a folder of pytest's, which
    # is too long for one. Workers of a data loader in a later test would wait without end.
    multiprocessing.util.get_temp_dir()
    patch = pytest.MonkeyPatch()
    patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    patch.delenv("GRADIO_TEMP_DIR", raising=False)
    temporary.keep_together.cache_clear()
    model = SimpleNamespace(
        name="none",
        settings=lambda: (0.9, 0.5, 16),
        spec=SimpleNamespace(class_names=("object",), dims=2, targets=()),
    )
    page, address = serve(model, port=free_port(), browser=False)
    yield address.rstrip("/")
    page.close()
    patch.undo()
    temporary.keep_together.cache_clear()


FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:7860"},
    {"Host": "192.168.1.7:7860"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "[::1"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_comes_from_elsewhere_is_refused(address: str, headers: dict[str, str]) -> None:
    for path in ("/", "/config", "/gradio_api/info"):
        assert httpx.get(address + path, headers=headers).status_code == 403
    files = {"files": ("a.png", b"content")}
    for path in ("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict"):
        answer = httpx.post(address + path, headers=headers, files=files)
        assert answer.status_code == 403


def test_the_page_itself_is_answered(address: str) -> None:
    port = address.rpartition(":")[2]
    for headers in (
        {},
        {"Host": f"localhost:{port}"},
        {"Host": f"[::1]:{port}"},
        {"Origin": address, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},  # a link that is followed
        {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
    ):
        assert httpx.get(f"{address}/config", headers=headers).status_code == 200
    sent = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.png", b"content")})
    assert sent.status_code == 200
    assert sent.json()[0].startswith(tempfile.gettempdir())  # which goes with the page
    assert temporary.PREFIX in tempfile.gettempdir()


@pytest.mark.parametrize(
    ("listening", "asked", "answered"),
    [
        ("0.0.0.0", "192.168.1.7:7860", True),
        ("0.0.0.0", "[fe80::1]:7860", True),
        ("0.0.0.0", "localhost:7860", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("::", "evil.example", False),
        ("lab.example", "LAB.example:7860", True),
        ("lab.example", "other.example:7860", False),
        ("localhost", "127.0.0.1:7860", True),
        ("localhost", "192.168.1.7", False),
        ("127.0.0.1", socket.gethostname() + ".example", False),
        ("127.0.0.1", "", False),
    ],
)
def test_hosts_follow_what_is_listened_on(listening: str, asked: str, answered: bool) -> None:
    assert (refusal([(b"host", asked.encode())], listening) is None) is answered


def test_no_host_and_two_hosts_are_refused() -> None:
    assert refusal([], "127.0.0.1")
    assert refusal([(b"host", b"localhost"), (b"host", b"evil.example")], "127.0.0.1")


@pytest.mark.parametrize("port", ["0", "-1", "70000", "abc", "1.5"])
def test_ports_that_are_none(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert main(["serve", "no-such-model", "--port", port, "--no_browser"]) == 1
    said = capsys.readouterr().err
    assert "port" in said
    assert port in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_said_before_the_model_is_read(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(UserError, match=rf"127\.0\.0\.1 cannot be listened on at port {port}"):
        require_free("127.0.0.1", port)
    for host in ("no.such.host.invalid", "256.1.1.1", "a" * 70, "203.0.113.9"):
        with pytest.raises(UserError, match="cannot be listened on"):
            require_free(host, free_port())
