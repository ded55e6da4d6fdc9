r"""Why two libraries give two figures for one list: their rules as data, and which of the rules makes the difference.

    explain(A, B, metric) = the smallest sets of rules that, turned from A's to B's, turn A's figure into B's

Rule    The sets are found by turning rules and computing again; nothing about a pair of libraries is written down.
        Every convention is held to figures that its library returned. What a library does *against* its own rules is
        no convention: `FAULTS`. A library in brackets is the same one called with another option.
Asked   "Our NDCG is .79 and theirs .80, on the same lists. Who is right?"  Both, usually. Name the rule.
Source  Measured: ranx 0.3.21, ir-measures 0.4.3, pytrec_eval-terrier 0.5.11, torchmetrics 1.9.0, scikit-learn 1.9.1,
        RecTools 0.19.0, recommenders 1.2.1, RecBole 1.2.1, replay-rec 0.22.0, cornac 3.0.1, recpack 0.3.6, implicit
        0.7.3, rs-metrics 0.6.0, rexmex 0.1.3, ir_evaluation 1.1.0, fuxictr 2.3.10, torcheval 0.0.7; elliot's source.
"""

from recattn_mini.metrics.convention import Convention
from recattn_mini.metrics.explain import Explanation
from recattn_mini.metrics.judged_by import value
