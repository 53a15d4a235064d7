"""The rule of all decorators that register by name."""

import pytest

from clif.errors import InputError
from clif.registering import register


def made(text="first", module="notebook"):
    """A function as a cell of a notebook defines it."""

    def thing():
        return text

    thing.__module__, thing.__qualname__, thing.__name__ = module, "thing", "thing"
    return thing


def test_bare_the_name_is_its_own_and_the_thing_stays():
    registry, thing = {}, made()
    assert register(registry, "register_x", thing) is thing
    assert register(registry, "register_x", "Other")(thing) is thing
    assert registry == {"thing": thing, "Other": thing}


def test_the_same_place_replaces_and_another_is_refused():
    registry = {}
    register(registry, "register_x", made())
    again = register(registry, "register_x", "THING")(made("second"))
    assert registry == {"THING": again}
    with pytest.raises(InputError, match=r"the name 'Thing' is taken by notebook\.thing; give thing another"):
        register(registry, "register_x", "Thing")(made(module="elsewhere"))


@pytest.mark.parametrize("name", ["two words", "", 3, None])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="register_x takes a name of letters, digits and _, got"):
        register({}, "register_x", name)


def test_what_is_neither_function_nor_class_is_refused():
    with pytest.raises(InputError, match=r"register_x\('a'\) takes a function or a class, got 3"):
        register({}, "register_x", "a")(3)
