"""The import arrows of DESIGN section 5: which room may know which, and the one home of each outside library."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "twinjax"
FILES = {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}
BASE = {"units", "naming"}
NOUNS = BASE | {"models", "dosing", "observation"}
SOLVE = BASE | {"models.base", "dosing", "solve"}
ESTIMATION = NOUNS | {"solve", "population", "estimation"}
MAY_KNOW = {
    "units": set(),
    "naming": set(),
    "models": BASE | {"models", "context"},
    "dosing": BASE,
    "drugs": BASE | {"drugs"},
    "exposure": NOUNS | {"solve", "population", "drugs", "io", "context", "exposure"},
    "observation": BASE | {"observation"},
    "solve": SOLVE,
    "genetics": BASE | {"models", "context", "genetics"},
    "physiology": BASE | {"physiology"},
    "devices": BASE | {"dosing", "models", "devices"},
    "context": {"context"},
    "bodies": BASE | {"models", "dosing", "physiology", "drugs", "context", "bodies"},
    "population": NOUNS | {"population"},
    "estimation": ESTIMATION,
    "assimilation": ESTIMATION | {"assimilation"},
    "trials": ESTIMATION | {"trials"},
    "credibility": ESTIMATION | {"assimilation", "trials", "credibility"},
    "plots": ESTIMATION | {"assimilation", "trials", "credibility", "electrophysiology", "plots"},
    "runs": ESTIMATION | {"assimilation", "trials", "credibility", "io.study"},
    "reports": ESTIMATION | {"plots", "runs", "reports"},
    "assays": BASE | {"assays"},
    "io": NOUNS | {"drugs", "population", "solve.problem", "electrophysiology.drugs", "assays.counts", "io"},
    "datasets": NOUNS | {"population", "solve.problem", "io", "datasets"},
    "progress": ESTIMATION,
    "electrophysiology": ESTIMATION | {"context", "electrophysiology"},
    "stream": ESTIMATION | {"assimilation", "io", "stream"},
    "page": ESTIMATION | {"assimilation", "io", "stream", "page"},
    "cohorts": NOUNS | {"solve", "population", "cohorts", "runs"},
}
"""What each room may import; `cli` may import everything."""

HOMES = {
    "diffrax": {"solve.diffrax"},
    "optax": {"estimation"},
    "optimistix": {"estimation"},
    "blackjax": {"estimation"},
    "arviz_base": {"estimation"},
    "arviz_stats": {"estimation"},
    "matplotlib": {"plots"},
    "pint": {"io"},
    "pyarrow": {"io", "cohorts.tables"},
    "distributed": {"cohorts.cluster"},
    "cloudpickle": {"cohorts.cluster"},
    "jinja2": {"reports"},
    "typer": {"cli", "__main__"},
    "rich": {"cli", "progress"},
    "llvmlite": {"solve.fused.targets"},
}
"""Where each outside library may be imported."""


def imports(name):
    """Every module that a file imports, as a dotted name; `from a import b` counts as a.b where that is a module."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    package = package.removesuffix(".__init__")
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{module}.{alias.name}" for alias in node.names}
            found |= {i for i in inner if i in FILES or f"{i}.__init__" in FILES} or {module}
    return found


IMPORTS = {name: imports(name) for name in FILES}


def under(name, rooms):
    return any(name == room or name.startswith(room + ".") for room in rooms)


def room(name):
    return name.removeprefix("twinjax.").removesuffix(".__init__")


@pytest.mark.parametrize("name", FILES)
def test_a_file_knows_only_the_rooms_it_may(name):
    own = room(name).split(".")[0]
    if own in ("cli", "__main__", "__init__", "twinjax"):
        return
    assert own in MAY_KNOW, f"{own} is a new room: say in DESIGN section 5 and here what it may know"
    known = {room(i) for i in IMPORTS[name] if i.startswith("twinjax.")}
    assert not {i for i in known if not under(i, MAY_KNOW[own])}


@pytest.mark.parametrize("library", HOMES)
def test_an_outside_library_has_one_home(library):
    users = {room(name) for name, found in IMPORTS.items() if under(library, {i.split(".")[0] for i in found})}
    assert not {u for u in users if not under(u, HOMES[library])}


def test_files_import_each_other_in_no_circle():
    modules = {
        n.removesuffix(".__init__"): {i for i in found if i.startswith("twinjax")} for n, found in IMPORTS.items()
    }
    done, path = set(), []

    def visit(name):
        assert name not in path, "a circle: " + " -> ".join([*path[path.index(name) :], name])
        if name not in done and name in modules:
            path.append(name)
            for other in sorted(modules[name]):
                visit(other)
            done.add(path.pop())

    for name in modules:
        visit(name)
