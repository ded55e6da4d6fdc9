"""One variant, one file: the formula, then NumPy (`x_numpy`), then PyTorch (`x`).

A file may import the parts that variants are made of: `softmax`, `masks`, `scaled_dot_product_attention`,
`multi_head_attention`, `layer_norm`, `rms_norm`, `additive_pooling`, `gru_cell`. No variant reads another, so each
reads on its own.
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
