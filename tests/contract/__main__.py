"""`python -m tests.contract` writes `docs/host-contract.md`."""

import sys

from tests.contract.document import write

sys.stdout.write(f"{write()}\n")
