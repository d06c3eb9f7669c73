"""specs/googlenet.arch against figures and files that nobody here made."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import shape_inference

import archdsl
from archdsl.graph.graph import Layer

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light/light_inception_v1.onnx"
REFERENCE = Path(__file__).parents[3] / "shared/reference/published.json"
ONNX_NAMES = {
    "conv": "Conv", "relu": "Relu", "maxpool": "MaxPool", "avgpool": "AveragePool", "lrn": "LRN", "concat": "Concat",
    "linear": "Gemm",
}  # fmt: skip


@pytest.fixture(scope="module")
def net() -> archdsl.Network:
    return archdsl.load("googlenet")


def test_totals(net: archdsl.Network) -> None:
    report = net.report().to_dict()
    assert report["totals"]["params"] == 6_998_552
    assert report["training_totals"]["params"] == 13_378_280
    assert report["totals"]["macs"] == 1_582_671_872
    assert report["totals"]["depth"] == 22


def original() -> list[tuple[str, tuple[int, ...], tuple[int, ...] | None]]:
    """Op, output shape and weight shape of each layer of the Caffe original that the onnx package ships."""
    model = shape_inference.infer_shapes(onnx.load(LIGHT))
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in [*model.graph.value_info, *model.graph.output]
    }
    declared = {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in model.graph.input}
    made = {node.output[0] for node in model.graph.node}
    for initializer in model.graph.initializer:
        declared[initializer.name] = tuple(initializer.dims)

    def weight(name: str) -> tuple[int, ...]:
        return shapes[name] if name in made else declared[name]

    found = []
    for node in model.graph.node:
        if node.op_type not in ONNX_NAMES.values():
            continue
        has_weight = node.op_type in ("Conv", "Gemm")
        found.append((node.op_type, shapes[node.output[0]][1:], weight(node.input[1]) if has_weight else None))
    return found


def ours(net: archdsl.Network) -> list[tuple[str, tuple[int, ...], tuple[int, ...] | None]]:
    def row(layer: Layer) -> tuple[str, tuple[int, ...], tuple[int, ...] | None]:
        shape = layer.weights[0].shape if layer.weights else None
        return ONNX_NAMES[layer.op.name], layer.output_types[0].shape, shape

    return [row(layer) for layer in net.checked.deployed if layer.op.name in ONNX_NAMES]


def test_every_layer_has_the_shapes_of_the_onnx_packages_original() -> None:
    """The file lost Caffe's ceil rule in its conversion, so it is the floor variant that has its grids."""
    theirs, own = original(), ours(archdsl.load("googlenet_floor"))
    # within a module the file reduces all branches first, ours runs branch by branch
    assert sorted(theirs, key=str) == sorted(own, key=str)
    assert len(theirs) == 57 + 57 + 13 + 1 + 2 + 9 + 1
    trunk = ("Concat", "LRN", "AveragePool", "Gemm")
    assert [row for row in theirs if row[0] in trunk] == [row for row in own if row[0] in trunk]


def test_weights_are_those_of_the_original_and_grids_those_of_the_paper(net: archdsl.Network) -> None:
    theirs = sorted(str(weight) for _, _, weight in original() if weight)
    assert theirs == sorted(str(weight) for _, _, weight in ours(net) if weight)
    grids = {shape[1:] for op, shape, _ in ours(net) if op == "Concat"}
    assert grids == {(28, 28), (14, 14), (7, 7)}


def test_every_row_of_table_1_is_stated_and_either_holds_or_is_explained(net: archdsl.Network) -> None:
    rows = next(
        entry["rows"] for entry in json.loads(REFERENCE.read_text()) if entry["network"] == "GoogLeNet"
    )  # fmt: skip
    paths = {"convolution": "conv1", "convolution (2)": "conv2", "linear": "fc"}
    verdicts = {(v.claim.path, v.claim.quantity): v for v in net.checked.verdicts if v.claim.source == "Table 1"}
    for row in rows:
        path = paths.get(row["layer"]) or "inception_" + row["layer"].split("(")[1].rstrip(")")
        weights, macs, shape = (verdicts[path, quantity] for quantity in ("weights", "macs", "shape"))
        assert weights.claim.stated == f"{row['params']:g}K"
        assert macs.claim.stated == f"{row['ops']:g}M"
        assert list(shape.actual) == [size for size in row["output"] if path != "fc" or size > 1]
        for verdict in (weights, macs, shape):
            assert verdict.holds or verdict.claim.because
        if path != "conv1":  # the reference counts row 1 as the separable layer of the variant
            assert weights.actual == row["exact_params"]
            assert macs.actual == row["exact_ops"]


def test_the_separable_variant_is_the_papers_first_row() -> None:
    net = archdsl.load("googlenet_separable")
    held = {(v.claim.path, v.claim.quantity): v for v in net.checked.verdicts}
    assert held["conv1", "weights"].actual == 2712
    assert held["conv1", "macs"].actual == 34_019_328
    assert all(verdict.holds for verdict in held.values())
    assert net.report().to_dict()["totals"]["params"] == 6_991_880


def test_floor_pooling_would_lose_rows_and_the_linter_says_so(tmp_path: Path) -> None:
    text = archdsl.load("googlenet").checked.source
    assert text == "googlenet.arch"
    spec = (Path(__file__).parents[2] / "specs" / text).read_text()
    (tmp_path / "floor.arch").write_text(spec.replace(", ceil = ceil)", ")"))
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.load(tmp_path / "floor.arch")
    codes = [diagnostic.code for diagnostic in caught.value.diagnostics]
    assert "pool-drops-rows" in codes
    assert "kernel-too-large" in codes  # 7x7 average pooling no longer fits into 6x6
