"""The completion scripts, each in its own shell."""

import os
import select
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from metafusion_yolo.cli.completion import completion

COMPLETED = {
    "metafusion pre": "predict",
    "metafusion predict sou": "source=",
    "metafusion detect predict sou": "source=",
    "metafusion data sy": "synth",
    "metafusion data synth se": "seed=",
    "metafusion completion z": "zsh",
}


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(shell), reason=f"no {shell} here")


@pytest.mark.parametrize(("line", "expected"), COMPLETED.items())
@needs("bash")
def test_bash_completes(line, expected) -> None:
    words = line.split()
    call = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _metafusion"
    script = f"{completion(['bash'])}\n{call}\nprintf '%s|' \"${{COMPREPLY[@]}}\""
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert found == (f"{expected}|" if expected.endswith("=") else f"{expected} |")


@pytest.mark.parametrize(("line", "expected"), COMPLETED.items())
@needs("fish")
def test_fish_completes(line, expected) -> None:
    script = f"{completion(['fish'])}\ncomplete -C {shlex.quote(line)}"
    done = subprocess.run(["fish", "-N", "-c", script], capture_output=True, text=True, check=True)
    assert expected in done.stdout.split()


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals to simulate")
@needs("zsh")
def test_zsh_completes(tmp_path) -> None:
    """In a terminal, since the functions of completion run nowhere else."""
    import pty

    (tmp_path / "script").write_text(completion(["zsh"]))
    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "PS1": "> "})
    try:
        os.write(terminal, b"autoload -U compinit && compinit -D -u; source ./script; echo rea''dy\n")
        assert "ready" in read(terminal, "ready")
        for line, expected in COMPLETED.items():
            whole = f"{line.rpartition(' ')[0]} {expected}"
            os.write(terminal, f"{line}\t".encode())
            assert whole in read(terminal, whole)
            os.write(terminal, b"\x15")  # clears the line
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def read(terminal: int, wanted: str, seconds: float = 90) -> str:
    """Return what a terminal shows until a text is there."""
    shown, end = "", time.monotonic() + seconds
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown
