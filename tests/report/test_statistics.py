"""Means and the paired test, compared with scipy's and with calculations by hand."""

import math

import pytest
from scipy import stats

from clif.report.statistics import holm, mean_of, paired_test

A = {0: 0.91, 1: 0.93, 2: 0.92, 5: 0.99}
B = {2: 0.95, 0: 0.93, 1: 0.94, 7: 0.10}


def test_the_mean_has_the_sample_standard_deviation():
    value = mean_of([1.0, 2.0, 6.0, math.nan])
    assert (value.mean, value.n) == (3.0, 3)
    assert value.std == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert math.isnan(mean_of([2.0]).std)
    assert mean_of([math.nan]) is None


def test_the_test_is_scipys_over_the_common_seeds():
    test = paired_test(A, B)
    expected = stats.ttest_rel([0.93, 0.94, 0.95], [0.91, 0.93, 0.92])
    assert test.seeds == (0, 1, 2)
    assert (test.t, test.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert test.difference.mean == pytest.approx(0.02)


def test_the_test_is_that_of_the_formula():
    test = paired_test(A, B)
    d = [0.02, 0.01, 0.03]
    standard_error = math.sqrt(sum((x - 0.02) ** 2 for x in d) / 2) / math.sqrt(3)
    assert test.t == pytest.approx(0.02 / standard_error)
    margin = (
        4.302652729911275 * standard_error
    )  # the quantile 0.975 of Student's distribution with 2 degrees of freedom
    assert (test.low, test.high) == (pytest.approx(0.02 - margin), pytest.approx(0.02 + margin))


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ({1: 0.5}, {1: 0.7}, "one seed: no test"),
        ({1: 0.5}, {2: 0.7}, "no seed in common: no test"),
        ({1: 0.5, 2: 0.6}, {1: 0.7, 2: 0.8}, "the same difference at every seed: no test"),
        ({1: 0.5, 2: math.nan}, {1: 0.7, 2: 0.8}, "one seed: no test"),
    ],
)
def test_where_there_is_nothing_to_test_it_says_why(a, b, why):
    test = paired_test(a, b)
    assert test.why_not == why
    assert math.isnan(test.p)


def test_holm_corrects_for_several_tests():
    assert holm([0.01, 0.04, math.nan, 0.03])[:2] == [pytest.approx(0.03), pytest.approx(0.06)]
    assert holm([0.01, 0.04, math.nan, 0.03])[3] == pytest.approx(0.06)
    assert math.isnan(holm([0.01, math.nan])[1])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
