r"""Why two libraries give two figures for one list: the rules of each, and which rule makes the difference.

rules       `Convention`, and in `RULES` what each of its rules may be
libraries   `CONVENTIONS`, the rules of each library, and `FAULTS`, what a library does against its own
value       the figure of one metric by any convention
explain     `explain_difference`: the smallest sets of rules that turn one library's figure into another's
"""

from recattn_mini.metrics.conventions.explain import Explanation, explain_difference
from recattn_mini.metrics.conventions.libraries import CONVENTIONS, FAULTS
from recattn_mini.metrics.conventions.rules import RULES, Convention
from recattn_mini.metrics.conventions.value import value

__all__ = ["CONVENTIONS", "FAULTS", "RULES", "Convention", "Explanation", "explain_difference", "value"]
