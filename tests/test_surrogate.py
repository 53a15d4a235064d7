import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import clif
from clif import functional, surrogate
from clif.errors import InputError
from clif.surrogate import ATan, Rectangle, Sigmoid, Surrogate, Triangle

ALL = [Rectangle, Sigmoid, Triangle, ATan]

# The smooth functions from 0 to 1 whose derivatives are the surrogates.
PRIMITIVES = {
    Sigmoid: lambda x, alpha: torch.sigmoid(alpha * x),
    ATan: lambda x, alpha: torch.atan(math.pi / 2 * alpha * x) / math.pi + 0.5,
    Triangle: lambda x, alpha: _integrated_triangle((alpha * x).clamp(-1, 1)),
}


def _integrated_triangle(y):
    return y - y * y.abs() / 2 + 0.5


def gradient(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ALL)
def test_spikes_are_the_heaviside_step_with_one_at_zero(kind, dtype):
    x = torch.tensor([-3.0, -1e-3, -0.0, 0.0, 1e-3, 3.0], dtype=dtype)
    spikes = kind()(x)
    assert spikes.dtype == dtype
    assert spikes.tolist() == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("kind", PRIMITIVES)
@given(
    alpha=st.floats(0.1, 10),
    x=st.lists(st.floats(-4, 4), min_size=1, max_size=20).map(lambda xs: torch.tensor(xs, dtype=torch.float64)),
)
def test_the_gradient_is_the_derivative_of_the_smooth_primitive(kind, alpha, x):
    expected = gradient(lambda y: PRIMITIVES[kind](y, alpha), x)
    assert_close(gradient(kind(alpha), x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(1.0, [0, 0, 1, 1, 1, 0]), (2.0, [0, 0.5, 0.5, 0.5, 0.5, 0.5]), (0.5, [0, 0, 0, 2, 0, 0])],
)
def test_the_rectangle_is_1_over_alpha_wide_alpha_and_closed(alpha, expected):
    x = torch.tensor([-1.01, -0.51, -0.5, 0.0, 0.5, 1.0])
    assert gradient(Rectangle(alpha), x).tolist() == expected


@pytest.mark.parametrize("kind", ALL)
def test_the_gradient_is_scaled_by_the_gradient_that_comes_in(kind):
    x = torch.linspace(-0.4, 0.4, 7, dtype=torch.float64)
    g = torch.randn(7, dtype=torch.float64)
    assert_close(gradient(lambda y: kind()(y) * g, x), g * kind().derivative(x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ALL)
def test_surrogates_work_under_vmap_and_grad(kind):
    x = torch.linspace(-0.7, 0.7, 6, dtype=torch.float64)
    assert_close(torch.func.vmap(torch.func.grad(kind()))(x), kind().derivative(x), rtol=0, atol=0)


def test_default_sharpness_is_the_papers():
    assert [kind().alpha for kind in ALL] == [1.0, 4.0, 1.0, 2.0]


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("kind", ALL)
def test_a_sharpness_that_is_not_positive_and_finite_is_refused(kind, alpha):
    with pytest.raises(InputError, match=f"{kind.__name__}: alpha must be a positive number"):
        kind(alpha)


def test_surrogates_are_immutable_values():
    assert Sigmoid() == Sigmoid(4.0) != Sigmoid(2.0)
    assert len({Sigmoid(), Sigmoid(4.0), ATan(4.0)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sigmoid().alpha = 2.0


class Scaled(Rectangle):
    """A surrogate with an option besides α, in plain Python."""

    def __init__(self, alpha=1.0, scale=1.0):
        super().__init__(alpha)
        self.scale = scale


def test_options_besides_alpha_tell_surrogates_apart(monkeypatch):
    monkeypatch.setitem(surrogate.SURROGATES, "scaled", Scaled)
    assert Scaled(1.0, 0.3) == Scaled(1.0, 0.3) != Scaled(1.0, 0.5)
    assert surrogate.name_of(Scaled(2.0)) == "scaled:2.0"
    with pytest.raises(InputError, match="stores its surrogate by name and α"):
        clif.models.create_model("snn4", surrogate=Scaled(scale=0.3), T=2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rectangle", Rectangle()), ("Sigmoid", Sigmoid()), ("TRIANGLE", Triangle()), ("atan", ATan())],
)
def test_surrogates_are_found_by_name_in_any_case(name, expected):
    assert surrogate.get(name) == expected


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="unknown surrogate 'rectangel'; did you mean rectangle"):
        surrogate.get("rectangel")


def test_a_surrogate_must_define_its_derivative():
    with pytest.raises(NotImplementedError, match=r"must define derivative\(x\)"):
        gradient(Surrogate(), torch.zeros(1))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sigmoid", Sigmoid()),
        ("ATan", ATan()),
        (Triangle, Triangle()),
        (None, Rectangle()),
        (Sigmoid(2.0), Sigmoid(2.0)),
    ],
)
def test_a_neuron_takes_names_classes_and_objects(given, expected):
    assert surrogate.resolve(given) == expected
    assert clif.CLIFNode(surrogate_function=given).surrogate_function == expected
    node = clif.LIFNode(step_mode="m")
    node.surrogate_function = given
    x_seq = torch.rand(4, 3, 8, requires_grad=True) * 3
    node(x_seq).sum().backward()
    functional.lif_multi_step(x_seq, surrogate_function=given)
    functional.lif_step(x_seq[0], None, surrogate_function=given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sigmoyd", "unknown surrogate 'sigmoyd'; did you mean sigmoid"),
        (Surrogate, r"got the class Surrogate; write surrogate_function=Surrogate\(\)"),
        (torch.nn.Sigmoid, "got the class Sigmoid"),
        (3, "must be a surrogate or its name"),
    ],
)
def test_other_surrogates_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        clif.CLIFNode(surrogate_function=given)
    with pytest.raises(InputError, match=message):
        functional.clif_multi_step(torch.zeros(3, 2), surrogate_function=given)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sigmoid, "surrogate_function=sigmoid returns values other than 0 and 1"),
        (torch.relu, "values other than 0 and 1"),
        (torch.nn.Sigmoid(), "values other than 0 and 1"),
        (torch.sign, "values other than 0 and 1"),
        (lambda x: (x >= 0).to(x.dtype), "has no gradient; derive a class"),
    ],
)
@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("store_v_seq", [False, True])
def test_a_function_that_gives_no_spikes_or_no_gradient_is_refused_when_it_is_used(
    function, message, step_mode, store_v_seq
):
    node = clif.CLIFNode(surrogate_function=function, step_mode=step_mode, store_v_seq=store_v_seq)
    x_seq = torch.rand(4, 3, 8, requires_grad=True) * 3
    with pytest.raises(InputError, match=message):
        node(x_seq if step_mode == "m" else x_seq[0])


def test_a_heaviside_function_may_be_used_without_gradients():
    node = clif.CLIFNode(surrogate_function=lambda x: (x >= 0).to(x.dtype), step_mode="m")
    x_seq = torch.rand(4, 3, 8) * 3
    with torch.no_grad():
        assert torch.equal(node(x_seq), clif.CLIFNode(step_mode="m")(x_seq))


@pytest.mark.parametrize("alpha", [torch.nn.Parameter(torch.tensor(2.0)), torch.tensor([1.0, 2.0]), "2"])
def test_a_sharpness_is_a_number(alpha):
    with pytest.raises(InputError, match=r"Sigmoid: alpha (is a constant|must be a positive number)"):
        Sigmoid(alpha)


def test_a_sharpness_may_be_a_tensor_of_one_element():
    assert Sigmoid(torch.tensor(2.0)) == Sigmoid(2.0)


@pytest.mark.parametrize("kind", ALL)
def test_a_name_with_alpha_is_read_and_written(kind):
    name = kind.__name__.lower()
    assert surrogate.get(f"{name}:0.37") == kind(0.37)
    assert surrogate.get(surrogate.name_of(kind(1 / 3))) == kind(1 / 3)
    assert surrogate.name_of(kind()) == name
    assert surrogate.name_of(torch.sigmoid) is None


@pytest.mark.parametrize("alpha", ["", "x", "0", "-1", "nan", "inf", "1:2"])
def test_an_alpha_that_is_no_positive_number_is_refused(alpha):
    with pytest.raises(InputError, match=r"alpha must be a positive number|α of a surrogate must be a number > 0"):
        surrogate.get(f"triangle:{alpha}")


def test_a_network_keeps_the_alpha_of_its_surrogate():
    for one in (clif.surrogate.Triangle(0.5), "Triangle:0.5"):
        net = clif.models.create_model("snn5_noAP", surrogate=one)
        assert net.config["surrogate"] == "triangle:0.5"
        nodes = [module for module in net.modules() if isinstance(module, clif.CLIFNode)]
        assert all(node.surrogate_function == Triangle(0.5) for node in nodes)
