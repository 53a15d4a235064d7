"""Constants of a technology: costs, sources, and refusals."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import clif
from clif import energy
from clif.errors import InputError

NAN, INF = float("nan"), float("inf")


def test_the_defaults_are_the_papers():
    costs = energy.Costs()
    assert costs == energy.PAPER == energy.find_costs("45nm")
    assert (costs.node_nm, costs.ac_pj, costs.mac_pj, costs.add_pj, costs.multiply_pj) == (45, 0.9, 4.6, 0.1, 3.1)
    assert "Horowitz" in costs.source
    assert "Lemaire" in costs.source
    for name in ("45nm-float16", "45nm-int8"):
        found = energy.find_costs(name)
        assert (found.name, found.node_nm) == (name, 45)
        assert found.mac_pj < costs.mac_pj


@pytest.mark.parametrize(
    ("size", "pj"), [(0, 0), (4096, 5), (8192, 10), (20480, 15), (32768, 20), (1048576, 100), (10**9, 100)]
)
def test_an_access_costs_by_the_size_of_its_memory(size, pj):
    assert energy.PAPER.access_pj(size) == pytest.approx(pj)
    assert energy.Costs(memory_pj=((8192, 10),)).access_pj(size) == 10


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ac_pj": -0.1}, "ac_pj of the costs must be a finite number of at least 0, got -0.1"),
        ({"mac_pj": NAN}, "mac_pj of the costs"),
        ({"add_pj": INF}, "add_pj of the costs"),
        ({"multiply_pj": "3"}, "multiply_pj of the costs"),
        ({"ac_pj": True}, "ac_pj of the costs"),
        ({"node_nm": 0}, "node_nm of the costs must be a finite number above 0"),
        ({"word_bytes": 0}, "word_bytes of the costs must be a whole number of at least 1"),
        ({"word_bytes": 2.5}, "word_bytes of the costs"),
        ({"name": 5}, "name of the costs must be a string"),
        ({"memory_pj": ()}, "memory_pj of the costs must be at least one pair, sorted by bytes"),
        ({"memory_pj": ((8, 1), (8, 2))}, "sorted by bytes"),
        ({"memory_pj": 10}, r"memory_pj of the costs must be pairs \[bytes, pJ\]"),
        ({"memory_pj": ((0, 0), (1,))}, "must be pairs"),
        ({"memory_pj": ((0, -1),)}, "memory_pj of the costs must be a finite number"),
        ({"mac": 1}, "unknown key of the costs 'mac'; did you mean"),
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_error(values, message):
    with pytest.raises(InputError, match=message):
        energy.Costs.from_dict(values)


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("node_nm: 28\nac_pj: 0.5\nmemory_pj: [[1024, 2], [65536, 9]]\nsource: my chip\n")
    costs = energy.find_costs(path)
    assert (costs.name, costs.node_nm, costs.ac_pj, costs.mac_pj) == ("mine", 28, 0.5, 4.6)
    assert costs.memory_pj == ((1024, 2), (65536, 9))
    as_json = tmp_path / "mine.json"
    as_json.write_text(json.dumps({"name": "x", "mac_pj": 2}))
    assert energy.find_costs(str(as_json)).mac_pj == 2
    for text, message in [
        ("ac_pj: -1", "mine.yaml: ac_pj of the costs must be a finite number"),
        ("acpj: 1", "unknown key of .*mine.yaml 'acpj'; did you mean ac_pj"),
        ("[1, 2]", "must have lines 'name: value'"),
        ("a: [", "not a YAML file"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            energy.find_costs(path)
    with pytest.raises(InputError, match="no such file of costs"):
        energy.find_costs(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="unknown name of costs '7nm'; did you mean 45nm"):
        energy.find_costs("7nm")


@given(
    st.one_of(
        st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.floats() | st.text(max_size=3)).map(json.dumps)
    )
)
def test_any_file_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("costs") / "some.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        assert isinstance(energy.find_costs(path), energy.Costs)
    except InputError as error:
        assert "some.yaml" in str(error)  # noqa: PT017


def test_an_estimate_follows_its_costs():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), clif.LIFNode(), nn.Linear(16, 4))
    loader = [(torch.rand(3, 5, 8) * 4, None)]
    usual = energy.estimate(net, loader)
    free = replace(energy.PAPER, mac_pj=0.0, ac_pj=2.0)
    assert energy.estimate(net, loader, free).microjoule == pytest.approx(2 * usual.acs / 1e6)
    assert energy.estimate(net, loader, free).memory_millijoule == usual.memory_millijoule
    still = replace(energy.PAPER, memory_pj=((0, 0),))
    operations = energy.estimate(net, loader, still)
    assert 0 < operations.memory_millijoule < usual.memory_millijoule
    halves = energy.estimate(net, loader, energy.find_costs("45nm-float16"))
    assert halves.moved_bytes == usual.moved_bytes / 2
    assert halves.costs.name == "45nm-float16"
    assert halves.microjoule == pytest.approx((0.4 * usual.acs + 1.5 * usual.macs) / 1e6)
