"""The eight designs of lesson 02 on their planted task: five worlds of 16,000 users, the same with 160,000, and two
designs at a quarter of the learning rate; some fifteen minutes on one core.

    PYTHONPATH=.:tests python tests/experiments/run_planted_designs.py

The code is the lesson's own, read from its source: the cells tagged `planted` and `finds`.
"""

import jupytext
import torch
from experiments.recording import write
from notebooks import ROOT

SOURCE = ROOT / "lessons" / "source" / "02_design_an_attention_model.py"
WORLDS = [0, 1, 2, 3, 4]
TRAINED = "target attention, dot"
PROTOCOL = (
    "planted.clicks_on_target_category(seed) for each world; Adam, batches of 1,000, rate 0.02, until the AUC of 4,000 "
    "validation users has not risen for three epochs; AUC of 10,000 test users at the best epoch; one thread, float32"
)


def lesson() -> dict:
    """What the lesson's cells define."""
    names: dict = {}
    cells = jupytext.read(SOURCE, fmt="py:percent").cells
    for tag in ("imports", "planted", "finds"):
        [source] = [cell.source for cell in cells if tag in cell.metadata.get("tags", [])]
        exec(source, names)
    return names


def main() -> None:
    torch.set_num_threads(1)
    names = lesson()
    fit, world_of = names["fit"], names["planted"].clicks_on_target_category
    shares: list[float] = []

    def found(design: str, world: int, users: int = 16_000, rate: float = 0.02) -> float:
        model, auc = fit(design, world, train=users, rate=rate)
        print(f"{users:7,} users, rate {rate}, world {world}, {design}: {auc:.4f}", flush=True)
        if design == TRAINED and users == 16_000:
            made = world_of(world, users=30_000)
            ids = (torch.from_numpy(x[20_000:]) for x in (made.histories, made.candidates))
            shares.append(round(names["finds_the_match"](model, *ids), 4))
        return round(auc, 4)

    designs = names["DESIGNS"]
    figures = {
        "test AUC, 16,000 users": {design: [found(design, world) for world in WORLDS] for design in designs},
        "test AUC, 160,000 users": {design: [found(design, world, 160_000) for world in WORLDS] for design in designs},
        "test AUC, 16,000 users, rate 0.005": {
            design: [found(design, world, rate=0.005) for world in WORLDS]
            for design in ("self-attention, then mean", "the same with residual")
        },
        "one match of ten events has the largest weight, share of users": shares,
    }
    write("planted_designs", figures, protocol=PROTOCOL, seeds=WORLDS, packages=["torch", "numpy"])


if __name__ == "__main__":
    main()
