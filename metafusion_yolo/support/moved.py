"""Old names of moved modules, which import with a warning for one release."""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "metafusion_yolo"
MOVED = {  # the names in the documentation of 0.1, without the package
    "data.synthetic": "prepare.synthetic",
    "losses": "functional.losses",
    "metrics": "functional.metrics",
    "pretrain": "engine.pretrain",
}


class MovedModules(MetaPathFinder, Loader):
    """Find a moved module under its old name; both names give the same module object."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a name in :data:`MOVED` or a module below one; None for others."""
        new = new_name(name)
        return ModuleSpec(name, self, loader_state=new) if new else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module under its new name."""
        new = str(spec.loader_state)
        warnings.warn(f"'{spec.name}' is now '{new}'; the old name goes with the next release", FutureWarning, 2)
        module = importlib.import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec of the module, which has run under its new name."""
        spec = module.__spec__
        module.__spec__ = spec.loader_state if spec else None


def new_name(name: str) -> str | None:
    """Return the new name of a module, None if it has not moved.

    Examples:
        >>> new_name("metafusion_yolo.metrics.structure")
        'metafusion_yolo.functional.metrics.structure'
    """
    for old, new in MOVED.items():
        if name == f"{PACKAGE}.{old}" or name.startswith(f"{PACKAGE}.{old}."):
            return name.replace(old, new, 1)
    return None


def keep_old_names() -> None:
    """Make the old names importable; calling it twice is safe."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
