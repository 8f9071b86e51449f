"""Who may import whom, and what the folders may hold."""

import ast
import sys
from pathlib import Path

import pytest

import metafusion_yolo

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "metafusion_yolo"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES, ROOMS, SHARE = 320, 17, 0.25  # of a file, of the package, of a room in its lines

# From the ground up: a module imports its own layer and those before it. A folder stands for what it holds.
LAYERS = [
    [
        "support.words",
        "support.errors",
        "support.sampling",
        "support.files",
        "support.moved",
        "support.pages",
        "support.placement",
        "support.cluster",
        "support.paged",
    ],
    ["support.annotate"],
    ["support.drawing"],
    ["support"],
    ["options.fields"],
    ["options.data"],
    ["options"],
    ["schedule"],
    ["config"],
    ["functional.color", "functional.ssim"],
    ["functional.losses"],
    ["functional"],
    ["nn.blocks"],
    ["nn.attention", "nn.edges", "nn.evidence"],
    ["nn.meta"],
    ["nn.fusion"],
    ["nn"],
    ["nn.model_yaml"],
    ["nn.torchvision_model"],
    ["nn.start"],
    ["nn.front_end"],
    ["nn.tasks"],
    [
        "data.thermal",
        "data.registration",
        "data.planes",
        "data.makers",
        "data.folders",
        "data.packed",
        "data.naming",
        "data.labels",
        "data.alignment",
        "data.polarity",
        "data.sync",
        "data.shown_in",
    ],
    ["data.pairs", "data.temperatures", "data.steady", "data.camera"],
    ["data.layout", "data.listing", "data.partners", "data.depth", "data.tiff", "data.live"],
    ["data.decoding"],
    ["data.seek", "data.hikvision", "data.cameras"],
    ["data.radiometric", "data.sequence"],
    ["data.description", "data.rig"],
    ["data.splits", "data.reading", "data.augment", "data.packed_dataset"],
    ["data.dataset", "data.class_folders"],
    ["data.unlabelled", "data.maps"],
    ["data"],
    ["data.sources"],
    ["prepare.similarity", "prepare.synthetic"],
    ["prepare.convert"],
    ["prepare.pairing"],
    ["prepare.draft"],
    ["prepare.check", "prepare.register"],
    ["prepare.init"],
    ["prepare"],
    ["evaluation.miss_rate", "evaluation.precision", "evaluation.weights", "evaluation.corruptions"],
    ["evaluation.robustness"],
    ["evaluation.trust"],
    ["evaluation.report"],
    ["evaluation"],
    ["runtime.detections", "runtime.heads", "runtime.reading"],
    ["runtime"],
    ["runtime.moving"],
    ["runtime.__main__"],
    ["engine.backends", "engine.arguments", "engine.checkpoint_format"],
    ["engine._host"],
    ["engine.checkpoints", "engine.vocabulary"],
    ["engine.predict", "engine.pretrain", "engine.validate"],
    ["labelling.found"],
    ["labelling.ledger", "labelling.tools", "labelling.pairs", "labelling.machine"],
    ["labelling"],
    ["engine.train"],
    ["engine"],
    ["engine.export"],
    ["model"],
    ["labelling.dataset"],
    ["compare.folds", "compare.rows"],
    ["compare.budget", "compare.verdict"],
    ["compare"],
    ["serve.uploads", "serve.kinds"],
    ["serve.engines"],
    ["serve.batching", "serve.answers", "serve.page", "serve.guard", "serve.reports"],
    ["serve.dataset"],
    ["serve.watch.tampering", "serve.watch.scene", "serve.watch.plan", "serve.watch.outbox", "serve.watch.clips"],
    ["serve.watch.same"],
    ["serve.watch.rules", "serve.watch.sinks"],
    ["serve.watch.stream"],
    ["serve.watch"],
    ["serve.live", "serve.lineup"],
    ["serve.api"],
    ["serve"],
    ["scale.store"],
    ["scale.manifest", "scale.work"],
    ["scale"],
    ["cli.demo"],
    ["cli.runs"],
    ["cli.modes"],
    ["cli.parsing", "cli.reference"],
    ["cli.help"],
    ["cli.completion"],
    ["cli"],
    ["__main__", "__init__"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
TORCH_ONLY = {"functional.color", "functional.ssim", "functional.losses"} | {
    f"nn.{name}"
    for name in (
        "attention",
        "blocks",
        "degradation",
        "edges",
        "evidence",
        "fusion",
        "meeting",
        "meta",
        "rules",
        "teaching",
    )
}
WITHOUT_HOST = TORCH_ONLY | {"config", "schedule", "support.resources", "support.versions", "nn.criterion", "__init__"}


def module_name(file: Path) -> str:
    """Return the name of a file of the package, without the package's: `nn.tasks`, `nn` for its `__init__`."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def rank(module: str) -> int:
    """Return the layer of a module, that of its folder if it has none of its own."""
    while module not in RANK:
        module, dot, _ = module.rpartition(".")
        if not dot:
            raise KeyError(module)
    return RANK[module]


def imported(source: str) -> set[str]:
    """Return what a source imports anywhere: full names for ours, first parts for others."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if is_module(submodule) else own_home(node.module, alias.name))
    return {name if name.startswith("metafusion_yolo") else name.partition(".")[0] for name in names}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def own_home(module: str, name: str) -> str:
    """Return the module that a name comes from; the package itself hands public names on."""
    return metafusion_yolo._HOMES.get(name, module) if module == "metafusion_yolo" else module


def own_imports(source: str) -> set[str]:
    """Return the modules of ours that a source imports; the package itself holds constants only."""
    return {name.partition(".")[2] for name in imported(source) if name.startswith("metafusion_yolo.")}


def upward(module: str, source: str) -> list[str]:
    """Return the imports of a module from layers above its own."""
    return sorted(name for name in own_imports(source) if rank(name) > rank(module))


def foreign(source: str) -> set[str]:
    """Return the packages of others that a source imports."""
    return {name for name in imported(source) if not name.startswith("metafusion_yolo")} - sys.stdlib_module_names


def ids(file: Path) -> str:
    return module_name(file)


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_imports_point_downward(file) -> None:
    module = module_name(file)
    try:
        rank(module)
    except KeyError:
        pytest.fail(f"metafusion_yolo.{module} has no layer; give it one in LAYERS")
    above = upward(module, file.read_text(encoding="utf-8"))
    assert not above, f"metafusion_yolo.{module} imports {', '.join(above)} from a layer above its own"


@pytest.mark.parametrize("file", [f for f in FILES if module_name(f) in TORCH_ONLY], ids=ids)
def test_numerical_modules_know_torch_only(file) -> None:
    assert foreign(file.read_text(encoding="utf-8")) <= {"torch"}


@pytest.mark.parametrize("file", [f for f in FILES if module_name(f) in WITHOUT_HOST], ids=ids)
def test_modules_below_the_model_do_not_know_the_host(file) -> None:
    assert "ultralytics" not in foreign(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("nn.fusion", "from metafusion_yolo.nn.meta import X", []),
        ("nn.fusion", "from metafusion_yolo.nn.tasks import X", ["nn.tasks"]),
        ("nn.fusion", "from metafusion_yolo.nn import tasks", ["nn.tasks"]),
        ("functional.color", "def f():\n    import metafusion_yolo.functional.losses", ["functional.losses"]),
        ("config", "from metafusion_yolo import MetaFusionYOLO", ["model"]),
        ("config", "from metafusion_yolo import __version__", []),
        ("data.pairs", "from metafusion_yolo.nn import NUM_CHANNELS", []),
        ("data.pairs", "import metafusion_yolo.engine._host as host, os", ["engine._host"]),
    ],
)
def test_the_rule_itself(module, source, expected) -> None:
    assert upward(module, source) == expected


def test_foreign_packages_are_seen() -> None:
    source = (
        "import os.path\nimport torch.nn as nn\nfrom ultralytics.nn import tasks\nfrom metafusion_yolo import color"
    )
    assert foreign(source) == {"torch", "ultralytics"}


def test_numerical_modules_exist() -> None:
    assert {
        "functional.color",
        "functional.ssim",
        "functional.losses",
        "nn.attention",
        "nn.blocks",
        "nn.fusion",
        "nn.meta",
    } <= set(map(module_name, FILES))


def test_no_drawers_for_odds_and_ends() -> None:
    names = {part for file in FILES for part in file.relative_to(PACKAGE).with_suffix("").parts}
    assert names & {"util", "utils", "misc", "helper", "helpers", "common"} == set()


def test_files_stay_readable() -> None:
    lengths = {module_name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_the_plan_fits_on_a_page() -> None:
    lines: dict[str, int] = {}
    for file in FILES:
        room = module_name(file).partition(".")[0]
        lines[room] = lines.get(room, 0) + len(file.read_text(encoding="utf-8").splitlines())
    assert len(lines.keys() - {"__init__", "__main__"}) <= ROOMS
    total = sum(lines.values())
    assert {room: count for room, count in lines.items() if count > SHARE * total} == {}


@pytest.mark.parametrize("folder", ["cfg", "datasets"])
def test_folders_of_descriptions_are_no_packages(folder) -> None:
    assert (ROOT / folder).is_dir()
    assert list((ROOT / folder).rglob("*.py")) == []  # a top-level package `datasets` would shadow a well-known one
