"""Tables, figures and the paper's rows from complete runs, which are written by hand here."""

import dataclasses
import json
import re

import pytest
import yaml

from clif.errors import InputError
from clif.experiment import Plan, chart_of, collect, deploy_all, make_plan
from clif.experiment.figure import save
from clif.experiment.report import write_report
from clif.experiment.reproduce import find_experiments, find_row, find_runs, list_rows
from clif.train import resolve

SCORES = {("CLIF", 0): 0.9, ("CLIF", 1): 0.94, ("LIF", 0): 0.85, ("LIF", 1): 0.93}


def complete(plan: Plan, scores, part: str = "test") -> None:
    """Write the files of a complete run of each arm and seed."""
    for run in plan.runs():
        run.prepare()
        score = scores[run.arm.curve, run.config.seed]
        last = {"epoch": run.config.epochs - 1, f"{part}_top1": score}
        (run.folder / "summary.json").write_text(json.dumps({"last": last}))
        rows = f"epoch,train_loss,{part}_top1\n0,{score},0.1\n1,{score / 2},{score}\n"
        (run.folder / "metrics.csv").write_text(rows)


def test_the_table_has_means_deviations_and_differences_by_seed(tmp_path):
    plan = make_plan("neurons", neurons=["CLIF", "LIF"], seeds=[0, 1], folder=tmp_path)
    complete(plan, SCORES)
    results = collect(plan, plan.runs())
    table = results.table()
    assert table.columns == ["neurons", "seeds", "test accuracy (%)", "CLIF leads by (points)", "p"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["CLIF", "2", "92.00 ± 2.83", "", ""],
        ["LIF", "2", "89.00 ± 5.66", "+3.00 ± 2.83", "0.374"],
    ]
    results.write()
    lif = json.loads((tmp_path / "results.json").read_text())["arms"][1]
    assert (lif["accuracies"], lif["folders"]) == ([0.85, 0.93], ["runs/LIF_seed0", "runs/LIF_seed1"])
    written = (tmp_path / "results.md").read_text()
    assert "| --- | ---: | ---: | ---: | ---: |" in written
    assert "| LIF | 2 | 89.00 ± 5.66 | +3.00 ± 2.83 | 0.374 |" in written
    with pytest.raises(InputError, match="no values for the x-axis"):
        chart_of(results)


def test_neurons_are_compared_at_the_same_number_of_steps(tmp_path):
    plan = make_plan("timesteps", neurons=["CLIF", "LIF"], values=[2, 4], seeds=[0, 1], folder=tmp_path)
    complete(plan, SCORES)
    for run in plan.runs():
        if run.label == "CLIF, T = 4, seed 0":
            (run.folder / "summary.json").write_text(json.dumps({"last": {"epoch": 1, "test_top1": 0.96}}))
            rows = "epoch,train_loss,test_top1\n0,0.9,0.1\n1,0.5,0.96\n"
            (run.folder / "metrics.csv").write_text(rows)
    table = collect(plan, plan.runs()).table()
    assert table.columns == ["timesteps", "seeds", "test accuracy (%)", "CLIF leads by (points)", "p"]
    assert [[row[0].text, row[3].text, row[4].text] for row in table.rows] == [
        ["CLIF, T = 2", "", ""],
        ["CLIF, T = 4", "", ""],
        ["LIF, T = 2", "+3.00 ± 2.83", "0.749"],
        ["LIF, T = 4", "+6.00 ± 7.07", "0.749"],
    ]


def test_the_page_describes_the_experiment(tmp_path):
    plan = make_plan("timesteps", neurons=["CLIF"], values=[2], seeds=[0], folder=tmp_path)
    complete(plan, SCORES)
    page = write_report(collect(plan, plan.runs())).read_text()
    assert "Accuracy by the number of time steps T (the paper" in page


def test_the_page_of_deployments_offers_both_its_tables(tmp_path):
    plan = make_plan("deployment", neurons=["LIF"], seeds=[0], folder=tmp_path)
    complete(plan, SCORES)
    (run,) = plan.runs()
    networks = [{"name": "as trained", "top1": 0.9}, {"name": "sweep", "top1": 0.8}]
    rows = {"test": [{"v_reset": None, "top1": 0.8}, {"v_reset": 0.0, "top1": 0.7}]}
    report = {"method": "sweep", "source_top1": 0.9, "networks": networks, "rows": rows, "chosen_v_reset": None}
    (run.folder / "deploy").mkdir()
    (run.folder / "deploy" / "deploy.json").write_text(json.dumps(report))
    (run.folder / "deploy" / "checkpoint_lif.pth").touch()
    table = deploy_all(plan, [run], quiet=True)
    assert table.columns[:2] == ["network", "deployed"]
    page = write_report(collect(plan, [run]), table)
    written = {path.read_text().splitlines()[0] for path in (tmp_path / "report_files").glob("*deployment.csv")}
    assert {line[:17] for line in written} == {"network,deployed,", "Group,Method,Runs"}
    ids = re.findall(r' id="([^"]+)"', page.read_text())
    assert len(ids) == len(set(ids))
    assert (tmp_path / "deployment.csv").read_text().startswith("network,deployed,")


def test_a_single_curve_is_compared_with_its_first_value(tmp_path):
    plan = make_plan("bptt", neurons=["LIF"], values=[1, 2], seeds=[0, 1], folder=tmp_path)
    complete(plan, SCORES)
    table = collect(plan, plan.runs()).table()
    assert table.columns[3] == "LIF, k = 1 leads by (points)"
    assert [row[3].text for row in table.rows] == ["", "+0.00 ± 0.00"]


def test_results_need_every_run(tmp_path):
    plan = make_plan("neurons", neurons=["CLIF"], seeds=[0, 1], folder=tmp_path)
    complete(dataclasses.replace(plan, seeds=[0]), SCORES)
    with pytest.raises(InputError, match="not complete: CLIF, seed 1"):
        collect(plan, plan.runs())


def test_a_damaged_summary_is_named(tmp_path):
    plan = make_plan("neurons", neurons=["CLIF"], seeds=[0], folder=tmp_path)
    complete(plan, SCORES)
    path = plan.runs()[0].folder / "summary.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"summary\.json cannot be read"):
        collect(plan, plan.runs())
    path.write_text("{}")
    (path.parent / "metrics.csv").write_text("epoch,train_loss\n0,1.5\n")
    with pytest.raises(InputError, match="no common accuracy column"):
        collect(plan, plan.runs())


def test_curves_over_what_varies(tmp_path):
    plan = make_plan("timesteps", neurons=["CLIF", "LIF"], values=[4, 2], seeds=[0, 1], folder=tmp_path)
    complete(plan, SCORES, part="val")
    chart = chart_of(collect(plan, plan.runs()))
    assert [line.label for line in chart.lines] == ["CLIF", "LIF"]
    assert chart.x == [2, 4]
    assert chart.lines[0].runs == {0: [90, 90], 1: [94, 94]}
    assert (chart.x_label, chart.y_label) == ("time steps T", "val accuracy (%)")


def test_an_exchange_shows_the_loss(tmp_path):
    plan = make_plan("exchange", values=[1], seeds=[0], folder=tmp_path, epochs=2)
    complete(plan, {("LIF", 0): 0.5, ("CLIF", 0): 0.6, ("LIF, then CLIF", 0): 0.55})
    results = collect(plan, plan.runs())
    assert [line.runs[0] for line in chart_of(results).lines[:2]] == [[0.5, 0.25], [0.6, 0.3]]
    assert [path.suffix for path in save(results) if path.stat().st_size] == [".svg", ".pdf", ".png", ".csv"]


def test_seeds_that_stopped_after_different_epochs_are_drawn(tmp_path):
    plan = make_plan("exchange", values=[1], seeds=[0, 1], folder=tmp_path, epochs=3)
    complete(plan, {(curve, seed): 0.5 for curve in ("LIF", "CLIF", "LIF, then CLIF") for seed in (0, 1)})
    with (plan.runs()[0].folder / "metrics.csv").open("a") as file:
        file.write("2,0.1,0.5\n")
    results = collect(plan, plan.runs())
    chart = chart_of(results)
    assert [value.n for value in map(chart.lines[0].at, range(3))] == [2, 2, 1]
    assert all(path.stat().st_size for path in save(results))


def test_rows_of_the_paper_have_its_numbers_and_commands():
    row = find_row("cifar10_resnet18:LIF")
    assert row.paper == {"LIF": [94.51]}
    assert row.original.endswith("-model spiking_resnet18 -T_max 200 -epochs 200 -weight_decay 5e-5 -neuron LIF")
    assert find_row("table8_cifar100").paper["CLIF"][6] == 77.0
    for row in list_rows().values():
        assert all(len(accuracies) == len(row.columns) for accuracies in row.paper.values())
    with pytest.raises(InputError, match="did you mean cifar10_resnet18"):
        find_row("cifar10_resnet18")


def write_run(folder, epochs: int, seed: int, score: float, **options) -> None:
    folder.mkdir(parents=True)
    config = resolve("cifar10_resnet18", epochs=epochs, seed=seed, **options)
    (folder / "config.yaml").write_text(yaml.safe_dump(dataclasses.asdict(config)))
    (folder / "summary.json").write_text(json.dumps({"last": {"epoch": epochs - 1, "test_top1": score}}))
    rows = "".join(f"{epoch},{score}\n" for epoch in range(epochs))
    (folder / "metrics.csv").write_text("epoch,test_top1\n" + rows)


def test_runs_that_repeat_a_row_are_found_and_shorter_ones_told(tmp_path):
    row = find_row("cifar10_resnet18:CLIF")
    write_run(tmp_path / "a", 30, 0, 0.90)
    write_run(tmp_path / "b", 30, 1, 0.92)
    write_run(tmp_path / "c", 200, 0, 0.954)
    write_run(tmp_path / "lif", 30, 0, 0.5, neuron="LIF")
    write_run(tmp_path / "wide", 30, 0, 0.5, b=64)
    write_run(tmp_path / "continued", 200, 1, 0.97, pre_train="weights.pth")
    long, short = find_runs(row, [tmp_path])
    assert long.describe(row) == "95.40 % (test, last epoch, seed 0, 200 epochs)"
    assert short.describe(row) == (
        "91.00 ± 1.41 % (test, last epoch, 2 seeds, 30 epochs): a shorter run, 30 of the paper's 200 epochs"
    )


def test_experiments_that_repeat_a_row_are_found(tmp_path):
    scores = {("LIF", 0): 0.9}
    for name, options in (("paper", {"tau": 1.5}), ("other", {"tau": 1.5, "b": 64})):
        plan = make_plan("bptt", "cifar10_resnet18", values=[1], seeds=[0], folder=tmp_path / name, epochs=3, **options)
        complete(plan, scores)
        collect(plan, plan.runs()).write()
    foreign = {"list": [1], "word": {"kind": "bptt", "recipe": 3, "options": [1]}}
    foreign["own"] = {"kind": "bptt", "recipe": "digits", "options": {"model": "net_of_mine"}}
    foreign["twice"] = {"kind": "bptt", "recipe": "digits", "options": {"recipe": "digits"}}
    for name, content in foreign.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(content))
    (tmp_path / "results.json").write_text("no JSON")
    assert find_experiments(find_row("table3_tau1.5"), [tmp_path]) == [tmp_path / "paper"]
    assert not find_experiments(find_row("table3_tau2"), [tmp_path])
