"""How an answer is judged, by the same rules in a notebook, in pytest and in CI.

answer       carries a learner's function, NumPy or PyTorch, or module over to what specs are written for
forbidden    finds calls that give the exercise away
time_limit   stops what does not end
errors       what an exception usually means
diagnosis    finds the known wrong answer that an answer behaves like
judge        the order of all this
verdict      the outcome, and how it is told
"""
