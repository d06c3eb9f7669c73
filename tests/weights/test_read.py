"""Readers: headers first, the right numbers, and an explanation of what is damaged or hostile."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from refusals import model_of, refusal, refused
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from archdsl.language.diagnostics import ArchError
from archdsl.weights.checkpoint import Checkpoint
from archdsl.weights.read import read_weights

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": GENERATOR.standard_normal((4, 3, 3, 3), dtype=np.float32),
    "conv.bias": GENERATOR.standard_normal(4).astype(np.float64),
    "half.weight": GENERATOR.standard_normal((2, 5)).astype(np.float16),
    "bn.num_batches_tracked": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float32),
}


def in_safetensors(path: Path) -> Path:
    save_file(ARRAYS, path / "w.safetensors")
    return path / "w.safetensors"


def in_npz(path: Path) -> Path:
    np.savez(path / "w.npz", **ARRAYS)
    return path / "w.npz"


def in_compressed_npz(path: Path) -> Path:
    np.savez_compressed(path / "w.npz", **ARRAYS)
    return path / "w.npz"


def in_pth(path: Path) -> Path:
    torch.save({key: torch.from_numpy(value) for key, value in ARRAYS.items()}, path / "w.pth")
    return path / "w.pth"


def in_legacy_pth(path: Path) -> Path:
    tensors = {key: torch.from_numpy(value) for key, value in ARRAYS.items()}
    torch.save(tensors, path / "w.pt", _use_new_zipfile_serialization=False)
    return path / "w.pt"


def in_onnx(path: Path) -> Path:
    onnx.save(model_of(ARRAYS), path / "w.onnx")
    return path / "w.onnx"


def in_onnx_with_data(path: Path) -> Path:
    onnx.save(model_of(ARRAYS), path / "w.onnx", save_as_external_data=True, location="w.bin", size_threshold=1)
    assert (path / "w.bin").stat().st_size > 400
    return path / "w.onnx"


WRITERS = [in_safetensors, in_npz, in_compressed_npz, in_pth, in_legacy_pth, in_onnx, in_onnx_with_data]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_names_shapes_types_and_numbers(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = read_weights(write(tmp_path))
    header = {name: (array.shape, array.dtype) for name, array in found.stored.items()}
    assert header == {name: (array.shape, str(array.dtype)) for name, array in ARRAYS.items()}
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_header_alone_is_read(tmp_path: Path) -> None:
    """Numbers that change on the disk behind the header are those that are read later."""
    path = in_safetensors(tmp_path)
    found = read_weights(path)
    data = bytearray(path.read_bytes())
    place = data.find(ARRAYS["conv.weight"].tobytes())
    data[place : place + 4] = struct.pack("<f", 42.0)
    path.write_bytes(data)
    assert found["conv.weight"].ravel()[0] == 42


@pytest.mark.parametrize("end", [".safetensors", ".pth", ".onnx"])
def test_bfloat16_is_widened_exactly(end: str, tmp_path: Path) -> None:
    tensor = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    tensor[0, :4] = torch.tensor([0.0, -0.0, float("inf"), 1e-40])
    path = tmp_path / f"w{end}"
    if end == ".safetensors":
        save_tensors({"a": tensor}, path)
    elif end == ".pth":
        torch.save({"a": tensor}, path)
    else:
        raw = tensor.view(torch.int16).numpy().tobytes()
        proto = TensorProto(name="a", data_type=TensorProto.BFLOAT16, dims=[3, 50], raw_data=raw)
        onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [proto])), path)
    found = read_weights(path)
    assert found.stored["a"].dtype == "bfloat16"
    assert found["a"].dtype == np.float32
    assert found["a"].tobytes() == tensor.float().numpy().tobytes()


# What training programs write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapping", ["state_dict", "model", "model_state_dict"])
def test_wrappings_and_prefixes_come_off(wrapping: str, tmp_path: Path) -> None:
    inner = {f"module.{name}": torch.from_numpy(array) for name, array in ARRAYS.items()}
    torch.save({"epoch": 3, "optimizer": {"state": {}}, wrapping: inner}, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert found.keys() == ARRAYS.keys()
    assert [remark.code for remark in found.remarks] == ["weights-prefix"]


@pytest.mark.parametrize("prefix", ["_orig_mod.module.", "module._orig_mod.", "module.module."])
def test_wrappers_around_wrappers_come_off(prefix: str, tmp_path: Path) -> None:
    save_file({prefix + name: array for name, array in ARRAYS.items()}, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    assert found.keys() == ARRAYS.keys()
    assert [f"`{prefix}`" in remark.message for remark in found.remarks] == [True]


def test_the_counter_of_an_averaged_model_is_no_weight(tmp_path: Path) -> None:
    model = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 3))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")) == {"weight", "bias"}
    torch.save({"n_averaged": torch.tensor(1), "weight": torch.ones(2)}, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")) == {"n_averaged", "weight"}


@pytest.mark.parametrize("wrapping", ["state_dict", "model"])
def test_single_tensors_beside_the_weights(wrapping: str, tmp_path: Path) -> None:
    """PyTorch's ImageNet example keeps its best accuracy as a tensor."""
    inner = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    torch.save({"epoch": 3, "best_acc1": torch.tensor(76.1), wrapping: inner}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == ARRAYS.keys()


def test_other_wrappings_are_named(tmp_path: Path) -> None:
    inner = {"a": torch.ones(2)}
    torch.save({"generator": inner, "ema": {"state_dict": inner}, "step": {"a": 3}}, tmp_path / "w.pth")
    assert "some are under `generator`, `ema`: write one" in str(refusal(tmp_path / "w.pth").help)


def test_tensors_that_are_to_be_negated_or_conjugated(tmp_path: Path) -> None:
    number = torch.complex(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0]))
    assert number.conj().imag.is_neg()
    torch.save({"a": number.conj().imag, "b": number.clone().conj()}, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert found["a"].tolist() == [-3, 4]
    assert found["b"].tolist() == [1 - 3j, 2 + 4j]


def test_a_prefix_that_not_all_have_stays(tmp_path: Path) -> None:
    save_file({"module.a": np.zeros(1), "b": np.zeros(1)}, tmp_path / "w.safetensors")
    assert list(read_weights(tmp_path / "w.safetensors")) == ["b", "module.a"]


def test_float8_in_safetensors_is_one_arrays_matter(tmp_path: Path) -> None:
    save_tensors({"a": torch.ones(3).to(torch.float8_e5m2), "b": torch.ones(2)}, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    assert found.stored["a"].dtype == "float8_e5m2"
    assert found["b"].tolist() == [1, 1]
    assert "`a` has elements of type float8_e5m2" in refused(tmp_path / "w.safetensors")


def test_float8_in_a_pth_is_refused_when_it_is_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3).to(torch.float8_e5m2), "b": torch.ones(2)}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth")["b"].tolist() == [1, 1]
    refused(tmp_path / "w.pth")


# Damaged and hostile files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("kept", [0, 5, 60, 0.5, 0.9])
def test_truncated_files(write: Callable[[Path], Path], kept: float, tmp_path: Path) -> None:
    path = write(tmp_path)
    if path.with_name("w.bin").exists():
        path = path.with_name("w.bin")  # the file with the numbers
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(ArchError) as caught:
        dict(read_weights(path.with_suffix(".onnx") if path.suffix == ".bin" else path))
    assert caught.value.diagnostics[0].code == "weights-unreadable"
    assert caught.value.diagnostics[0].help


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pth", "w.pt"])
def test_what_is_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"It was a bright cold day in April, and the clocks were striking thirteen.")
    refused(tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pth", "w.onnx"])
def test_files_that_cannot_be_opened(name: str, tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / name)
    (tmp_path / name).mkdir()
    refused(tmp_path / name)


def test_an_unknown_end_names_the_known_ones(tmp_path: Path) -> None:
    found = refusal(tmp_path / "w.bin")
    assert ".safetensors, .npz, .pth, .pt, .onnx" in found.message
    assert ".pth" in str(found.help)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pth", "w.onnx"])
def test_pipes_and_devices_are_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert "not an ordinary file" in refused(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    assert "not an ordinary file" in refused(tmp_path / name)


def test_a_name_with_a_nul_is_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "a\0.npz")


def lying(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        save_file({"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.float32)}, path / "w.safetensors")
        data = change((path / "w.safetensors").read_bytes())
        (path / "w.safetensors").write_bytes(data)
        return path / "w.safetensors"

    return write


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"[2,2]", b"[2,3]"),
        lambda data: data.replace(b"[0,16]", b"[4,20]"),
        lambda data: data.replace(b"[16,28]", b"[16,99]"),
        lambda data: data.replace(b"[16,28]", b"[0,12] "),
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data + b"more",
        lambda data: data.replace(b'"F32"', b'"F33"'),
    ],
)
def test_a_safetensors_header_that_lies(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    refused(lying(change)(tmp_path))


def test_an_npz_header_that_lies(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.ones((2, 3), np.float32))
    with zipfile.ZipFile(tmp_path / "w.npz") as archive:
        member = archive.read("a.npy")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", member.replace(b"(2, 3)", b"(9, 9)"))
    assert "promises [9, 9] float32, but 24 bytes follow" in refused(tmp_path / "w.npz")


def npy(descr: str = "'<f4'", shape: str = "(10,)", version: tuple[int, int] = (1, 0)) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + bytes(40)


@pytest.mark.parametrize(
    "member",
    [
        npy(shape="(True, 10)"), npy(shape="(-2, -5)"), npy(shape="(10.0,)"), npy(shape="-" * 9000 + "1"),
        npy(shape="(" * 5000 + ")" * 5000), npy(shape="(open('x'),)"), npy("'zz9'"), npy(version=(9, 0)),
        npy(shape="(10,)" + " " * 20_000), b"garbage", b"",
    ],
)  # fmt: skip
def test_headers_in_npz_that_are_none(member: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", member)
    message = "the header of `a.npy` is damaged, or was not written to its end"
    assert refused(tmp_path / "w.npz") == f"`{tmp_path / 'w.npz'}` cannot be read: {message}"


def test_structures_and_pairs_are_other_types(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("fc.weight.npy", npy("[('a', '<f4')]"))
    assert read_weights(tmp_path / "w.npz").stored["fc.weight"].dtype.startswith("void")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", npy("('<f4', (2,))", "(5,)"))
    refused(tmp_path / "w.npz")


@pytest.mark.parametrize(("offset", "value", "word"), [(8, 1, "encrypted"), (10, 99, "compressed in an unknown way")])
def test_parts_that_cannot_be_unpacked(offset: int, value: int, word: str, tmp_path: Path) -> None:
    data = bytearray(in_npz(tmp_path).read_bytes())
    data[data.find(b"PK\x01\x02") + offset] = value
    (tmp_path / "w.npz").write_bytes(data)
    assert f"`conv.weight.npy` is {word}" in refused(tmp_path / "w.npz")


def test_a_pth_with_a_changed_number_is_damaged(tmp_path: Path) -> None:
    """PyTorch does not look at the checksums of what it maps."""
    path = in_pth(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.find(ARRAYS["conv.weight"].tobytes()) + 7] ^= 1
    path.write_bytes(data)
    assert "damaged" in refused(path)


def test_a_pth_without_checksums(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = in_pth(tmp_path)
    finally:
        torch.serialization.set_crc32_options(before)
    np.testing.assert_array_equal(read_weights(path)["conv.weight"], ARRAYS["conv.weight"])


def test_a_pth_whose_last_bytes_are_missing(tmp_path: Path) -> None:
    path = in_pth(tmp_path)
    for cut in (2, 22, 23, 100):
        path.write_bytes(path.read_bytes()[:-cut])
        assert "it is damaged, or was not written to its end" in refused(path)


class Burglar:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pth_with_code_is_refused_and_nothing_runs(legacy: bool, tmp_path: Path) -> None:
    loot = {"a": torch.ones(2), "b": Burglar(tmp_path / "loot")}
    torch.save(loot, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    assert "mkdir" in refused(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(pickle.dumps(loot["b"]))
    refused(tmp_path / "w.pth")
    assert not (tmp_path / "loot").exists()


def test_an_npz_with_objects_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([Burglar(tmp_path / "loot")], dtype=object))
    assert "Python objects" in refused(tmp_path / "w.npz")
    assert not (tmp_path / "loot").exists()


def test_a_pth_that_is_a_whole_module_or_a_program(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    assert "torch.nn.modules.linear.Linear" in refused(tmp_path / "w.pth")
    torch.save([1, 2, 3], tmp_path / "w.pth")
    assert "no tensors" in refused(tmp_path / "w.pth")
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "w.pth")
    assert "`a` is sparse" in refused(tmp_path / "w.pth")


def test_a_pth_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = in_pth(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ArchError) as caught:
        read_weights(path)
    assert caught.value.diagnostics[0].code == "torch-missing"


def test_an_old_torch_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert "2.5.1" in refused(in_pth(tmp_path))


def test_a_checkpoint_is_a_mapping_that_reads_when_asked(tmp_path: Path) -> None:
    found = read_weights(in_npz(tmp_path))
    assert isinstance(found, Checkpoint)
    assert "conv.bias" in found
    assert len(found) == len(ARRAYS)
