"""Which examples of a comparison are shown."""

from metafusion_yolo.compare.pictures import most_telling


def test_the_images_on_which_rows_differ_come_first() -> None:
    def found(hits: int) -> dict:
        return {"tp": [[1] * 10] * hits, "conf": [0.9] * hits, "target_cls": [0] * 4}

    rows = {"a": {"x": found(1), "y": found(0), "z": found(2)}, "b": {"x": found(2), "y": found(4), "z": found(2)}}
    assert most_telling(rows, 2) == ["y", "x"]
