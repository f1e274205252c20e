"""How often intervals cover and tests are wrong, by simulation, beside what the method's description says they are.

A task's difficulty is p ~ Beta(0.8, 0.5), its repeats are Bernoulli(p). A figure holds where it is within three standard
errors of the simulation of the target. All is computed for many replicates at once; that this is what the functions of
the workbench compute is checked on the first of them.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from workbench.statistics.changes import change_between, corrected, corrected_beside
from workbench.statistics.intervals import Z, t_factor, t_interval, wilson
from workbench.statistics.judge import Rated, RateDifference, rate_difference
from workbench.statistics.means import paired, standard_error
from workbench.statistics.permutation import sign_flip

SEED = 20261123
TRUE_MEAN = 0.8 / 1.3
RESAMPLES = 1_000

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure of a simulation."""

    what: str
    ours: float
    target: float
    tolerance: float
    at_most: bool = False
    """True where anything below the target holds too."""

    @property
    def holds(self) -> bool:
        if self.at_most and self.ours <= self.target:
            return True
        return abs(self.ours - self.target) <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many replicates of each simulation."""

    coverage: int = 100_000
    bootstrap: int = 5_000
    same: int = 100_000
    flips: int = 20_000
    power: int = 20_000
    peeking: int = 40_000
    selection: int = 100_000
    judged_pairs: int = 2_000
    promises: int = 20_000
    measures: int = 4_000


def main() -> None:
    began = time.perf_counter()
    found = list(simulate(Size()))
    width = max(len(finding.what) for finding in found)
    print(f"{'':<{width}}  ours    target  3 sigma")
    for finding in found:
        wrong = "" if finding.holds else "  OUTSIDE"
        target = f"{'≤' if finding.at_most else ' '}{finding.target:.3f}"
        print(f"{finding.what:<{width}}  {finding.ours:.3f}  {target}  ±{finding.tolerance:.4f}{wrong}")
    outside = sum(not finding.holds for finding in found)
    print(f"{len(found) - outside} of {len(found)} within tolerance; {time.perf_counter() - began:.0f} s")
    if outside:
        sys.exit(1)


def simulate(size: Size) -> Iterator[Finding]:
    """Every figure, each simulation with a seed of its own so that none depends on what ran before."""
    yield from coverage(size)
    yield from same_persona(size)
    yield from power(size)
    yield from peeking(size)
    yield from selection(size)
    yield from judged_differences(size)
    yield from promises(size)
    yield from promises_and_criteria(size)
    yield from measures(size)


def coverage(size: Size) -> Iterator[Finding]:
    """Of 95 % intervals for a mean."""
    targets = {
        (8, 3): (0.929, 0.892, 0.893, 0.831),
        (12, 4): (0.943, 0.919, 0.919, 0.827),
        (20, 5): (0.946, 0.931, 0.931, 0.758),
        (50, 5): (0.948, 0.942, 0.943, 0.760),
    }
    for (n, repeats), (by_t, by_z, by_bootstrap, pooled) in targets.items():
        generator = np.random.default_rng(SEED)
        passes = _passes(generator, size.coverage, n, repeats)
        means = passes.mean(axis=1) / repeats
        errors = passes.std(axis=1, ddof=1) / repeats / math.sqrt(n)
        _check_interval(passes[0] / repeats, float(means[0]), float(errors[0]))
        distance = np.abs(means - TRUE_MEAN)
        name = f"coverage of {n} x {repeats}"
        yield _share(f"{name}: case t", distance <= t_factor(n - 1) * errors, by_t)
        yield _share(f"{name}: case z", distance <= Z * errors, by_z)
        resampled = _bootstrap(generator, passes[: size.bootstrap], repeats)
        yield _share(f"{name}: percentile bootstrap", resampled, by_bootstrap)
        yield _share(f"{name}: pooled Wilson, the wrong unit", _pooled(passes.sum(axis=1), n * repeats), pooled)


def same_persona(size: Size) -> Iterator[Finding]:
    """Differences and false positives of two identical personas."""
    targets = {
        (8, 3): (0.543, 0.315, 0.044, 0.003, 0.012),
        (12, 4): (0.481, 0.206, 0.042, 0.015, 0.036),
        (20, 5): (0.380, 0.066, 0.049, 0.027, 0.044),
        (40, 5): (None, None, None, 0.036, 0.048),
    }
    for (n, repeats), (five, ten, by_t, exact, mid) in targets.items():
        generator = np.random.default_rng(SEED)
        rows = size.same if by_t is not None else size.flips
        difficulty = generator.beta(0.8, 0.5, size=(rows, n))
        differences = generator.binomial(repeats, difficulty) - generator.binomial(repeats, difficulty)
        sums = np.abs(differences.sum(axis=1))
        name = f"A/A of {n} x {repeats}"
        if five is not None and ten is not None and by_t is not None:
            yield _share(f"{name}: differ by 5 points or more", sums >= 0.05 * n * repeats - 1e-9, five)
            yield _share(f"{name}: differ by 10 points or more", sums >= 0.10 * n * repeats - 1e-9, ten)
            yield _share(f"{name}: false positives of paired t", _t_rejects(differences), by_t)
        p, mid_p = _flips(differences[: size.flips], repeats)
        for row in range(min(25, len(p))):
            _check_tests(differences[row] / repeats, float(p[row]), float(mid_p[row]))
        yield _share(f"{name}: false positives of exact sign-flip", p <= 0.05 + 1e-12, exact)
        yield _share(f"{name}: false positives of its mid-p", mid_p <= 0.05 + 1e-12, mid)
        both = _t_rejects(differences[: size.flips]) & (p <= 0.05 + 1e-12)
        yield _share(f"{name}: verdicts better or worse, which take both", both, 0.05, at_most=True)


def power(size: Size) -> Iterator[Finding]:
    """What pairing buys, with a mean true lift of 0.118."""
    for (n, repeats), (with_pairs, without) in {
        (12, 4): (0.242, 0.043),
        (20, 5): (0.484, 0.075),
        (40, 5): (0.797, 0.240),
    }.items():
        generator = np.random.default_rng(SEED)
        logit = generator.normal(0.4, 1.8, size=(size.power, n))
        lift = generator.normal(0.8, 0.5, size=(size.power, n))
        first = generator.binomial(repeats, special.expit(logit))
        second = generator.binomial(repeats, special.expit(logit + lift))
        apart = np.sqrt((first.var(axis=1, ddof=1) + second.var(axis=1, ddof=1)) / n)
        rejects = np.abs(second.mean(axis=1) - first.mean(axis=1)) > t_factor(2 * n - 2) * apart
        name = f"power at {n} x {repeats}"
        yield _share(f"{name}: paired t", _t_rejects(second - first), with_pairs)
        yield _share(f"{name}: unpaired t", rejects, without)


def peeking(size: Size) -> Iterator[Finding]:
    """Stopping at the first p below 0.05 of paired t after every 5 tasks from 10 to 60."""
    generator = np.random.default_rng(SEED)
    difficulty = generator.beta(0.8, 0.5, size=(size.peeking, 60))
    differences = generator.binomial(1, difficulty) - generator.binomial(1, difficulty)
    looks = [_t_rejects(differences[:, :n]) for n in range(10, 61, 5)]
    yield _share("A/A, looking after every 5 of 60 tasks: false positives", np.any(looks, axis=0), 0.164)


def selection(size: Size) -> Iterator[Finding]:
    """The score of the best of five equal candidates on 8 queries, which each passes with 0.784."""
    generator = np.random.default_rng(SEED)
    fired = np.where(np.arange(8) < 4, 0.7, 0.3)
    often = generator.binomial(3, fired, size=(size.selection, 5, 8)) / 3 >= 0.5
    passed = often == (np.arange(8) < 4)
    best = passed.mean(axis=2).max(axis=1)
    yield _share("true pass rate of a query", passed, 0.784)
    error = float(best.std()) / math.sqrt(size.selection)
    yield Finding(
        what="score of the best of 5 equals", ours=float(best.mean()), target=0.936, tolerance=_rounded(error)
    )


def judged_differences(size: Size) -> Iterator[Finding]:
    """Coverage of the corrected difference of two variants, 100 replies each, 60 of all labelled by people; and of the
    difference of what the judge said, which is not to cover."""
    for true, tpr, tnr in (((0.6, 0.8), 0.85, 0.8), ((0.3, 0.6), 0.7, 0.9), ((0.8, 0.95), 0.9, 0.7)):
        generator = np.random.default_rng(SEED)
        corrected, uncorrected = [], []
        for _ in range(size.judged_pairs):
            rated, said = [], []
            for rate in true:
                people = generator.random(100) < rate
                judge = np.where(people, generator.random(100) < tpr, generator.random(100) >= tnr)
                rated.append(Rated(human=people[:30], judge=judge[:30], judged=judge[30:]))
                said.append(judge)
            found = rate_difference(rated[0], rated[1]).interval
            corrected.append(found.low <= true[1] - true[0] <= found.high)
            error = math.sqrt(sum(judge.var() / len(judge) for judge in said))
            uncorrected.append(abs(said[1].mean() - said[0].mean() - (true[1] - true[0])) <= Z * error)
        name = f"judge with TPR {tpr}, TNR {tnr}, rates {true[0]} and {true[1]}"
        misses = 1 - np.array(corrected)
        yield Finding(
            what=f"{name}: corrected misses", ours=float(misses.mean()), target=0.07, tolerance=0.0, at_most=True
        )
        covers = float(np.mean(uncorrected))
        yield Finding(
            what=f"{name}: uncorrected covers",
            ours=covers,
            target=1 - float(misses.mean()),
            tolerance=0.0,
            at_most=True,
        )


def promises(size: Size) -> Iterator[Finding]:
    """How often a comparison of two identical personas names any promise as better or worse: the family-wise error."""
    for count in (5, 10, 25):
        for n, repeats, alike in ((12, 4, False), (12, 4, True), (40, 5, False)):
            generator = np.random.default_rng(SEED)
            differences = _of_promises(generator, (size.promises, count, n), repeats, alike=alike)
            by_t, by_flips, differs = _promise_tests(differences, repeats)
            shown = (_holm(by_t, differs) <= 0.05) & (_holm(by_flips, differs) <= 0.05 + 1e-12)
            for row in range(25):
                _check_promises(differences[row] / repeats, shown[row])
            kind = "that go together" if alike else "apart"
            name = f"A/A of {n} x {repeats}, {count} promises {kind}"
            yield _share(f"{name}: any shown to differ", shown.any(axis=1), 0.05, at_most=True)
        # Every third promise is held on all of 12 tasks, the next on 8, the next on 5; one in ten scores is missing.
        n, repeats = 12, 4
        generator = np.random.default_rng(SEED)
        differences = _of_promises(generator, (size.measures, count, n), repeats, alike=False)
        held = np.array([(n, 8, 5)[number % 3] for number in range(count)])
        keeps = (np.arange(n) < held[:, None]) & (generator.random(differences.shape) >= 0.1)
        errs = [_any_shown(rows / repeats, kept) for rows, kept in zip(differences, keeps, strict=True)]
        yield _share(
            f"A/A of {count} promises on some tasks each: any shown to differ", np.array(errs), 0.05, at_most=True
        )


def promises_and_criteria(size: Size) -> Iterator[Finding]:
    """The same where a fifth of as many criteria of certified judges stand beside the promises, in one family: each of
    60 labels of people, 100 replies of a variant, and a judge that errs."""
    for count in (5, 10, 25):
        generator = np.random.default_rng(SEED)
        differences = _of_promises(generator, (size.measures, count, 12), 4, alike=False) / 4
        errs = []
        for rows in differences:
            changes = [change_between(np.zeros(12), row, bounded=True) for row in rows]
            judged = [_criterion_of_no_change(generator) for _ in range(max(1, count // 5))]
            of_promises, of_criteria = corrected_beside(changes, [each.p for each in judged if each.can_differ])
            shown = [found is not None and found.is_shown for found in of_promises]
            errs.append(any(shown) or any(p <= 0.05 for p in of_criteria))
        criteria = max(1, count // 5)
        name = f"A/A of {count} promises and {criteria} of judges: any shown to differ"
        yield _share(name, np.array(errs), 0.05, at_most=True)


def _criterion_of_no_change(generator: np.random.Generator) -> RateDifference:
    rated = []
    for _ in range(2):
        people = generator.random(100) < 0.6
        judge = np.where(people, generator.random(100) < 0.85, generator.random(100) >= 0.8)
        rated.append(Rated(human=people[:30], judge=judge[:30], judged=judge[30:]))
    return rate_difference(rated[0], rated[1])


def measures(size: Size) -> Iterator[Finding]:
    """The same for eight measures of length: heavy tails, and most of them one another's shadow."""
    generator = np.random.default_rng(SEED)
    shape = (size.measures, 2, 8, 12)
    together = generator.normal(0, 0.5, size=(size.measures, 2, 1, 12))
    logs = generator.normal(0, 1, size=(size.measures, 1, 1, 12)) + 0.9 * together
    logs = logs + 0.2 * generator.standard_t(3, size=shape)
    everywhere = np.ones(12, dtype=np.bool_)
    errs = [_any_shown(after - before, everywhere, bounded=False) for before, after in logs]
    yield _share("A/A of 8 measures: any shown to differ", np.array(errs), 0.05, at_most=True)


def _of_promises(generator: np.random.Generator, shape: tuple[int, int, int], repeats: int, *, alike: bool) -> Whole:
    """Passes of the variant less those of the baseline, of so many promises on the same tasks.

    Promises that go together are kept by the same replies: most have the difference of a first one.
    """
    difficulty = generator.beta(0.8, 0.5, size=shape)
    differences = generator.binomial(repeats, difficulty) - generator.binomial(repeats, difficulty)
    if alike:
        follows = generator.random((shape[0], shape[1], 1)) < 0.7
        differences = np.where(follows, differences[:, :1], differences)
    return differences


def _promise_tests(differences: Whole, repeats: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """p by t and by sign flips of each promise of each replicate, and whether it differs at all."""
    count, n = differences.shape[1:]
    scores = differences / repeats
    means, errors = scores.mean(axis=2), scores.std(axis=2, ddof=1) / math.sqrt(n)
    constant = np.ptp(scores, axis=2) <= 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        by_t = 2 * special.stdtr(n - 1, -np.abs(means) / errors)
    by_t = np.where(constant, 2 * special.ndtr(-np.sqrt(n * np.abs(means))), by_t)
    by_flips = np.stack([_flips(differences[:, number], repeats)[0] for number in range(count)], axis=1)
    return by_t, by_flips, (differences != 0).any(axis=2)


def _holm(p_values: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Corrected row by row, for those that count."""
    p = np.where(counts, p_values, 2.0)
    order = np.argsort(p, axis=1)
    factors = counts.sum(axis=1)[:, None] - np.arange(p.shape[1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=1) * np.maximum(factors, 1), axis=1)
    found = np.empty_like(p)
    np.put_along_axis(found, order, stepped, axis=1)
    return found


def _any_shown(differences: Floats, kept: NDArray[np.bool_], *, bounded: bool = True) -> bool:
    values = np.where(kept, differences, np.nan)
    changes = [change_between(np.zeros(len(row)), row, bounded=bounded) for row in values]
    return any(found is not None and found.is_shown for found in corrected(changes))


def _check_promises(differences: Floats, shown: NDArray[np.bool_]) -> None:
    changes = [change_between(np.zeros(len(row)), row, bounded=True) for row in differences]
    for found, simulated in zip(corrected(changes), shown.tolist(), strict=True):
        _same("promise shown to differ", float(found is not None and found.is_shown), float(simulated))


def _passes(generator: np.random.Generator, rows: int, n: int, repeats: int) -> Whole:
    return generator.binomial(repeats, generator.beta(0.8, 0.5, size=(rows, n)))


def _share(what: str, hits: NDArray[np.bool_], target: float, *, at_most: bool = False) -> Finding:
    tolerance = 3 * math.sqrt(target * (1 - target) / hits.size)
    return Finding(what=what, ours=float(hits.mean()), target=target, tolerance=tolerance, at_most=at_most)


def _rounded(error: float) -> float:
    """Three standard errors and what the target lost by being written with three digits."""
    return 3 * error + 0.0005


def _bootstrap(generator: np.random.Generator, passes: Whole, repeats: int) -> NDArray[np.bool_]:
    """Whether the percentile interval of each row covers: a resample is a draw of how often each score occurs."""
    n = passes.shape[1]
    shares = np.stack([(passes == score).mean(axis=1) for score in range(repeats + 1)], axis=1)
    covers = []
    for rows in np.array_split(shares, max(1, len(shares) // 250)):
        drawn = generator.multinomial(n, rows, size=(RESAMPLES, len(rows)))
        means = drawn @ np.arange(repeats + 1) / (n * repeats)
        low, high = np.percentile(means, [2.5, 97.5], axis=0)
        covers.append((low <= TRUE_MEAN) & (high >= TRUE_MEAN))
    return np.concatenate(covers)


def _pooled(passed: Whole, trials: int) -> NDArray[np.bool_]:
    by_count = [wilson(count, trials) for count in range(trials + 1)]
    covers = np.array([interval.low <= TRUE_MEAN <= interval.high for interval in by_count])
    return covers[passed]


def _t_rejects(differences: Whole) -> NDArray[np.bool_]:
    n = differences.shape[1]
    errors = differences.std(axis=1, ddof=1) / math.sqrt(n)
    return np.abs(differences.mean(axis=1)) > t_factor(n - 1) * errors + 1e-12


def _flips(differences: Whole, repeats: int) -> tuple[Floats, Floats]:
    """p and mid-p of each row, from the characteristic function of the sum of ±differences."""
    n = differences.shape[1]
    length = 2 * n * repeats + 1
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    product = np.ones((len(differences), len(angles)))
    for size in range(1, repeats + 1):
        powers = np.cos(size * angles)[None, :] ** np.arange(n + 1)[:, None]
        product *= powers[(np.abs(differences) == size).sum(axis=1)]
    chances = np.fft.irfft(product, length, axis=1)[:, : n * repeats + 1]
    chances[:, 1:] *= 2
    seen = np.abs(differences.sum(axis=1))
    rows = np.arange(len(differences))
    as_far = chances[rows, seen]
    up_to = np.cumsum(chances, axis=1)[rows, seen]
    p = 1 - up_to + as_far
    return p, p - as_far / 2


def _check_interval(scores: Floats, mean: float, error: float) -> None:
    _same("standard error", standard_error(scores), error)
    reach = t_factor(len(scores) - 1) * error
    _same("t interval", t_interval(mean, error, len(scores) - 1).high - mean, reach)


def _check_tests(differences: Floats, p: float, mid_p: float) -> None:
    found = sign_flip(differences)
    _same("sign-flip p", found.p, p)
    _same("sign-flip mid-p", found.mid_p, mid_p)
    if np.ptp(differences) > 0:
        whole = np.rint(differences * 60).astype(np.int64)[None, :]
        _same("paired t", float(paired(differences).t_p <= 0.05), float(_t_rejects(whole)[0]))


def _same(what: str, ours: float, simulated: float) -> None:
    if not math.isclose(ours, simulated, rel_tol=1e-9, abs_tol=1e-9):
        sys.exit(f"{what}: the workbench gives {ours}, the simulation {simulated}")
