"""Old names of modules import for a release, with a warning."""

from __future__ import annotations

import importlib

import pytest

from metafusion_yolo.support.moved import MOVED, new_name
from tests.processes import run_code


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_name_gives_the_module_itself_and_a_warning(old: str, new: str) -> None:
    code = (
        f"import sys, warnings; warnings.simplefilter('error')\n"
        f"import metafusion_yolo.{new} as new\n"
        f"try: import metafusion_yolo.{old}\n"
        f"except FutureWarning as warning: print(warning)\n"
        f"warnings.simplefilter('ignore'); import metafusion_yolo.{old} as old; print(old is new, new.__name__)"
    )
    done = run_code(code)
    assert done.returncode == 0, done.stderr
    said, same = done.stdout.splitlines()
    assert f"'metafusion_yolo.{old}' is now 'metafusion_yolo.{new}'" in said
    assert same == f"True metafusion_yolo.{new}"


def test_a_program_runs_by_its_old_name() -> None:
    done = run_code(
        "import runpy; runpy.run_module('metafusion_yolo.pretrain.training', run_name='__main__')", "--help"
    )
    assert "--detector" in done.stdout and "is now 'metafusion_yolo.engine.pretrain'" in done.stderr


def test_what_has_not_moved_is_left_alone() -> None:
    assert new_name("metafusion_yolo.model") is None
    assert new_name("metafusion_yolo.losses_of_others") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("metafusion_yolo.nowhere")
