"""Classes that the generated file brings along where `torch.nn` has none, and starts that `torch.nn.init` lacks."""

from __future__ import annotations

from types import ModuleType

import torch
from support import compiled
from torch_oracle import agree

import archdsl
from archdsl.emit.torch import stored, table
from archdsl.emit.torch.channels import AFFINE, CODES
from archdsl.emit.torch.module import execute, module
from archdsl.emit.torch.rules import Helper
from archdsl.emit.torch.spelling import HELPER_FUNCTIONS, HELPERS

TEXT = """
block channel_affine { affine -> affine }
network fixed_codes {
    input image: [3, 8, 8]
    s: avgpool(2) -> affine -> tanh
    channel_affine
    flatten -> linear(6) -> rbf(4)
}
"""


def test_helper_classes_are_written_once_and_only_where_needed() -> None:
    source = compiled(TEXT).torch_source()
    assert source.count(AFFINE.source) == source.count(CODES.source) == 1
    plain = compiled("network plain { input x: [4]; linear(2) }").torch_source()
    assert not any(name in plain for name in HELPERS)


def test_the_names_of_all_helper_classes_are_known() -> None:
    parts = [stored, *(value for value in vars(table).values() if isinstance(value, ModuleType))]
    values = [value for part in parts for value in vars(part).values()]
    values += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    found = {value.name: value.source for value in values if isinstance(value, Helper)}
    assert {name for name, source in found.items() if source.startswith("class ")} == HELPERS
    assert {name for name, source in found.items() if source.startswith("def ")} <= HELPER_FUNCTIONS


def test_a_block_or_network_of_the_same_name_gives_way() -> None:
    net = compiled(TEXT)
    source = net.torch_source()
    assert "class ChannelAffineBlock(nn.Sequential)" in source
    assert "class FixedCodesNetwork(" in source
    agree(net.checked)


def test_the_file_alone_starts_as_the_op_does() -> None:
    """Without archdsl's weights: the identity, and codes of +1 and -1 that the optimizer does not see."""
    net = execute(compiled(TEXT).torch_source()).FixedCodesNetwork()
    state = net.state_dict()
    assert torch.equal(state["s.1.weight"], torch.ones(3))
    assert torch.equal(state["s.1.bias"], torch.zeros(3))
    assert set(state["4.centers"].unique().tolist()) == {-1, 1}
    assert "4.centers" not in dict(net.named_parameters())


def test_helpers_are_found_in_training_only_parts() -> None:
    net = compiled("network n { input x: [4]; loss: linear(3) -> rbf(2) training; output y: linear(1) }")
    assert "class FixedCodes(nn.Module)" in net.torch_source()
    agree(net.checked, training=True)


def test_signs_are_written_for_trained_weights_too() -> None:
    net: archdsl.Network = compiled("network n { input x: [4]; initialize weight = signs; fc: linear(50) }")
    torch.manual_seed(0)
    weight = execute(net.torch_source()).N().fc.weight
    assert set(weight.unique().tolist()) == {-1, 1}
    assert weight.requires_grad
    assert set(module(net.checked).fc.weight.unique().tolist()) == {-1, 1}
