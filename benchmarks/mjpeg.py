"""A camera to test with: a local HTTP server that sends frames as Motion JPEG, and that can be killed and restarted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import cv2
import numpy as np

BOUNDARY = "frame"


class MjpegCamera:
    """Serves frames at a steady rate to whoever asks.

    Attributes:
        sent: Frames that were written to a connection.
        stalled: While set, connections stay open but nothing is sent.

    Args:
        frame: Returns the i-th frame, (H, W, 3) uint8, B, G, R; i counts from when the camera was made.
        rate: Frames a second.
        count: Frames of a connection, after which the server closes it; None for no end.
    """

    def __init__(self, frame: Callable[[int], np.ndarray], rate: float, count: int | None = None) -> None:
        self.frame, self.rate, self.count = frame, rate, count
        self.sent = 0
        self.stalled, self._killed = Event(), Event()
        self._began = time.monotonic()
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"http://127.0.0.1:{self._port}/stream"

    def start(self) -> None:
        """Listen, at the same port as before."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                with suppress(OSError):  # of the other side when it leaves
                    camera.serve(self.wfile.write)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._killed.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, write: Callable[[bytes], object]) -> None:
        """Send frames to one connection until killed."""
        first = None
        while not self._killed.is_set():
            i = int((time.monotonic() - self._began) * self.rate) + 1
            first = i if first is None else first
            if self.count is not None and i - first >= self.count:
                return
            self._killed.wait(max(0.0, self._began + i / self.rate - time.monotonic()))
            if self.stalled.is_set() or self._killed.is_set():
                continue
            jpeg = cv2.imencode(".jpg", self.frame(i))[1].tobytes()
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            write(head.encode() + jpeg + b"\r\n")
            self.sent += 1

    def kill(self) -> None:
        """Cut all connections and refuse new ones."""
        self._killed.set()
        self._server.shutdown()
        self._server.server_close()
