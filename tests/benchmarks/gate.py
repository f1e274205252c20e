"""How often the gate errs: passes a variant that is worse by exactly the margin, and stops one that is no different."""

from __future__ import annotations

import numpy as np
from scipy import special

from workbench.comparison.gate import ALPHA, MARGIN
from workbench.statistics.intervals import Floats

RUNS = 20_000
SEED = 20261123
EASE = (0.8, 0.5)
"""Of Beta: the chance of a task to be passed by the baseline; its mean is 0.615."""


def main() -> None:
    mean = EASE[0] / sum(EASE)
    print(f"margin {100 * MARGIN:.0f} points, one-sided {100 * (1 - ALPHA):.0f} % bounds, {RUNS:,} runs, seed {SEED}")
    print(
        f"{'tasks':>7} {'repeats':>7}   {'worse by the margin: passes':>28}   {'no different: passes, fails, undecided':>40}"
    )
    for tasks, repeats in ((12, 4), (25, 3), (50, 5), (100, 5), (200, 5), (400, 5)):
        generator = np.random.default_rng(SEED)
        worse, _ = decided(generator, tasks, repeats, keeps=1 - MARGIN / mean)
        passes, fails = decided(generator, tasks, repeats, keeps=1.0)
        shown = f"{passes:.3f}, {fails:.3f}, {1 - passes - fails:.3f}"
        print(f"{tasks:>7} {repeats:>7}   {worse:>28.3f}   {shown:>40}")


def decided(generator: np.random.Generator, tasks: int, repeats: int, *, keeps: float) -> tuple[float, float]:
    """The shares of runs that pass and that fail, where the variant passes `keeps` times as often as the baseline."""
    ease = generator.beta(*EASE, size=(RUNS, tasks))
    before = generator.binomial(repeats, ease) / repeats
    after = generator.binomial(repeats, ease * keeps) / repeats
    low, high = _bounds(after - before, tasks)
    passes = low > -MARGIN
    return float(passes.mean()), float((~passes & (high < 0)).mean())


def _bounds(differences: Floats, tasks: int) -> tuple[Floats, Floats]:
    effect = differences.mean(axis=1)
    reach = float(special.stdtrit(tasks - 1, 1 - ALPHA)) * differences.std(axis=1, ddof=1) / np.sqrt(tasks)
    return effect - reach, effect + reach
