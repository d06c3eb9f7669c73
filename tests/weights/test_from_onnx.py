"""Weights in ONNX models: initializers, constants, a second file; and what is damaged or hostile in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from refusals import model_of, refused
from support import compiled

from archdsl.weights.fit import fit, headers_of
from archdsl.weights.maps import mapped
from archdsl.weights.read import read_weights


def onnx_with(path: Path, *tensors: TensorProto, nodes: Sequence[onnx.NodeProto] = ()) -> Path:
    onnx.save(helper.make_model(helper.make_graph(list(nodes), "g", [], [], list(tensors))), path / "w.onnx")
    return path / "w.onnx"


LINEAR = compiled("network n { input x: [4]; fc: linear(3, bias = false) }").checked
TWELVE = bytes(12)


@pytest.mark.parametrize(
    ("kind", "data", "name"),
    [
        (TensorProto.INT32, 4 * TWELVE, "int32"),
        (TensorProto.FLOAT8E4M3FN, TWELVE, "float8_e4m3fn"),
        (TensorProto.COMPLEX64, 8 * TWELVE, "complex64"),
        (TensorProto.STRING, b"", "string"),
        (TensorProto.INT4, bytes(6), "int4"),
    ],
)
def test_an_initializer_of_another_type_is_mistyped(kind: int, data: bytes, name: str, tmp_path: Path) -> None:
    path = onnx_with(tmp_path, TensorProto(name="fc.weight", data_type=kind, dims=[3, 4], raw_data=data))
    found = fit(LINEAR, headers_of(mapped(LINEAR, read_weights(path), None)))
    assert list(found.lines()) == [f"mistyped: fc.weight is {name}, not float32"]


def test_integers_that_no_network_wants_are_not_told_of(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((3, 4), np.float32), "fc.weight")
    path = onnx_with(tmp_path, weight, numpy_helper.from_array(np.array([1]), "axes"))
    assert fit(LINEAR, headers_of(mapped(LINEAR, read_weights(path), None))).complete


def test_constants_of_an_onnx_model_are_weights(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([2, 3], np.int64), "shape")
    value = numpy_helper.from_array(np.array([0.5], np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=value),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Constant", [], ["given"], value=numpy_helper.from_array(np.ones(4, np.float32))),
        helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([1], np.int64))),
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], [shape])), tmp_path / "w.onnx")
    found = read_weights(tmp_path / "w.onnx")
    assert {name: array.tolist() for name, array in found.items()} == {
        "filled": [[0.5] * 3] * 2, "zeros": [[0.0] * 3] * 2, "given": [1.0] * 4,
    }  # fmt: skip


# Damaged and hostile files --------------------------------------------------------------------------------------------


def test_an_onnx_name_that_is_no_text(tmp_path: Path) -> None:
    path = onnx_with(tmp_path, numpy_helper.from_array(np.ones(2, np.float32), "fc?bias"))
    path.write_bytes(path.read_bytes().replace(b"fc?bias", b"fc\xffbias"))
    assert list(read_weights(path)) == [r"fc\xffbias"]


@pytest.mark.parametrize("size", [0, 39, 44])
def test_an_initializer_of_other_bytes_than_it_says(size: int, tmp_path: Path) -> None:
    path = onnx_with(tmp_path, TensorProto(name="a", data_type=1, dims=[10], raw_data=bytes(size)))
    assert f"`a` promises [10] float32, but {size} bytes follow" in refused(path)
    path = onnx_with(tmp_path, TensorProto(name="a", data_type=1, dims=[-3], float_data=[1, 2, 3]))
    assert "`a` promises [-3] float32, but 12 bytes follow" in refused(path)


@pytest.mark.parametrize(
    ("kind", "field"), [("float16", "int32_data"), ("complex64", "float_data"), ("uint32", "uint64_data")]
)
def test_numbers_in_fields_of_their_own(kind: str, field: str, tmp_path: Path) -> None:
    array = np.array([1, 2, 3], kind)
    number = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = helper.make_tensor("a.num_batches_tracked", number, [3], array)
    assert len(getattr(tensor, field))
    np.testing.assert_array_equal(read_weights(onnx_with(tmp_path, tensor))["a.num_batches_tracked"], array)


def outside_of(**entries: str) -> TensorProto:
    tensor = TensorProto(name="v", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def shape_of(sizes: object) -> TensorProto:
    return numpy_helper.from_array(np.array(sizes), "shape")


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (shape_of(10), None),
        (shape_of([-10]), None),
        (shape_of([10]), numpy_helper.from_array(np.zeros(0, np.float32))),
        (shape_of([10]), TensorProto(data_type=1, dims=[1], raw_data=b"12")),
        (shape_of([10]), TensorProto(data_type=99, dims=[1], raw_data=b"1234")),
        (shape_of([10]), outside_of(location="/etc/passwd")),
        (TensorProto(name="shape", data_type=7, dims=[1], raw_data=b"123"), None),
    ],
)
def test_constants_of_an_onnx_model_that_are_damaged(
    shape: TensorProto, value: TensorProto | None, tmp_path: Path
) -> None:
    node = helper.make_node("ConstantOfShape", ["shape"], ["a"], **({} if value is None else {"value": value}))
    refused(onnx_with(tmp_path, shape, nodes=[node]))


def test_constants_that_nothing_reads(tmp_path: Path) -> None:
    value = numpy_helper.from_array(np.ones(1, np.float32))
    nodes = [
        helper.make_node("Constant", [], [], value=value),
        helper.make_node("ConstantOfShape", [], ["a"], value=value),
        helper.make_node("ConstantOfShape", ["shape"], []),
        helper.make_node("ConstantOfShape", ["computed"], ["b"]),
    ]
    assert dict(read_weights(onnx_with(tmp_path, shape_of([2]), nodes=nodes))) == {}


@pytest.mark.parametrize(
    "entries", [{"offset": "-4"}, {"offset": "x"}, {"length": "-1"}, {"length": "400"}, {"offset": "999"}]
)
def test_external_data_in_places_that_are_none(entries: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(4))
    assert read_weights(onnx_with(tmp_path, outside_of(location="data")))["v"].tolist() == [0]
    refused(onnx_with(tmp_path, outside_of(location="data", **entries)))


def outside(location: str, path: Path) -> Path:
    model = model_of({"a": np.ones(4, np.float32)})
    set_external_data(model.graph.initializer[0], location, offset=0, length=16)
    model.graph.initializer[0].ClearField("raw_data")
    (path / "model").mkdir()
    (path / "secret").write_bytes(bytes(16))
    onnx.save(model, path / "model" / "w.onnx")
    return path / "model" / "w.onnx"


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "sub/../../secret"])
def test_external_data_outside_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    assert "outside the model's folder" in refused(outside(location, tmp_path))


def test_external_data_with_hard_links_is_told_as_that(tmp_path: Path) -> None:
    path = outside("data", tmp_path)
    path.with_name("data").hardlink_to(tmp_path / "secret")
    assert "has several hard links; onnx reads no such file" in refused(path)


def test_external_data_through_a_link_is_refused(tmp_path: Path) -> None:
    path = outside("data", tmp_path)
    assert "not there" in refused(path)
    path.with_name("data").symlink_to(tmp_path / "secret")
    assert "outside the model's folder" in refused(path)


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    path = outside("data", tmp_path)
    path.with_name("data").write_bytes(bytes(10))
    refused(path)
