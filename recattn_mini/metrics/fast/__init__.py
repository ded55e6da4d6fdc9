"""The same metrics for many users and items: `fast/x.py` has the functions of `x.py`, by the same names.

The plain form is the answer to read and to write in an interview; the fast one is what `evaluate`, training and the
benchmarks call. Tests hold each fast form to its plain one, and plain forms import nothing from here.
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
