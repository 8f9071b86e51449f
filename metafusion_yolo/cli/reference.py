"""Write the reference page of the arguments: `python -m metafusion_yolo.cli.reference > docs/arguments.md`."""

import sys

from metafusion_yolo.cli.modes import MODES
from metafusion_yolo.options.fields import reference


def page() -> str:
    """Return the page in Markdown."""
    return reference((name, mode.options) for name, mode in MODES.items() if mode.options)


if __name__ == "__main__":
    sys.stdout.write(page())
