"""The results in a report: means, tests, states, and warnings."""

import json
import math

import pytest
from run_folders import write_deployment, write_energy, write_pair, write_run
from scipy import stats

from clif.errors import InputError
from clif.report import find_runs, make_report
from clif.report.charts import chart_csv, draw


def table(report, name):
    return next(table for table in report.tables if table.name == name)


def column(table, title):
    return [row[table.columns.index(title)] for row in table.rows]


def test_the_final_table_has_the_last_epoch_over_the_seeds(tmp_path):
    report = make_report(find_runs(write_pair(tmp_path)))
    final = table(report, "final")
    lif = [0.83 + 0.003 * s for s in (0, 1, 4)]
    accuracies = column(final, "Test accuracy (%)")
    assert accuracies[1].value == pytest.approx(100 * sum(lif) / 3)
    assert accuracies[1].text == "83.50 ± 0.62"
    assert [cell.text for cell in column(final, "Runs")] == ["3 seeds", "3 seeds"]
    assert "highest validation accuracy" in final.note
    assert [card.name for card in report.cards] == ["CLIF", "LIF"]


def test_the_difference_is_tested_over_the_seeds_of_both(tmp_path):
    runs = find_runs(write_pair(tmp_path))
    report = make_report(runs)
    differences = table(report, "differences")
    by_neuron = [[run.last["test_top1"] for run in runs if run.config["neuron"] == n] for n in ("CLIF", "LIF")]
    expected = stats.ttest_rel(*by_neuron)
    assert column(differences, "Difference")[0].text == "CLIF − LIF"
    assert column(differences, "t")[0].value == pytest.approx(expected.statistic)
    assert column(differences, "p")[0].value == pytest.approx(expected.pvalue)
    assert report.verdicts == ["CLIF − LIF: +1.10 ± 0.10 points over 3 seeds, p = 0.003 (paired t-test)."]


def test_three_groups_have_corrected_p_values(tmp_path):
    folders = [
        *write_pair(tmp_path),
        *(write_run(tmp_path / f"p{s}", s, gain=0.02 * s, neuron="PLIF") for s in range(3)),
    ]
    differences = table(make_report(find_runs(folders)), "differences")
    assert len(differences.rows) == 6
    plain, corrected = (column(differences, title) for title in ("p", "p (Holm)"))
    assert all(c.value >= p.value for p, c in zip(plain, corrected, strict=True))


def test_of_many_comparisons_the_best_group_s_are_told_corrected(tmp_path):
    gains = {"CLIF": 0.0, "LIF": 0.03, "PLIF": 0.01, "KLIF": 0.02}
    folders = [
        write_run(tmp_path / f"{neuron}{s}", s, gain=gain * (1 + s / 10), neuron=neuron)
        for neuron, gain in gains.items()
        for s in range(3)
    ]
    report = make_report(find_runs(folders))
    assert [verdict.split(":")[0] for verdict in report.verdicts] == ["LIF − CLIF", "LIF − PLIF", "LIF − KLIF"]
    differences = table(report, "differences")
    row = next(row for row in differences.rows if row[0].text == "CLIF − LIF")
    assert report.verdicts[0].startswith("LIF − CLIF: +3.30 ± 0.30 points over 3 seeds, p ")
    assert row[-1].text in report.verdicts[0]


def test_one_seed_makes_no_test(tmp_path):
    report = make_report(find_runs(write_pair(tmp_path, seeds=(4,))))
    assert report.verdicts == ["CLIF − LIF: +1.40 points; one seed: no test."]
    assert column(table(report, "final"), "Test accuracy (%)")[0].text == "84.70"


def test_runs_that_have_not_ended_are_shown_as_such_and_left_out(tmp_path):
    folders = [write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, done=2), write_run(tmp_path / "c", 2, done=0)]
    report = make_report(find_runs(folders))
    assert column(table(report, "final"), "Runs")[0].text == "1 of 3 ended"
    states = [cell.text for cell in column(table(report, "runs"), "State")]
    assert states == ["finished", "stopped after 2 of 3 epochs", "stopped after 0 of 3 epochs"]
    assert {whose for whose, _ in report.cautions} == {"b", "c"}


def test_a_group_without_an_ended_run_shows_how_it_is_so_far(tmp_path):
    report = make_report(find_runs([write_run(tmp_path / "a", epochs=9, done=2)]))
    assert report.cards[0].text == "81.00 %"
    assert "so far" in report.cards[0].note


def test_without_a_test_set_the_validation_accuracy_is_named(tmp_path):
    rows = [{"epoch": e, "val_top1": 0.5, "val_loss": 1.0, "train_loss": 1.0} for e in range(2)]
    report = make_report(find_runs([write_run(tmp_path / "a", rows=rows)]))
    assert "Validation accuracy (%)" in table(report, "final").columns
    assert any("not every group has a test set" in what for _, what in report.cautions)


def test_a_group_without_an_epoch_leaves_the_others_their_test_accuracy(tmp_path):
    rows = [{"epoch": e, "test_top1": 0.5 + e / 10, "test_loss": 1.0, "train_top1": 0.9} for e in range(2)]
    trained = write_run(tmp_path / "a", rows=rows, done=2)
    begun = write_run(tmp_path / "b", done=0, neuron="LIF")
    report = make_report(find_runs([trained, begun]))
    assert [cell.text for cell in column(table(report, "final"), "Test accuracy (%)")] == ["60.00", "–"]
    assert "highest test accuracy" in table(report, "final").note
    assert not any("not every group has a test set" in what for _, what in report.cautions)
    assert "Test accuracy (%)" in table(make_report(find_runs([begun])), "final").columns


def test_a_best_epoch_chosen_on_the_test_set_is_said_to_be_optimistic(tmp_path):
    rows = [{"epoch": e, "test_top1": 0.5 + e / 10, "test_loss": 1.0} for e in range(2)]
    report = make_report(find_runs([write_run(tmp_path / "a", rows=rows, done=2)]))
    assert "optimistic" in table(report, "final").note
    assert any("chosen on the test set" in what for _, what in report.cautions)


def test_best_epochs_have_a_mean_only_if_all_runs_were_tested_in_them(tmp_path):
    folders = []
    for seed, validation in enumerate([(0.9, 0.8), (0.6, 0.9), (0.9, 0.8)]):
        rows = [{"epoch": e, "val_top1": v, "val_loss": 1.0, "train_loss": 1.0} for e, v in enumerate(validation)]
        rows[-1] |= {"test_top1": 0.7 + 0.05 * seed, "test_loss": 1.0}
        folders.append(write_run(tmp_path / f"{seed}", seed, epochs=2, rows=rows, test_at_end=True))
    final = table(make_report(find_runs(folders)), "final")
    assert column(final, "Test accuracy (%)")[0].text == "75.00 ± 5.00"
    assert column(final, "Best epoch (%)")[0].text == "–"
    assert final.note.endswith("–: a run was not evaluated on the test set in its best epoch.")
    tested = table(make_report(find_runs(folders[1:2])), "final")
    assert column(tested, "Best epoch (%)")[0].text == "75.00"
    assert "not evaluated" not in tested.note


def test_groups_on_different_data_are_not_compared(tmp_path):
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b", dataset="cifar10")]
    report = make_report(find_runs(folders))
    assert not report.verdicts
    assert any("different test sets" in what for _, what in report.cautions)


def test_what_is_not_finite_is_shown_and_warned_of(tmp_path):
    rows = [{"epoch": e, "test_top1": 0.1, "test_loss": math.nan, "train_loss": math.inf} for e in range(2)]
    report = make_report(find_runs([write_run(tmp_path / "a", rows=rows, done=2)]))
    assert any("not a finite number" in what for _, what in report.cautions)


def test_measurements_become_charts_and_tables(tmp_path):
    folders = write_pair(tmp_path, seeds=(0, 1))
    for folder in folders:
        write_deployment(folder)
    report = make_report(find_runs(folders))
    firing = next(chart for chart in report.charts if chart.name == "firing_rates")
    assert "clif deploy" in firing.note
    assert firing.lines[0].at(0).mean == pytest.approx(25)
    deployment = table(report, "deployment")
    assert column(deployment, "Difference (points)")[0].text == "−2.00 ± 0.00"
    sweep = next(chart for chart in report.charts if chart.name == "sweep")
    assert sweep.ticks == ["soft", "−0.02"]
    assert [line.is_reference for line in sweep.lines] == [False, True] * 2
    for folder in folders:
        write_energy(folder)
    report = make_report(find_runs(folders))
    assert "clif energy" in next(chart for chart in report.charts if chart.name == "firing_rates").note
    assert column(table(report, "energy"), "Operations (µJ)")[0].text == "20.00 ± 0.00"
    energy = next(chart for chart in report.charts if chart.name == "energy")
    assert [energy.lines[0].at(i).mean for i in range(3)] == [4, 8, 12]


def test_deployments_of_one_run_by_the_same_method_are_not_averaged(tmp_path):
    folders = write_pair(tmp_path, seeds=(0, 1))[:2]
    for folder in folders:
        write_deployment(folder, 0.8, "deploy_calibrate", "calibrate")
        write_deployment(folder, 0.6, "deploy_layer", "calibrate")
        write_deployment(folder, 0.9)
        write_deployment(folder, 0.5, "deploy_fine")
    report = make_report(find_runs(folders))
    deployment = table(report, "deployment")
    assert {
        method.text: (runs.text, accuracy.text)
        for method, runs, accuracy in zip(
            *(column(deployment, title) for title in ("Method", "Runs", "As LIF (%)")), strict=True
        )
    } == {
        "calibrate": ("2", "80.00 ± 0.00"),
        "calibrate (deploy_layer)": ("2", "60.00 ± 0.00"),
        "sweep": ("2", "90.00 ± 0.00"),
        "sweep (deploy_fine)": ("2", "50.00 ± 0.00"),
    }
    sweep = next(chart for chart in report.charts if chart.name == "sweep")
    assert [(line.label, line.at(1).mean) for line in sweep.lines] == [
        ("CLIF", pytest.approx(90)),
        ("CLIF, as trained", pytest.approx(92)),
    ]
    assert sweep.note == "Not drawn: CLIF, sweep (deploy_fine)."


def test_the_firing_rate_in_training_is_said_to_be_a_mean_over_layers(tmp_path):
    report = make_report(find_runs([write_run(tmp_path / "a")]))
    chart = next(chart for chart in report.charts if chart.name == "firing_rate")
    assert chart.lines[0].at(0).mean == pytest.approx(20.5)  # layers at 20 % and 21 %
    for text in (chart.title, chart.y_label):
        assert "over layers" in text
    assert "which count equally" in chart.note


def test_accuracy_is_drawn_against_energy_over_the_seeds(tmp_path):
    folders = write_pair(tmp_path, seeds=(0, 1))
    assert not [chart for chart in make_report(find_runs(folders)).charts if chart.scatter]
    for i, folder in enumerate(folders[:3]):
        write_energy(folder, microjoule=20.0 + i, epoch=1 if i == 2 else None)
    report = make_report(find_runs(folders))
    (chart,) = [chart for chart in report.charts if chart.scatter]
    both, one = chart.lines
    assert (both.at(0).mean, both.at(0).n, both.at(1).n) == (20.5, 2, 2)
    assert both.runs[0][1] == pytest.approx(100 * report.runs[0].last["test_top1"])
    assert one.runs == {2: [22.0, pytest.approx(100 * report.runs[2].rows[1]["test_top1"])]}  # in the measured epoch
    assert "CLIF: 20.50 ± 0.71 and 84." in chart.describe()
    header, energies, accuracies = chart_csv(chart, ["a", "b", "c", "d"]).splitlines()
    assert header.startswith("figure,CLIF mean,CLIF std,CLIF n,CLIF a,CLIF b,LIF mean")
    assert energies.startswith("energy of an inference (µJ),20.5,")
    assert accuracies.startswith("test accuracy (%),84.")
    assert "cannot be compared" not in chart.note
    write_energy(folders[3], costs={"name": "45nm-int8", "ac_pj": 0.03, "mac_pj": 0.23})
    (chart,) = [chart for chart in make_report(find_runs(folders)).charts if chart.scatter]
    assert "cannot be compared" in chart.note
    axes = draw(chart).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("energy of an inference (µJ)", "test accuracy (%)")
    assert len(axes.containers) == 2


def test_energies_are_shown_with_their_costs(tmp_path):
    folders = write_pair(tmp_path, seeds=(0,))
    write_energy(folders[0])
    note = table(make_report(find_runs(folders)), "energy").note
    assert note.endswith("0.9 and 4.6 pJ (45nm).")
    write_energy(folders[1], costs={"name": "45nm-int8", "ac_pj": 0.03, "mac_pj": 0.23})
    note = table(make_report(find_runs(folders)), "energy").note
    assert "0.9 and 4.6 pJ (45nm); 0.03 and 0.23 pJ (45nm-int8)." in note
    assert "cannot be compared" in note


def test_measurements_are_shown_with_their_steps(tmp_path):
    folders = write_pair(tmp_path, seeds=(0, 1))
    for folder, T in zip(folders, (6, 4, 2, 2), strict=True):
        write_energy(folder, T=T)
        (folder / "eval.json").write_text(json.dumps({"top1": 0.5, "T": T}))
    report = make_report(find_runs(folders))
    assert [cell.text for cell in column(table(report, "energy"), "T")] == ["several numbers", "2"]
    assert [cell.text for cell in column(table(report, "evaluation"), "T")] == ["6", "4", "2", "2"]


def test_own_data_from_different_folders_is_warned_of(tmp_path):
    a, b = (write_run(tmp_path / name, seed, data_dir=name, dataset="images") for seed, name in enumerate("ab"))
    (found,) = make_report(find_runs([a, b])).cautions
    assert found == ("all runs", "the runs read images from different folders (a, b); are they the same?")
    assert not make_report(find_runs([a])).cautions


def test_damaged_measurements_leave_gaps_not_errors(tmp_path):
    folder = write_run(tmp_path / "a")
    (folder / "energy.json").write_text(
        '{"firing_rates": [], "layers": [1, {}], "acs": "many", "costs": {"ac_pj": []}, "macs": 1' + "0" * 400 + "}"
    )
    (folder / "deploy").mkdir()
    (folder / "deploy" / "deploy.json").write_text('{"networks": 3, "rows": {"test": [1]}, "method": ["x"]}')
    report = make_report(find_runs([folder]))
    assert column(table(report, "energy"), "ACs (M)")[0].text == "–"
    assert column(table(report, "deployment"), "As LIF (%)")[0].text == "–"


def test_no_runs_make_no_report():
    with pytest.raises(InputError, match="at least one run"):
        make_report([])
