"""Fast forms: `fast/x.py` computes what `attention/x.py` does, under the same name, and says why it is faster.

The plain form is the specification. A test holds each fast form to it: values, gradients, masks, half precision.
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
