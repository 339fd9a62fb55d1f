"""The examples of the README and of docstrings."""

import doctest
import inspect
from pathlib import Path

import pytest

import macula
import macula.sklearn


def test_examples_of_the_readme():
    readme = Path(__file__).parents[1] / "README.md"
    if not readme.exists():
        pytest.skip("the package was tested outside its repository")
    failed, tried = doctest.testfile(str(readme), module_relative=False)
    assert failed == 0 and tried > 15


@pytest.mark.parametrize("module", [macula, macula.sklearn])
def test_examples_of_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert failed == 0 and tried > 0


def test_everything_public_is_documented():
    for name in macula.__all__:
        if name == "__version__":
            continue
        thing = getattr(macula, name)
        assert thing.__doc__, name
        methods = vars(thing).items() if isinstance(thing, type) else []
        for method, value in methods:
            is_property = isinstance(value, property) or inspect.isgetsetdescriptor(value)
            if not method.startswith("_") and (callable(value) or is_property):
                assert value.__doc__, f"{name}.{method}"
    for thing in (macula.Encoder, macula.Dataset, macula.Device):
        assert "Parameters\n" in thing.__doc__, f"{thing}: the arguments of its constructor"
