"""Servers that cannot listen, that may not, or that have nothing to serve."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import written

TAKEN = 47613
RULE = "cameras:\n  gate: {{visible: 0, infrared: 1, rules: {{fence: {}}}}}\n"


def taken(root: Path) -> Callable[[], None]:
    """Plant a server of somebody else at the port `TAKEN`."""
    other = socket.socket()
    with contextlib.suppress(OSError):  # it is taken already
        other.bind(("127.0.0.1", TAKEN))
        other.listen()
    return other.close


AREA = Area(
    "Servers and the page",
    "See [serving](serving.md).",
    [
        Fault(
            "port that is taken",
            f"serve model=best.pt port={TAKEN}",
            f"cannot listen at 127.0.0.1, port {TAKEN} (Address already in use…); give another host= or port=",
            taken,
        ),
        Fault(
            "address that does not exist",
            "serve model=best.pt host=nowhere.invalid",
            "'host=nowhere.invalid' is not an address of this machine; give 127.0.0.1, or 0.0.0.0 for all",
        ),
        Fault(
            "address of another machine",
            "serve model=best.pt host=192.0.2.1 token=a-token-of-24-characters",
            "cannot listen at 192.0.2.1, port 8000 (…); give another host= or port=",
        ),
        Fault(
            "open to others without a token",
            "app model=best.pt host=0.0.0.0",
            "'host=0.0.0.0' can be reached by others; give token=, 16 letters or more, or set METAFUSION_TOKEN",
        ),
        Fault(
            "token that is soon guessed",
            "serve model=best.pt token=1234",
            "'token=' must have 16 letters or more, plain ones; it has 4",
        ),
        Fault(
            "server of a checkpoint that does not exist",
            "serve model=nowhere.pt port=0",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "server of cameras that are not described",
            "serve model=best.pt data=nowhere.yaml port=0",
            "no data-set YAML 'nowhere.yaml'; give the path of an existing file",
        ),
        Fault(
            "pairs of cameras that are not described",
            "serve nowhere.yaml",
            "no YAML of cameras 'nowhere.yaml'; give the path of an existing file",
        ),
        Fault(
            "pairs of cameras with an unknown key",
            "serve cameras.yaml",
            "cameras.yaml: unknown key 'clases' in rule 'fence' of 'gate', did you mean 'classes'?",
            written("cameras.yaml", RULE.format("{when: lost, clases: [person]}")),
        ),
        Fault(
            "zone that is none",
            "serve cameras.yaml",
            "cameras.yaml: rule 'fence' of 'gate': a zone has three corners or more, this one has 2",
            written("cameras.yaml", RULE.format("{when: enters, zone: [[0, 0], [1, 1]]}")),
        ),
        Fault(
            "server without its packages",
            "serve model=best.pt port=0",
            "the server needs uvicorn, which is not installed: pip install 'metafusion-yolo[app]'",
            written("uvicorn.py", "raise ModuleNotFoundError(name='uvicorn')"),  # in the place of the package
            process=True,
            leaves=["__pycache__/*"],
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
