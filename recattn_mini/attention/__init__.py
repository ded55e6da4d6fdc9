"""One variant, one file: the formula, then NumPy (`x_numpy`), then PyTorch (`x`).

A file may import the parts that variants are made of: `softmax`, `masks`, `scaled_dot_product_attention`,
`multi_head_attention`, `layer_norm`, `rms_norm`, `additive_pooling`, `gru_cell`. No variant reads another, so each
reads on its own.

In the order to read them:

    one attention     softmax, masks, scaled_dot_product_attention
    scores            additive_attention, dot_attention, multiplicative_attention, concat_attention
    weights           sigmoid_attention, null_key_attention
    transformers      multi_head_attention, self_attention, cross_attention, layer_norm, rms_norm, encoder_block
    positions         sinusoidal_positions, learned_positions, relative_position_attention, t5_position_bias
    target attention  din_attention, multi_head_target_attention, candidate_mask
    recurrence        gru_cell, augru_cell, narm_attention, stamp_attention
    pooling           additive_pooling, naml_encoder, nrms_encoder
    many interests    self_attentive_interests, label_aware_attention
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
