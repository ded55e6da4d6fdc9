"""One variant, one file: the formula, then NumPy (`x_numpy`), then PyTorch (`x`).

No file imports a sibling but `softmax`, `masks` and `scaled_dot_product_attention`, so each reads on its own.
"""
