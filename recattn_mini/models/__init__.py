"""Models, from counting to attention: one model, one file, and none reads another's.

A baseline is a plain function `(histories, n) -> scores (u n+1)`: a row for each history, a column for each item id.
Column 0 is padding and scores -inf, so that `metrics.evaluate` takes the scores as they are. What a user has met is
not masked: that is the protocol's business.
"""
