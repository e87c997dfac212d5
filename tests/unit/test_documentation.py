"""What ``help`` shows: nothing that users reach is without a text, and the stub says the same."""

import ast
import inspect
import os
from types import GetSetDescriptorType

import podcore
from podcore import _core

STUB = os.path.join(os.path.dirname(_core.__file__), "_core.pyi")


def public_members(owner):
    """Yields (name, what has the docstring) of what a class defines for its users."""
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(member, classmethod | staticmethod):
            yield name, member.__func__
        elif isinstance(member, property | GetSetDescriptorType) or inspect.isroutine(member):
            yield name, member


def documented_in_stub():
    """Yields (dotted name, docstring) of all that the stub documents and the module has."""
    with open(STUB, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_docstring(node)
        elif isinstance(node, ast.ClassDef) and hasattr(_core, node.name):
            yield node.name, ast.get_docstring(node)
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and (text := ast.get_docstring(part)):
                    yield f"{node.name}.{part.name}", text


def test_nothing_that_is_public_is_without_a_docstring():
    bare = []
    for name in podcore.__all__:
        value = getattr(podcore, name)
        if not isinstance(value, type):
            continue
        if not vars(value).get("__doc__"):
            bare.append(name)
        bare += [f"{name}.{part}" for part, it in public_members(value) if not inspect.getdoc(it)]

    assert bare == []


def test_the_walk_over_public_names_meets_methods_and_properties_of_both_languages():
    met = {
        f"{name}.{part}"
        for name in podcore.__all__
        if isinstance(getattr(podcore, name), type)
        for part, _ in public_members(getattr(podcore, name))
    }

    wanted = "Engine.pods Engine.root DependencyGraph.order DependencyGraph.roots"
    assert set(wanted.split()) <= met


def test_help_shows_of_the_rust_core_what_its_stub_says():
    differ = []
    for dotted, text in documented_in_stub():
        owner, _, name = dotted.rpartition(".")
        found = getattr(getattr(_core, owner) if owner else _core, name)
        if inspect.getdoc(found) != text:
            differ.append(dotted)

    assert differ == []


def test_every_function_and_class_of_the_rust_core_is_in_its_stub():
    texts = dict(documented_in_stub())

    for name in _core.__all__:
        if name != "__version__":
            assert texts[name]
