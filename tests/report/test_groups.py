"""Groups of runs that differ only in the seed, and their names."""

from run_folders import write_pair, write_run

from clif.report.groups import differing, group_runs, last
from clif.report.runs import find_runs, open_run


def groups_of(*folders):
    return group_runs([open_run(folder) for folder in folders])


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path):
    groups = group_runs(find_runs(write_pair(tmp_path)))
    assert [(group.name, [run.seed for run in group.runs]) for group in groups] == [
        ("CLIF", [0, 1, 2]),
        ("LIF", [0, 1, 2]),
    ]


def test_options_without_effect_on_the_numbers_make_no_group(tmp_path):
    a = write_run(tmp_path / "a", seed=0, out_dir="here", j=0, log_firing_rates=True)
    b = write_run(tmp_path / "b", seed=1, out_dir="there", j=4, data_dir="/elsewhere")
    assert len(groups_of(a, b)) == 1


def test_names_say_in_what_groups_differ(tmp_path):
    a = write_run(tmp_path / "a", neuron="CLIF", T=4)
    b = write_run(tmp_path / "b", neuron="CLIF", T=6)
    c = write_run(tmp_path / "c", neuron="LIF", T=6)
    assert [group.name for group in groups_of(a, b, c)] == ["CLIF, T=4", "CLIF, T=6", "LIF, T=6"]
    assert differing([group.config for group in groups_of(a, b)]) == ["T"]


def test_a_second_run_of_a_seed_is_a_group_of_its_own(tmp_path):
    a, b, c = write_run(tmp_path / "a"), write_run(tmp_path / "b"), write_run(tmp_path / "c", seed=1)
    groups = groups_of(a, b, c)
    assert [[run.name for run in group.runs] for group in groups] == [["a", "c"], ["b"]]
    assert [group.name for group in groups] == ["LIF (a)", "LIF (b)"]


def test_a_run_that_has_not_ended_is_no_part_of_means(tmp_path):
    (group,) = groups_of(write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, done=1))
    assert list(group.figures(last("test_top1"))) == [0]
