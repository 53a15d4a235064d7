"""Means over seeds, and a test of the difference between two groups of runs, paired over the seeds of both."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Mean:
    """Mean and sample standard deviation (NaN for one value) of `n` values."""

    mean: float
    std: float
    n: int


def mean_of(values: Sequence[float]) -> Mean | None:
    """The mean of the values that are numbers; None if there is none."""
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return None
    if not all(map(math.isfinite, numbers)):
        return Mean(math.inf, math.nan, len(numbers))
    return Mean(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else math.nan, len(numbers))


@dataclass(frozen=True)
class PairedTest:
    """Student's t-test of the differences b − a over the seeds that both have.

    `low` and `high` bound the 95 % confidence interval of the mean difference. Without a test (fewer than two common
    seeds, or the same difference at all of them) t, p, low and high are NaN and `why_not` says why.
    """

    seeds: tuple[int, ...]
    difference: Mean | None
    t: float = math.nan
    p: float = math.nan
    low: float = math.nan
    high: float = math.nan
    why_not: str = ""


def paired_test(a: Mapping[int, float], b: Mapping[int, float]) -> PairedTest:
    """Compare figures by seed, with the two-sided paired t-test (`scipy.stats.ttest_rel`)."""
    seeds = tuple(sorted(seed for seed in a.keys() & b.keys() if math.isfinite(a[seed]) and math.isfinite(b[seed])))
    differences = np.array([b[seed] - a[seed] for seed in seeds])
    difference = mean_of(differences.tolist())
    if len(seeds) < 2:
        return PairedTest(seeds, difference, why_not="one seed: no test" if seeds else "no seed in common: no test")
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max(initial=1.0):
        return PairedTest(seeds, difference, why_not="the same difference at every seed: no test")
    result = stats.ttest_rel([b[seed] for seed in seeds], [a[seed] for seed in seeds])
    interval = result.confidence_interval(0.95)
    t, p, low, high = map(float, (result.statistic, result.pvalue, interval.low, interval.high))
    return PairedTest(seeds, difference, t, p, low, high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction for several tests; NaN stays NaN and does not count as a test."""
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected
