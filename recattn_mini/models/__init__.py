"""Recommenders: one model, one file, built from `attention/`; and the classical baselines that they have to beat.

A table of scores has a column for each item id; column 0 is padding, and -inf.

In the order to read them:

    baselines        popularity, item_knn, markov
    the next item    gru4rec, sasrec
    clicks           mean_pooling, din, dien, click_features
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
