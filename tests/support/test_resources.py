"""Descriptions that ship with the package are found by name from anywhere, and nothing else is taken for them."""

from pathlib import Path

import pytest
import yaml

from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.support import resources
from metafusion_yolo.support.resources import find_data_yaml, find_model_yaml, is_shipped, split_scale

ROOT = Path(__file__).parents[2]
MODELS = sorted(path.stem for path in (ROOT / "cfg" / "models").glob("*.yaml"))
DATASETS = sorted(path.name for path in (ROOT / "datasets").glob("*.yaml"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov8s.yaml", ("yolov8.yaml", "s")),
        ("yolo11x.yaml", ("yolo11.yaml", "x")),
        ("metafusion-yolov8n-p2.yaml", ("metafusion-yolov8-p2.yaml", "n")),
        ("metafusion-yolov8.yaml", ("metafusion-yolov8.yaml", "")),
        ("metafusion-yolov8-small.yaml", ("metafusion-yolov8-small.yaml", "")),
        ("metafusion-yolov8mine.yaml", ("metafusion-yolov8mine.yaml", "")),
        ("py3n-yolo26l.yaml", ("py3n-yolo26.yaml", "l")),
        ("py3n.yaml", ("py3n.yaml", "")),
    ],
)
def test_scale_is_split_off_the_name(name, expected) -> None:
    assert split_scale(name) == expected


@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x", ""])
@pytest.mark.parametrize("model", MODELS)
def test_shipped_models_are_found_from_anywhere(model, scale) -> None:
    assert find_model_yaml(f"{model}{scale}.yaml") == ROOT / "cfg" / "models" / f"{model}.yaml"
    assert split_scale(f"{model}{scale}.yaml") == (f"{model}.yaml", scale)


@pytest.mark.parametrize("folder", ["py3n", "yolov8x", "runs2s/yolo11m"])
@pytest.mark.parametrize("scale", ["", "s"])
def test_folders_have_no_scale(folder, scale, elsewhere) -> None:
    own = elsewhere / folder / "metafusion-yolov8.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("detector: yolov8.yaml\nfusion: {channels: 16}\n")
    for name in (f"{folder}/metafusion-yolov8{scale}.yaml", own.with_stem(f"metafusion-yolov8{scale}")):
        assert find_model_yaml(name).resolve() == own
        model = load_model_yaml(name)
        assert (model["scale"], model["fusion"]) == (scale or "n", {"channels": 16})


def test_own_files_come_before_shipped_ones_and_exact_names_before_unscaled_ones(elsewhere) -> None:
    unscaled, exact = elsewhere / "metafusion-yolov8.yaml", elsewhere / "metafusion-yolov8n.yaml"
    unscaled.touch()
    assert find_model_yaml("metafusion-yolov8n.yaml").resolve() == unscaled
    exact.touch()
    assert find_model_yaml("metafusion-yolov8n.yaml").resolve() == exact
    assert find_model_yaml("metafusion-yolov8s.yaml").resolve() == unscaled


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("metafusion-yolo8n.yaml", "did you mean 'metafusion-yolov8.yaml'?"),
        ("metafusoin-yolo26s.yaml", "did you mean 'metafusion-yolo26.yaml'?"),
        ("zzz", f"known: {', '.join(f'{model}.yaml' for model in MODELS)}"),
        ("nowhere/metafusion-yolov8n.yaml", "did you mean 'metafusion-yolov8.yaml'?"),
    ],
)
def test_missing_models_name_the_nearest(name, hint) -> None:
    with pytest.raises(FileNotFoundError) as error:
        find_model_yaml(name)
    assert str(error.value) == f"no model YAML '{name}', {hint}"


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_data_sets_are_found_with_and_without_suffix(name) -> None:
    for given in (name, Path(name), name.removesuffix(".yaml")):
        assert find_data_yaml(given) == str(ROOT / "datasets" / name)


def test_own_data_set_comes_before_the_shipped_one(elsewhere) -> None:
    (elsewhere / "synthetic").mkdir()  # data lie in a folder of the same name
    assert find_data_yaml("synthetic") == str(ROOT / "datasets" / "synthetic.yaml")
    (elsewhere / "synthetic.yaml").write_text(yaml.safe_dump({"path": "here"}))
    assert find_data_yaml("synthetic.yaml") == "synthetic.yaml"


@pytest.mark.parametrize(
    "name", ["unknown.yaml", "nowhere/synthetic.yaml", "https://example.org/synthetic.yaml", "synthetic.zip"]
)
def test_other_data_sets_are_left_to_the_host(name) -> None:
    assert find_data_yaml(name) == name


def test_installed_wheel_has_the_descriptions_inside(elsewhere, monkeypatch) -> None:
    for folder in ("cfg/models", "datasets"):
        (elsewhere / "site" / "metafusion_yolo" / folder).mkdir(parents=True)
    package = elsewhere / "site" / "metafusion_yolo"
    model, data = package / "cfg" / "models" / "metafusion-yolov8.yaml", package / "datasets" / "synthetic.yaml"
    model.touch()
    data.touch()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert find_model_yaml("metafusion-yolov8m.yaml") == model
    assert find_data_yaml("synthetic") == str(data)


def test_what_ships_is_known(elsewhere) -> None:
    (elsewhere / "roadscene.yaml").touch()
    assert is_shipped(find_data_yaml(Path(resources._folder("datasets")) / "roadscene.yaml"))
    assert not is_shipped("roadscene.yaml") and not is_shipped(elsewhere / "roadscene.yaml")
