"""Imports go down only: the floors of ARCHITECTURE.md, enforced over the source."""

import ast
import graphlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

PACKAGE = os.path.join(os.path.dirname(__file__), "..", "..", "python", "podcore")


@dataclass(frozen=True)
class Floor:
    """Modules and packages directly below podcore that stand equally high.

    Attributes:
        names: they.
        strangers: whether they may not import each other.
    """

    names: tuple[str, ...]
    strangers: bool = False


# Top to bottom. A new module needs a line here: where it belongs is part of its design.
FLOORS = (
    Floor(("__main__",)),
    Floor(("cli", "testing"), strangers=True),
    Floor(("__init__",)),
    Floor(("engine", "pod", "container", "volumes", "health")),
    Floor(("inspection",)),
    Floor(("operations",)),
    Floor(("lifecycle",)),
    Floor(("observe",)),
    Floor(("backend",)),
    Floor(("reconcile",)),
    Floor(("store", "oci", "monitor", "bundle", "places"), strangers=True),
    Floor(("programs", "runtime_log")),
    Floor(("kernel",)),
    Floor(("specs", "limits", "names", "signals", "units", "references", "deadlines")),
    Floor(("report", "records", "model", "errors")),
    Floor(("defaults",)),
    Floor(("_core",)),
)
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor.names}

# Looks upwards inside a function, each with its reason.
LAZY_UPWARDS = {
    ("model", "inspection"): "to_dict() of the words is written beside the rest of podman's names",
}


@dataclass(frozen=True)
class Import:
    """An import of one module of the package by another.

    Attributes:
        importer: dotted name below podcore, as ``store.schema``.
        imported: likewise; "" is the package itself.
        lazy: it stands in a function.
        typing: it stands under ``if TYPE_CHECKING``.
    """

    importer: str
    imported: str
    lazy: bool
    typing: bool

    @property
    def rooms(self) -> tuple[str, str]:
        """The names below podcore on which both ends stand."""
        return self.importer.split(".")[0], self.imported.split(".")[0] or "__init__"


def modules(package: str) -> Iterator[tuple[str, str]]:
    """Yields (dotted name, path) of all modules of a package, sorted."""
    for directory, names, files in os.walk(package):
        names.sort()
        for file in sorted(files):
            if file.endswith((".py", ".pyi")):
                path = os.path.join(directory, file)
                parts = os.path.relpath(path, package).rsplit(".", 1)[0].split(os.sep)
                if parts[-1] == "__init__" and len(parts) > 1:
                    parts.pop()
                yield ".".join(parts), path


def imports(package: str) -> list[Import]:
    """Returns all imports inside a package in the order of its files and lines."""
    known = dict(modules(package))
    submodules = {f"podcore.{name}" for name in (*known, "_core")}
    found = []

    def visit(node: ast.AST, name: str, *, lazy: bool, typing: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                targets = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{name}: relative imports hide the floor"
                # What is imported may be a module or a name in one.
                full = [f"{child.module}.{alias.name}" for alias in child.names]
                targets = [one if one in submodules else str(child.module) for one in full]
            else:
                inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                visit(child, name, lazy=lazy or inner, typing=typing or guard)
                continue
            found.extend(
                Import(name, target.partition(".")[2], lazy, typing)
                for target in targets
                if target.split(".")[0] == "podcore"
            )

    for name, path in known.items():
        with open(path, encoding="utf-8") as file:
            visit(ast.parse(file.read()), name, lazy=False, typing=False)
    return found


def violations(package: str) -> list[str]:
    """Returns what breaks the order of the floors, as sentences."""
    wrong = [
        f"`{name}` stands on no floor"
        for name in dict.fromkeys(name.split(".")[0] for name, _ in modules(package))
        if name not in LEVEL
    ]
    for found in imports(package):
        upper, lower = found.rooms
        if upper == lower or upper not in LEVEL or lower not in LEVEL:
            continue
        if LEVEL[upper] == LEVEL[lower]:
            if FLOORS[LEVEL[upper]].strangers:
                wrong.append(f"`{found.importer}` knows its neighbour `{found.imported}`")
        elif LEVEL[upper] > LEVEL[lower] and not (
            (found.lazy or found.typing) and (upper, lower) in LAZY_UPWARDS
        ):
            wrong.append(f"`{found.importer}` looks up to `{found.imported or 'podcore'}`")
    return wrong


def circle(package: str) -> list[str]:
    """Returns modules that import each other in a circle while they are loaded, or nothing."""
    graph: dict[str, set[str]] = {}
    for found in imports(package):
        if not found.lazy and not found.typing and found.imported and found.imported != "_core":
            graph.setdefault(found.importer, set()).add(found.imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_imports_go_down_only():
    assert violations(PACKAGE) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(PACKAGE) == []


def package(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


def test_every_kind_of_violation_is_found(tmp_path):
    root = package(
        tmp_path,
        {
            "errors.py": "def f():\n    from podcore.kernel import files\n",
            "model.py": "from podcore.inspection import pod_to_dict\n",
            "kernel/files.py": "import podcore\n",
            "oci/runc.py": "from podcore.store import Store\n",
            "store/__init__.py": "class Store: ...\n",
            "inspection.py": "",
            "attic.py": "",
        },
    )

    assert violations(root) == [
        "`attic` stands on no floor",
        "`errors` looks up to `kernel.files`",
        "`model` looks up to `inspection`",
        "`kernel.files` looks up to `podcore`",
        "`oci.runc` knows its neighbour `store`",
    ]


def test_what_the_floors_allow_is_not_a_violation(tmp_path):
    root = package(
        tmp_path,
        {
            "model.py": "def f():\n    from podcore.inspection import pod_to_dict\n",
            "inspection.py": "from podcore.model import X\nfrom podcore import _core\n",
            "engine.py": "from podcore import pod\nimport podcore.store.schema\n",
            "pod.py": "def f():\n    from podcore.engine import Engine\n",
            "store/schema.py": "from podcore.errors import StoreError\n",
            "errors.py": "import os\n",
        },
    )

    assert violations(root) == []
    assert circle(root) == []


def test_a_circle_is_found_unless_it_is_lazy(tmp_path):
    root = package(
        tmp_path,
        {
            "report.py": "from podcore.records import Record\n",
            "records.py": "if True:\n    from podcore.report import Report\n",
        },
    )

    assert set(circle(root)) == {"report", "records"}
