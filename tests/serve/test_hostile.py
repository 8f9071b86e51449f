"""What strangers try: other names, other sites, other files, bombs, broken and endless requests. Each is refused."""

from __future__ import annotations

import io
import socket
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serve.conftest import BOUNDARY, MULTIPART, TOKEN, Client, Reply, encoded, form

GREY = encoded(np.zeros((48, 64), np.uint8))
COLOUR = encoded(np.zeros((48, 64, 3), np.uint8))
PAIR = {"visible": COLOUR, "infrared": GREY}


def check(reply: Reply, *expected: int) -> None:
    """A refusal is a line of JSON that tells nothing of the server."""
    assert reply.status in expected, (reply.status, reply.body[:300])
    if reply.headers.get("content-type") == "application/json":
        assert reply.json.keys() == {"error"} and "\n" not in reply.json["error"]
    for told in (str(Path(__file__).parents[2]), "site-packages", "Traceback", "root:"):
        assert told not in reply.body.decode("latin-1")


# Names and sites -----------------------------------------------------------------------------------------------------
HOSTS = [
    *("evil.com", "evil.com:8000", "127.0.0.1.evil.com", "localhost.evil.com", "evil-localhost", "0.0.0.0"),
    *("169.254.169.254", "[::ffff:127.0.0.1]", "127.0.0.1, evil.com", "me@localhost", "localhost:x", "", None),
]


@pytest.mark.parametrize("host", HOSTS)
def test_another_name(app, host) -> None:
    check(app.ask("GET", "/health", host=host), 400)


SITES = [
    {"origin": "http://evil.com"},
    {"origin": "null"},
    {"origin": "http://localhost.evil.com"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://127.0.0.1"},
    {"origin": "file://"},
    {"origin": ""},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
]


@pytest.mark.parametrize("headers", SITES, ids=str)
@pytest.mark.parametrize("address", ["GET /health", "POST /detect", "POST /scene"])
def test_another_site(app, address, headers) -> None:
    method, path = address.split()
    check(app.ask(method, path, form(PAIR, {}), **{"content-type": MULTIPART}, **headers), 403)


def test_its_own_page_and_links_to_it_are_let_in(app) -> None:
    assert app.post("/detect", PAIR, {"origin": f"http://{app.host}", "sec-fetch-site": "same-origin"}).status == 200
    assert app.ask("GET", "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200
    for path in ("/", "/static/common.js", "/health"):
        sent = app.ask("GET", path).headers
        assert "frame-ancestors 'none'" in sent["content-security-policy"] and sent["x-frame-options"] == "DENY"
        assert sent["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in sent
    check(app.ask("OPTIONS", "/detect", access_control_request_method="POST", origin="http://evil.com"), 403)


# Addresses -----------------------------------------------------------------------------------------------------------
PATHS = [
    *("/static/../api.py", "/static/..%2fapi.py", "/static/%2e%2e/api.py", "/static/%2e%2e%2f%2e%2e%2fapi.py"),
    *("/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/..\\api.py", "/static/....//api.py", "/static/%00"),
    *("/static/", "/static", "/etc/passwd", "/../../etc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"),
    *("/docs", "/redoc", "/.git/config", "/index.html", "/app.css", "/static/common.js%00.css", "/static/~root"),
]


@pytest.mark.parametrize("path", PATHS)
def test_another_file(app, path) -> None:
    check(app.ask("GET", path), 404, 307, 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"])
def test_another_method(app, method) -> None:
    check(app.ask(method, "/detect"), 405, 404, 400)


# Files ---------------------------------------------------------------------------------------------------------------
def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises a size, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_header(shape: tuple) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def pillow(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (64, 48)).save(stream, kind, **options)
    return stream.getvalue()


def tiles(side: int) -> bytes:
    """Return a TIFF of 16 x 16 pixels in one huge tile."""
    tags = ((256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (277, 1), (322, side), (323, side), (324, 8), (325, 9))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


FILES = {
    "nothing": ({}, 422),
    "the visible image alone": ({"visible": COLOUR}, 422),
    "the infrared image alone": ({"infrared": GREY}, 422),
    "three files": ({**PAIR, "stacked": COLOUR}, 422),
    "an empty file": ({"visible": COLOUR, "infrared": b""}, 422),
    "a text": ({**PAIR, "visible": b"hello"}, 422),
    "a page": ({**PAIR, "visible": b"<html><script>alert(1)</script>"}, 422),
    "an SVG": ({**PAIR, "visible": b'<svg xmlns="http://www.w3.org/2000/svg"/>'}, 422),
    "a GIF": ({**PAIR, "visible": pillow("GIF")}, 422),
    "an archive": ({**PAIR, "visible": b"PK\3\4" + bytes(99)}, 422),
    "a PDF": ({**PAIR, "visible": b"%PDF-1.4"}, 422),
    "EPS, which Pillow hands to Ghostscript": (
        {**PAIR, "visible": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"},
        422,
    ),
    "a PNG of 2.5 thousand million pixels": ({**PAIR, "visible": png_header(50_000, 50_000)}, 413),
    "a PNG with a side of 70 thousand": ({**PAIR, "visible": png_header(70_000, 1)}, 413),
    "a PNG of no pixels": ({**PAIR, "visible": png_header(0, 9)}, 422),
    "an infrared PNG that is a bomb": ({**PAIR, "infrared": png_header(30_000, 30_000)}, 413),
    "a stacked PNG that is a bomb": ({"stacked": png_header(30_000, 30_000)}, 413),
    "a PNG without pixels": ({**PAIR, "visible": png_header(640, 480)[:60]}, 422),
    "half a PNG header": ({**PAIR, "visible": COLOUR[:20]}, 422),
    "half a JPEG header": ({**PAIR, "visible": pillow("JPEG")[:30]}, 422),
    "half a WebP": ({**PAIR, "visible": pillow("WEBP")[:20]}, 422),
    "a BMP that promises more than it has": ({**PAIR, "visible": pillow("BMP")[:60]}, 422),
    "a TIFF that is a loop": ({**PAIR, "visible": b"II*\0\x08\0\0\0" + b"\xff" * 40}, 422),
    "a TIFF with a tile of a thousand million pixels": ({**PAIR, "visible": tiles(32_000)}, 413),
    "a pickle in an array": ({**PAIR, "infrared": npy(np.array([{}], object))}, 422),
    "an array of three dimensions": ({**PAIR, "infrared": npy(np.zeros((2, 3, 4)))}, 422),
    "an array that promises 80 GB": ({**PAIR, "infrared": npy_header((100_000, 100_000))}, 413),
    "an array that promises more than it has": ({**PAIR, "infrared": npy_header((48, 64))}, 422),
    "an array of a size below zero": ({**PAIR, "infrared": npy_header((-48, 64))}, 422),
    "an array with code in its header": (
        {**PAIR, "infrared": b"\x93NUMPY\1\0\x20\0__import__('os').system('x')    "},
        422,
    ),
    "an array of texts": ({**PAIR, "infrared": npy(np.array([["a", "b"]]))}, 422),
    "a stack of three channels": ({"stacked": COLOUR}, 422),
    "two cameras of different shapes": ({**PAIR, "infrared": encoded(np.zeros((64, 20), np.uint8))}, 422),
    "an array as the visible image": ({**PAIR, "visible": npy(np.zeros((48, 64)))}, 422),
}


@pytest.mark.parametrize("case", FILES)
def test_other_files(app, case) -> None:
    files, status = FILES[case]
    check(app.post("/detect", files), status)


FIELDS = [
    *({"conf": text} for text in ("2", "-1", "nan", "inf", "1e999", "abc", "0.01")),
    *({"images": text} for text in ("/etc/passwd", "../fused", "fused,secret", "x" * 5000)),
    *({"format": text} for text in ("exe", "png\r\nx: y", "tiff")),
]


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: str(fields)[:40])
def test_other_values(app, fields) -> None:
    check(app.post("/detect", PAIR, **fields), 422)


def test_what_would_not_be_read_is_refused(app) -> None:
    for fields, says in (({"confidence": "0.9"}, "'confidence' is unknown"), ({"infrared": "day.png"}, "given twice")):
        reply = app.post("/detect", PAIR, **fields)
        check(reply, 422)
        assert says in reply.json["error"]
    for path, files, says in (
        ("/detect?conf=0.9", PAIR, "'conf' stands in the address"),
        ("/detect", {"visible": COLOUR}, "'infrared' is text, expected a file, with curl -F infrared=@FILE"),
    ):
        reply = app.post(path, files, **({} if len(files) > 1 else {"infrared": "heat.png"}))
        check(reply, 422)
        assert says in reply.json["error"]
    assert app.ask("GET", "/live").json["error"] == "this address does not answer GET; /openapi.json says what does"


@pytest.mark.parametrize("seed", ["-1", "1.5", "99999999999999999999", "x"])
def test_other_scenes(app, seed) -> None:
    check(app.post("/scene", {}, seed=seed), 422)


BODIES = {
    "no form": (b"\xff" * 99, MULTIPART),
    "no boundary": (form(PAIR, {}), "multipart/form-data"),
    "another boundary": (form(PAIR, {}), "multipart/form-data; boundary=other"),
    "JSON": (b'{"visible": "/etc/passwd", "infrared": "/etc/passwd"}', "application/json"),
    "paths": (b"visible=/etc/passwd&infrared=/etc/passwd", "application/x-www-form-urlencoded"),
    "paths in a form": (form({}, {"visible": "/etc/passwd", "infrared": "http://evil.com/x.png"}), MULTIPART),
    "thousands of fields": (form({}, {f"f{i}": "1" for i in range(3000)}), MULTIPART),
    "a form that stops": (form(PAIR, {})[:-200], MULTIPART),
    "a header without an end": (f"--{BOUNDARY}\r\nContent-Disposition: ".encode() + b"x" * 99_999, MULTIPART),
}


@pytest.mark.parametrize("case", BODIES)
def test_other_bodies(app, case) -> None:
    body, kind = BODIES[case]
    check(app.ask("POST", "/detect", body, content_type=kind), 422, 400)


# Token and limits ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/none", "/static/../api.py"])
@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        "Bearer \xff\xfe",
    ],
)
def test_without_the_token(strict, path, shown) -> None:
    headers = {} if shown is None else {"authorization": shown}
    check(strict.ask("GET", path, **headers), 401)
    check(strict.ask("GET", f"{path}?token={TOKEN}", **headers), 401)


def test_with_the_token(strict) -> None:
    """Any name will do then, but not another site; only the page, which holds nothing, is given without."""
    show = {"authorization": f"Bearer {TOKEN}"}
    assert strict.post("/detect", PAIR, show).status == 200
    assert strict.ask("GET", "/health", host="camera.example", **show).status == 200
    check(strict.ask("GET", "/health", origin="http://evil.com", **show), 403)
    check(strict.post("/detect", PAIR), 401)
    for path in ("/", "/style.css", "/static/common.js"):
        page = strict.ask("GET", path)
        assert page.status == 200 and TOKEN.encode() not in page.body
    check(strict.ask("GET", "/static/app.css", **show), 404)


def raw(client: Client, sent: list[bytes], pause: float = 0) -> bytes:
    """Send some bytes with pauses; return what comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        with suppress(OSError):
            for some in sent:
                connection.sendall(some)
                time.sleep(pause)
        received = b""
        with suppress(ConnectionResetError):  # it has closed before all was sent
            while some := connection.recv(65536):
                received += some
        return received


def head(client: Client, *more: str) -> bytes:
    lines = ("POST /detect HTTP/1.1", f"Host: {client.host}", f"Authorization: Bearer {TOKEN}")
    return "\r\n".join((*lines, f"Content-Type: {MULTIPART}", *more, "\r\n")).encode()


BEGUN = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="visible"; filename="x"\r\n\r\n'.encode()


def test_more_than_is_allowed(strict) -> None:
    show = {"authorization": f"Bearer {TOKEN}"}
    large = {**PAIR, "visible": encoded(np.zeros((200, 300, 3), np.uint8))}
    check(strict.post("/detect", large, show), 413)  # pixels
    check(strict.post("/detect", {**PAIR, "visible": bytes(200_000)}, show), 413)  # bytes, as promised
    assert b" 413 " in raw(strict, [head(strict, "Content-Length: 99999999999")]).partition(b"\r\n")[0]
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    begun = b"%x\r\n%b\r\n" % (len(BEGUN), BEGUN)
    answer = raw(strict, [head(strict, "Transfer-Encoding: chunked"), begun, *[chunk] * 20])
    assert b" 413 " in answer.partition(b"\r\n")[0] and b"larger than 0.1 MB" in answer  # bytes, as they come


def test_slower_than_is_allowed(strict) -> None:
    started = time.monotonic()
    answer = raw(strict, [head(strict, "Content-Length: 5000") + BEGUN, *[b"-"] * 8], pause=0.2)
    assert b" 408 " in answer.partition(b"\r\n")[0] and time.monotonic() - started < 5


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        b"Origin: http://evil.com\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:24]),
)
def test_what_is_no_request(app, sent) -> None:
    answer = raw(app, [sent])
    assert not answer or answer.split(maxsplit=2)[1] in (b"400", b"403", b"431", b"505")


# The other pages ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", SITES, ids=str)
@pytest.mark.parametrize(
    "address",
    [
        *("GET /pairs", "GET /pairs/0", "POST /pairs/review", "PUT /pairs/0/labels", "GET /reports"),
        *("GET /registration", "POST /registration/data%20set/estimate", "PUT /registration/data%20set"),
    ],
)
def test_other_pages_from_another_site(app, address, headers) -> None:
    method, path = address.split()
    check(app.ask(method, path, b"{}", **{"content-type": "text/plain"}, **headers), 403)


@pytest.mark.parametrize("path", ["/pairs", "/pairs/0", "/reports", "/registration", "/registration/data%20set"])
def test_other_pages_without_the_token(strict, path) -> None:
    check(strict.ask("GET", path), 401)
    check(strict.ask("PUT", f"{path}/labels", b"{}"), 401)
    large = b'{"matrix": [' + b"[1, 0, 0]," * 20_000 + b"[0, 0, 1]]}"
    shown = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    check(strict.ask("PUT", "/registration/data%20set", large, **shown), 413)


def test_it_still_answers(app, strict, files) -> None:
    assert app.post("/detect", files).status == 200
    assert strict.ask("GET", "/health", authorization=f"Bearer {TOKEN}").status == 200
