"""Passes on random networks: the same function, a graph that is what its ops say, weights that fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pass_networks import assert_inferred, assert_same_function, both, networks

from archdsl.graph.graph import CheckedGraph
from archdsl.passes.pipeline import DEPLOYMENT

CALM = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("names", [("fold_batchnorm",), ("fold_scale",), ("merge_padding",), DEPLOYMENT], ids="+".join)
@CALM
@given(networks())
def test_the_function_stays(names: tuple[str, ...], graph: CheckedGraph) -> None:
    deployed, before, after = both(graph, *names)
    assert_same_function(before, after)
    assert_inferred(deployed.graph)
    keys = {f"{node.module}.{weight.name}": weight for node in deployed.graph.layers for weight in node.weights}
    assert list(deployed.weights) == list(keys)
    for key, weight in keys.items():
        assert (deployed.weights[key].shape, deployed.weights[key].dtype) == (weight.shape, np.dtype(weight.dtype))
