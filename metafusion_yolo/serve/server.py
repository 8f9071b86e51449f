"""Start and stop the server: check first, load the model in the background, open the browser."""

from __future__ import annotations

import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from threading import Thread
from typing import TextIO

import uvicorn

from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.serve.api import Metrics, build_app
from metafusion_yolo.serve.batching import Batcher
from metafusion_yolo.serve.engines import Engine, load_engine
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import without_passwords

SHORTEST = 16  # letters of a token
OPEN = 128  # connections at a time


class Server:
    """A server that listens; `run` answers until it is stopped.

    Attributes:
        url: Address of its page, with the token if there is one.

    Args:
        options: What to serve, and to whom; an `App` has a page.

    Raises:
        UserError: If it cannot listen there, or may not without a token.
    """

    def __init__(self, options: Serve) -> None:
        plan = None
        if options.config is not None:
            from metafusion_yolo.serve.watch.plan import read_plan

            options, plan = read_plan(options)
        if isinstance(options, App) and (options.visible, options.infrared) != (None, None):
            from metafusion_yolo.serve.watch.plan import plan_of

            plan = plan_of(options)
        token = options.token or os.environ.get("METAFUSION_TOKEN") or None
        options = replace(options, token=token)
        if token is not None and not (len(token) >= SHORTEST and token.isascii() and token.isprintable()):
            raise UserValueError(f"'token=' must have {SHORTEST} letters or more, plain ones; it has {len(token)}")
        family, address = resolve(options.host, options.port)
        if not ip_address(address[0].partition("%")[0]).is_loopback and token is None:
            raise UserValueError(
                f"'host={options.host}' can be reached by others; give token=, {SHORTEST} letters or more, or set "
                f"METAFUSION_TOKEN"
            )
        metrics = Metrics()
        self._options = options
        self._batcher = Batcher(self._load, options.waiting, metrics.ran, self.stop)
        self._socket = listen(family, address)
        self.service = None
        if plan is not None:
            from metafusion_yolo.serve.watch.service import Service

            try:
                self.service = Service(options, plan)
            except BaseException:
                self._socket.close()
                raise
        app = build_app(options, self._batcher, metrics, self.service)
        name = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{name}:{self._socket.getsockname()[1]}/{f'#token={token}' if token else ''}"
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=OPEN,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)

    def _load(self) -> Engine:
        """Load the engine, and start watching pairs with it."""
        engine = load_engine(self._options)
        if self.service:
            self.service.start(engine)
        return engine

    def run(self) -> None:
        """Answer until stopped, by :meth:`stop` or a signal.

        Raises:
            BaseException: Whatever kept the model from being loaded.
        """
        self._batcher.start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._batcher.close()
            if self.service:
                self.service.close()
        if self._batcher.failed is not None:
            raise self._batcher.failed

    def stop(self) -> None:
        """End :meth:`run`, once the requests under way have their answers."""
        self._server.should_exit = True


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return the family and the address of a host.

    Raises:
        UserValueError: If there is no such host.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UserValueError(
            f"'host={host}' is not an address of this machine; give 127.0.0.1, or 0.0.0.0 for all"
        ) from error
    return family, (str(address[0]), port)


def listen(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserValueError: If the port is taken or not allowed, or the address is not one of this machine.
    """
    try:
        return socket.create_server(address, family=family)
    except OSError as error:
        reason = " ".join(str(error.strerror).split())
        raise UserValueError(
            f"cannot listen at {address[0]}, port {address[1]} ({reason}); give another host= or port="
        ) from error


def clean_logs(elsewhere: bool) -> TextIO:
    """Log the watched pairs, and hide passwords in all log records.

    Args:
        elsewhere: Whether stdout is for events only.

    Returns:
        The stream for all other output.
    """
    from ultralytics.utils import LOGGER as HOST

    ours = logging.getLogger("metafusion_yolo")
    if not ours.handlers:
        ours.addHandler(logging.StreamHandler())
        ours.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        ours.setLevel(logging.INFO)
    for handler in (*ours.handlers, *HOST.handlers):
        handler.addFilter(_hide_passwords)
        if elsewhere and isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    return sys.stderr if elsewhere else sys.stdout


def _hide_passwords(record: logging.LogRecord) -> bool:
    """Hide passwords in a record, in its traceback too."""
    record.msg, record.args = without_passwords(record.getMessage()), None
    if record.exc_info:
        record.exc_text = without_passwords(logging.Formatter().formatException(record.exc_info))
    return True


def _say(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def serve(options: Serve, say: Callable[[str], object]) -> None:
    """Serve until interrupted.

    Args:
        options: What to serve, and to whom; an `App` has a page, and opens it where there is a browser.
        say: Called with the address.

    Raises:
        UserError: As :class:`Server`, and if the model cannot be loaded.
    """
    server = Server(options)
    if server.service:
        say = partial(_say, clean_logs(server.service.plan.events.stdout))
    if isinstance(options, App):
        say(f"The page:  {server.url}")
        if options.open and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    else:
        say(f"Serving at {server.url.partition('#')[0]} (POST /detect, /health, /metrics, /openapi.json)")
    if server.service:
        say(f"Watching {', '.join(server.service.streams)}; /live, /events")
    server.run()
