"""The report as data and as JSON, against the interface and its schema."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hand_built import classifier
from report_samples import shared, small
from support import compiled

import archdsl
from archdsl.emit.report.model import Report, report
from archdsl.emit.report.text import to_json

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text("utf-8"))


def every_report() -> list[Report]:
    samples = [small(), small(batch=8), small(classes=3), shared(), report(classifier())]
    return [*samples, archdsl.load("googlenet").report(), compiled(UPSAMPLED).report()]


UPSAMPLED = "network n { input x: [3, 4, 4]; upsample(3); conv(2, 2) -> split(2) }"


@pytest.mark.parametrize("index", range(7))
def test_json_fits_its_schema_and_is_its_dictionary(index: int) -> None:
    found = every_report()[index]
    data = json.loads(to_json(found))
    jsonschema.Draft202012Validator(SCHEMA, format_checker=None).validate(data)
    assert data == found.to_dict()


def test_schema_refuses_what_is_not_a_report() -> None:
    data = small().to_dict()
    validator = jsonschema.Draft202012Validator(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for key in data:
        assert not validator.is_valid({k: value for k, value in data.items() if k != key})
    assert not validator.is_valid({**data, "surprise": 1})
    assert not validator.is_valid({**data, "totals": {**data["totals"], "macs": 1.5}})


def test_keys_stand_in_the_order_of_the_interface() -> None:
    data = small().to_dict()
    assert list(data) == [
        "schema", "network", "source", "parameters", "inputs", "outputs", "totals", "training_totals", "layers",
        "stages", "claims",
    ]  # fmt: skip
    assert list(data["totals"]) == [
        "params", "trainable_params", "buffers", "macs", "flops", "weight_bytes", "peak_activation_bytes",
        "training_activation_bytes", "layers", "depth",
    ]  # fmt: skip
    assert list(data["layers"][0]) == [
        "path", "op", "line", "inputs", "training_only", "output_shapes", "params", "buffers", "macs", "flops",
        "receptive_field", "effective_stride", "weights",
    ]  # fmt: skip
    assert list(data["claims"][0]) == ["kind", "path", "quantity", "stated", "actual", "holds", "source", "because"]


def test_a_layer_as_json() -> None:
    data = small().to_dict()
    layer = next(layer for layer in data["layers"] if layer["path"] == "body.1.conv.0")
    assert layer == {
        "path": "body.1.conv.0", "op": "conv", "line": 5, "inputs": ["body.0.conv.2"], "training_only": False,
        "output_shapes": [["N", 8, 16, 16]], "params": 576, "buffers": 0, "macs": 576 * 256, "flops": 2 * 576 * 256,
        "receptive_field": [5, 7], "effective_stride": [1, 1], "weights": [["weight", [8, 8, 3, 3]]],
    }  # fmt: skip


def test_stages_stand_before_their_parts() -> None:
    stages = [stage["path"] for stage in small().to_dict()["stages"]]
    assert stages.index("body") < stages.index("body.0") < stages.index("body.1") < stages.index("fork")
    assert len(stages) == len(set(stages))


def test_layers_add_up_to_the_totals() -> None:
    for found in every_report():
        deployed = [row for row in found.layers if not row.training_only]
        assert sum(row.params for row in deployed) == found.totals.params
        assert sum(row.params for row in found.layers) == found.training_totals.params
        assert sum(row.buffers for row in deployed) == found.totals.buffers
        assert sum(row.macs for row in deployed) == found.totals.macs
        assert sum(row.flops for row in deployed) == found.totals.flops
        assert len(deployed) == found.totals.layers


def test_a_batch_multiplies_work_and_activations_only() -> None:
    one, eight = small().to_dict(), small(batch=8).to_dict()
    for key in ("macs", "flops", "peak_activation_bytes", "training_activation_bytes"):
        assert eight["totals"][key] == 8 * one["totals"][key]
    for key in ("params", "trainable_params", "buffers", "weight_bytes", "layers", "depth"):
        assert eight["totals"][key] == one["totals"][key]
    assert eight["training_totals"] == {"params": 2068, "macs": 8 * one["training_totals"]["macs"]}
    assert eight["inputs"][0]["shape"] == [8, 3, 16, 16]
    assert eight["layers"][0]["output_shapes"] == [[8, 8, 16, 16]]
    assert eight["layers"][0]["macs"] == 8 * one["layers"][0]["macs"]
    assert eight["stages"][0]["macs"] == 8 * one["stages"][0]["macs"]
    assert eight["claims"] == one["claims"]


def test_claims_and_their_outcome() -> None:
    claims = {(claim["path"], claim["quantity"]): claim for claim in small().to_dict()["claims"]}
    assert claims["body", "params"] == {
        "kind": "published", "path": "body", "quantity": "params", "stated": "1.3K", "actual": 1184, "holds": False,
        "source": "Table <1>", "because": "the table | leaves out biases & means",
    }  # fmt: skip
    assert claims["stem", "shape"]["actual"] == [8, 16, 16]
    assert claims["", "macs"]["kind"] == "expect"
    assert claims["", "macs"]["source"] is None


def test_a_shared_weight_counts_in_the_first_layer() -> None:
    data = shared().to_dict()
    assert [layer["params"] for layer in data["layers"]] == [38, 0, 0, 0]
    assert data["layers"][2]["weights"] == [["weight", [2, 2, 3, 3]], ["bias", [2]]]
    assert [stage["params"] for stage in data["stages"]] == [38, 38]
    assert data["totals"]["params"] == 38


def test_strides_below_one_are_numbers() -> None:
    found = compiled(UPSAMPLED).report()
    assert found.layers[0].effective_stride == (Fraction(1, 3), Fraction(1, 3))
    assert json.loads(to_json(found))["layers"][0]["effective_stride"] == [1 / 3, 1 / 3]


def test_parameters_of_every_kind_are_json() -> None:
    text = (
        'network n(a = [1, 2.5], b = {3: true}, c = "x", d = zeros()) { input x: [2]; output y: linear(sum(a) // 1) }'
    )
    found = compiled(text).report().to_dict()["parameters"]
    assert found["a"] == [1, 2.5]
    assert found["b"] == {"3": True}
    assert found["c"] == "x"
    assert isinstance(found["d"], str)
