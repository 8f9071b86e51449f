"""`python -m tests.faults` writes `docs/faults.md`."""

import sys

from tests.faults.document import write

sys.stdout.write(f"{write()}\n")
