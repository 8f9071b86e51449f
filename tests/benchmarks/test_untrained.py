"""What stock weights find: the table of the benchmark."""

from __future__ import annotations

import pytest
from untrained import show, summarise


def image(hits: int) -> dict[str, list]:
    return {
        "tp": [[1] * 10] * hits,
        "conf": [0.9] * hits,
        "pred_cls": [0] * hits,
        "target_cls": [0, 0],
    }


def test_the_fused_image_is_compared_with_every_other_one_on_the_same_pairs(capsys) -> None:
    found = {
        row: {
            "as is": {f"{500 * i}.jpg": image(hits) for i in range(6)},
            "night 2 fused": {f"{500 * i}.jpg": image(spoilt) for i in range(6)},
            "fog 2 fused": {f"{500 * i}.jpg": image(0) for i in range(6)},
        }
        for row, (hits, spoilt) in {"average": (1, 0), "fused": (2, 2)}.items()
    }
    table = summarise(found, {0: "person"}, 20)
    assert table["fused"]["mAP50"]["value"] == pytest.approx(99.5)
    assert table["fused"]["one camera spoilt"]["value"] == pytest.approx(99.5 / 2)
    assert table["average"]["one camera spoilt"]["value"] == 0
    gap = table["fused"]["mAP50"]["minus"]["average"]
    assert gap["value"] == pytest.approx(99.5 - table["average"]["mAP50"]["value"])
    assert gap["interval"][0] <= gap["value"] <= gap["interval"][1]
    show(table)
    said = capsys.readouterr().out
    assert "| average | " in said and "one camera spoilt, fused minus average: 49.8" in said
