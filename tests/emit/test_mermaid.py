"""Flowcharts: boxes for the parts of one level, arrows for tensors, alike parts folded."""

from __future__ import annotations

from support import compiled

from archdsl.emit.view.mermaid import flowchart

TEXT = """
block cr(out) { conv: conv(out, 3, pad = 1) -> relu }
network n {
    input image: [3, 8, 8]
    stem: cr(4)
    body: repeat 3 { cr(4) }
    add { skip; side: cr(4) -> relu }
    head: avgpool(global) -> flatten -> linear(2) from @stem training weight = 0.3
    output y: avgpool(global) -> flatten -> fc: linear(5)
}
"""


def test_a_network_and_a_block() -> None:
    graph = compiled(TEXT).checked
    assert (
        flowchart(graph)
        == """flowchart TD
    n0(["image<br>3x8x8"])
    n1["stem: cr<br>4x8x8"]
    n2["body: 3 x cr<br>4x8x8"]
    n3["side: cr + relu<br>4x8x8"]
    n4["add<br>4x8x8"]
    n5["head: avgpool + flatten + linear (training)<br>2"]
    n6["avgpool<br>4x1x1"]
    n7["flatten<br>4"]
    n8["fc: linear<br>5"]
    n0 --> n1
    n1 --> n2
    n2 --> n3
    n2 --> n4
    n3 --> n4
    n1 --> n5
    n4 --> n6
    n6 --> n7
    n7 --> n8
"""
    )
    inside = flowchart(graph, "stem")
    assert '["conv + relu<br>4x8x8"]' in inside
    assert "fc" not in inside


def test_training_parts_can_be_left_out() -> None:
    assert "head" not in flowchart(compiled(TEXT).checked, training=False)
