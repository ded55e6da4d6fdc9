"""What a learner sees of a model: titles for a user, and the events of the history that drew the attention.

Asked   "Which events drew the attention: may you show them to a user as the reason?"
Source  Jain, Wallace 2019; Wiegreffe, Pinter 2019. https://arxiv.org/abs/1908.04626
"""

import textwrap
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Item ids, titles and scores (k), best first; titles of the history (s), in time order; the attention (k s).

    The attention is None where the model has none.
    """

    items: np.ndarray
    titles: list[str]
    scores: np.ndarray
    history: list[str]
    weights: np.ndarray | None

    def __str__(self) -> str:
        lines = [
            f"{row + 1:2}  {score:7.3f}  {_short(title)}"
            for row, (title, score) in enumerate(zip(self.titles, self.scores, strict=True))
        ]
        if self._one_for_all:
            lines.append(f"all of them ← {self._attention(0)}")
        elif self.weights is not None:
            lines = [f"{line:44} ← {self._attention(row)}" for row, line in enumerate(lines)]
        return "\n".join(lines)

    @property
    def _one_for_all(self) -> bool:
        """Whether every title has the same attention, as where the query is not the candidate."""
        return self.weights is not None and len(self.weights) > 1 and bool((self.weights == self.weights[0]).all())

    def _attention(self, row: int) -> str:
        assert self.weights is not None
        most = np.argsort(-np.abs(self.weights[row]), kind="stable")[:3]
        return ", ".join(f"{_short(self.history[s], 22)} {self.weights[row, s]:.2f}" for s in most)

    def draw(self) -> None:
        """The attention as a picture: a row for each recommended title, a column for each event of the history."""
        import matplotlib.pyplot as plt

        if self.weights is None:
            raise ValueError("there is no attention to draw: the model has none")
        weights, titles = self.weights, [_short(title) for title in self.titles]
        if self._one_for_all:
            weights, titles = weights[:1], [f"all {len(titles)}"]
        signed = weights.min() < 0
        largest = np.abs(weights).max()
        figure, axes = plt.subplots(figsize=(10, 1.6 + 0.25 * len(titles)))
        image = axes.imshow(
            weights,
            cmap="PuOr" if signed else "cividis",  # both are safe for the colour-blind
            vmin=-largest if signed else 0,
            vmax=largest,
            aspect="auto",
        )
        axes.set_yticks(range(len(titles)), titles)
        axes.set_xticks(
            range(len(self.history)), [_short(title, 22) for title in self.history], rotation=60, ha="right"
        )
        axes.set_xlabel("the history, in time order")
        axes.set_ylabel("recommended")
        figure.colorbar(image, label="weight", fraction=0.03, pad=0.01)
        plt.show()


def _short(title: str, width: int = 30) -> str:
    return f"{textwrap.shorten(title, width, placeholder='…'):{width}}".rstrip()
