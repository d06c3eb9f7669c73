"""Networks as `.arch` text that PyTorch source is generated from: one for each way of writing a part."""

INCEPTION = '''
"""Two inception modules and a head that exists in training only."""
block conv_relu(out, kernel, stride = 1, pad = kernel // 2) {
    conv: conv(out, kernel, stride = stride, pad = pad) -> relu
}
block inception(n1x1, reduce3x3, n3x3, pool_proj) {
    """Figure 2(b)."""
    concat {
        b1: conv_relu(n1x1, 1)
        b2: conv_relu(reduce3x3, 1) -> conv_relu(n3x3, 3)
        b3: maxpool(3, stride = 1, pad = 1) -> conv_relu(pool_proj, 1)
    }
}
block head(classes) { pool: avgpool(global) -> flatten; fc: linear(classes) }
network tiny_inception(classes = 10) {
    """Made for a test."""
    initialize weight = xavier_uniform, bias = constant(0.2)
    input image: [3, 32, 32]
    stem: conv_relu(8, 7, stride = 2)
    pool: maxpool(3, stride = 2, ceil = true) -> lrn(5)
    inception_a: inception(8, 4, 8, 4)
    if classes > 1 { loss: head(classes) from @inception_a   training weight = 0.3 }
    inception_b: inception(16, 8, 16, 8)
    output logits: avgpool(global) -> flatten -> dropout(0.0) -> fc: linear(classes)
}
'''

RESIDUAL = """
block basic(out, stride = 1) {
    let project = stride != 1 or in.channels != out
    add {
        {
            conv1: conv(out, 3, stride = stride, pad = 1, bias = false)
            bn1: batchnorm -> relu
            conv2: conv(out, 3, pad = 1, bias = false)
            bn2: batchnorm
        }
        { downsample: { conv(out, 1, stride = stride, bias = false); batchnorm } } if project else skip
    }
    relu
}
network residual {
    input image: [3, 16, 16]
    conv1: conv(16, 3, pad = 1, bias = false)
    bn1: batchnorm -> relu
    layer1: repeat 4 { basic(16) }
    layer2: { basic(32, stride = 2); repeat 2 { basic(32) } }
    layer3: { basic(64, stride = 2); basic(64) }
    output logits: avgpool(global) -> flatten -> fc: linear(10)
}
"""

UNET = """
block double(out) { conv1: conv(out, 3, pad = 1) -> relu; conv2: conv(out, 3, pad = 1) -> relu }
block up(out, skip: tensor) {
    grow: upsample(2) -> conv(out, 1)
    concat { @skip; @grow }
    merge: double(out)
}
network unet {
    input image: [3, 16, 16]
    enc1: double(4)
    maxpool(2)
    enc2: double(8)
    maxpool(2)
    middle: { narrow: conv(16, 3, pad = 1) -> relu; wide: conv(16, 3, pad = 1) -> relu }
    up2: up(8, @enc2)
    up1: up(4, @enc1)
    add { skip; @middle.narrow -> { bring: conv(4, 1) -> upsample(4) } }
    output mask: head: conv(1, 1)
}
"""

NUMBERED = """
network numbered {
    input image: [8, 8, 8]
    repeat 5 { add { skip; batchnorm -> relu -> conv(8, 3, pad = 1) } }
    repeat 4 { conv(8, 2, pad = same) -> relu }
    output logits: flatten -> fc: linear(10)
}
"""

NAMED = """
block layer(growth) { concat { skip; { norm: batchnorm -> relu; conv: conv(growth, 3, pad = 1, bias = false) } } }
network named {
    input image: [4, 8, 8]
    block1: for i in range(3) { layer{i + 1}: layer(4) }
    squeeze: { conv: conv(4, 1); norm: batchnorm }
    shuffle: reshape([2, 2, 8, 8]) -> transpose([2, 1, 3, 4]) -> reshape([4, 8, 8])
    output logits: flatten -> linear(10)
}
"""

CHAIN = "network chain { input image: [8, 8, 8]; repeat 2048 { conv(8, 3, pad = 1) -> relu } }"

SEVERAL = """
block tower(width) { conv(width, 3, pad = 1); batchnorm; relu }
network several {
    input image: [3, 8, 8]
    input depth: [1, 8, 8]
    colour: tower(8) from @image
    relief: tower(8) from @depth
    merged: concat { @colour; @relief }
    halves: split(2)
    output sum: add { @halves.0; @halves.1 }
    output mask: conv(1, 1) -> sigmoid from @merged
    output boxes: { conv(4, 1); relu } from @merged
}
"""

ALL = {
    "inception": INCEPTION,
    "residual": RESIDUAL,
    "unet": UNET,
    "numbered": NUMBERED,
    "named": NAMED,
    "chain": CHAIN,
    "several": SEVERAL,
}
