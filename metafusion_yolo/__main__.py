"""`python -m metafusion_yolo`, the same as `metafusion`."""

import sys

from metafusion_yolo.cli import main

if __name__ == "__main__":
    sys.exit(main())
