"""What the command says of itself: its modes, and the arguments of each."""

from collections.abc import Sequence

from metafusion_yolo import __version__
from metafusion_yolo.cli.modes import HOST_MEANINGS, MODES, Mode
from metafusion_yolo.cli.parsing import host_arguments

SPECIAL = {
    "checks": "show versions and hardware",
    "completion": "print a completion script for bash, zsh or fish",
    "help": "show this; metafusion MODE help explains a mode",
    "version": "show the version",
}


def overview() -> str:
    """Return the help of the whole command."""
    shown = ("train", "predict", "demo", "data synth", "export")
    examples = "".join(f"\n  metafusion {name} {MODES[name].examples[0]}".rstrip() for name in shown)
    modes = columns([*((mode.name, mode.summary) for mode in MODES.values()), *SPECIAL.items()])
    return (
        f"metafusion {__version__}: infrared and visible image fusion ahead of Ultralytics YOLO, trained jointly\n\n"
        f"Usage: metafusion MODE key=value ...\n\nModes:\n{modes}\n\nExamples:{examples}\n\n"
        "More: metafusion MODE help; all arguments of Ultralytics: yolo cfg"
    )


def children(group: str) -> str:
    """Return the modes of a group, such as `data`."""
    rows = [(mode.name, mode.summary) for mode in MODES.values() if mode.name.startswith(f"{group} ")]
    return f"Usage: metafusion {group} MODE key=value ...\n\nModes:\n{columns(rows)}"


def explain(mode: Mode) -> str:
    """Return the help of a mode."""
    usage = "".join(f" {key}=..." for key in mode.required)
    text = f"metafusion {mode.name}: {mode.summary}\n\nUsage: metafusion {mode.name}{usage} [key=value ...]\n"
    stock = host_arguments()
    ours = [(one.name, one.shown, one.meaning) for one in mode.options.values()]
    host = [
        (
            key,
            default or stock[key].default,
            HOST_MEANINGS.get(f"{mode.name} {key}", HOST_MEANINGS.get(key, stock[key].meaning)),
        )
        for key, default in mode.host.items()
    ]
    for title, rows in (("Arguments", ours), ("Most used arguments of Ultralytics (all: yolo cfg)", host)):
        text += f"\n{title}:\n{columns(rows)}\n" if rows else ""
    return f"{text}\nExamples:" + "".join(f"\n  metafusion {mode.name} {line}".rstrip() for line in mode.examples)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows of text as a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
