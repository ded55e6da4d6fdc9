"""How an answer is judged, by the same rules in a notebook, in pytest and in CI.

answer       carries a learner's function, NumPy or PyTorch, or module over to what specs are written for
forbidden    finds calls that give the exercise away
originals    puts back what an answer sets in the libraries
prints       how much of what an answer prints is shown
time_limit   stops what does not end
errors       what an exception usually means
diagnosis    finds the known wrong answer that an answer behaves like
judge        the order of all this
child        in the terminal: the process that judges a notebook's answers, as pytest sees it
worker       what runs in that process
verdict      the outcome, and how it is told
"""
