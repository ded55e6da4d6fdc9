"""Data: what the lessons train and measure on. Ids start at 1 everywhere, so that 0 is free for padding.

In the order to read them:

    from files       movielens, wheel_files
    splits           leave_one_out
    samples          sequences, sample_negatives, impressions
    planted          planted
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
