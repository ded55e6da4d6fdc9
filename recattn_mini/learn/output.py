"""Print to whatever stdout is: what its encoding lacks is replaced, and nothing raises.

A redirected Windows console speaks cp1252 or GBK, LANG=C speaks ASCII; hints and marks hold √ and ✓.
"""

import codecs
import sys
import unicodedata

SIGNS = {"✓": "+", "✗": "x", "○": "o", "·": ".", "…": "...", "→": "->", "←": "<-", "×": "x", "–": "-", "—": "-"}
SIGNS |= {"½": "1/2", "¼": "1/4", "²": "^2", "³": "^3"}
SIGNS |= {"√": "sqrt ", "β": "beta", "ε": "eps", "μ": "mu", "π": "pi", "σ": "sigma", "Σ": "sum ", "⊙": "*"}


def say(text: str = "") -> None:
    """Print the text, as much of it as stdout can show."""
    print(printable(text, getattr(sys.stdout, "encoding", None)), flush=True)


def printable(text: str, encoding: str | None) -> str:
    """The text as an encoding has it: signs in ASCII, other letters and lone surrogates as question marks."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "recattn").decode(encoding)


def _instead(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(sign: str) -> str:
    return SIGNS.get(sign) or unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or "?"


codecs.register_error("recattn", _instead)  # so that streams can bear it too: `stdout.reconfigure(errors="recattn")`
