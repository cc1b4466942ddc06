"""The rules of style that a linter does not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("caching_core", "integrations", "tasks", "example_project", "bootstrap")
SCRIPTS = ("quickstart", "runtests")
# The two lowest layers and the events are single modules, named as layers.
PUBLIC_MODULES = {"errors.py", "types.py", "events.py"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_FILE = 400
MAX_FUNCTION = 40


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted."""
    end = node.end_lineno or node.lineno
    documented = node.body[0] if ast.get_docstring(node) is not None else None
    return end - node.lineno + 1 - ((documented.end_lineno or 0) - documented.lineno + 1 if documented else 0)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_the_limit():
    every = [*sources(*SHIPPED, "tests"), *(ROOT / name for name in SCRIPTS)]
    long = {shown(path): count for path in every if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE}
    assert long == {}


def test_no_function_is_longer_than_the_limit():
    long = {
        f"{shown(path)}:{node.name}": count
        for path in sources(*SHIPPED)
        for node in functions(ast.parse(path.read_text(encoding="utf-8")))
        if (count := code_lines(node)) > MAX_FUNCTION
    }
    assert long == {}


def test_every_module_opens_with_a_sentence():
    silent = []
    for path in [*sources(*SHIPPED), *(ROOT / name for name in SCRIPTS)]:
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if words is None or not words.split("\n\n")[0].rstrip().endswith((".", ":")):
            silent.append(shown(path))
    assert silent == []


def test_modules_of_a_package_are_private():
    public = [
        shown(path)
        for path in sources("caching_core")
        if not path.name.startswith("_") and not (path.parent == ROOT / "caching_core" and path.name in PUBLIC_MODULES)
    ]
    assert public == []


def test_names_say_what_is_inside():
    vague = [shown(path) for path in sources(*SHIPPED) if path.stem.strip("_") in VAGUE or VAGUE & set(path.relative_to(ROOT).parts)]
    assert vague == []


def is_door_statement(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        # A table of lazily opened names is the one thing beside re-exports: importing a door stays cheap.
        return all(isinstance(target, ast.Name) and target.id.startswith("_") for target in targets)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and all(map(is_door_statement, node.body))
    return isinstance(node, ast.FunctionDef) and node.name in {"__getattr__", "__dir__"}


def test_a_door_holds_nothing_but_names():
    crowded = {}
    for path in sources("caching_core"):
        if path.name == "__init__.py":
            odd = [node.lineno for node in ast.parse(path.read_text(encoding="utf-8")).body if not is_door_statement(node)]
            if odd:
                crowded[shown(path)] = odd
    assert crowded == {}


def test_every_package_of_the_core_has_a_door_that_lists_its_names():
    missing = []
    for folder in sorted({path.parent for path in sources("caching_core")}):
        door = folder / "__init__.py"
        if not door.exists() or (list(folder.glob("_[!_]*.py")) and "__all__" not in door.read_text(encoding="utf-8")):
            missing.append(shown(folder))
    assert missing == []


@pytest.mark.parametrize("folder", ["integrations", "integrations/django", "integrations/fastapi", "tasks"])
def test_integration_folders_never_shadow_a_framework(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def unpickles(tree: ast.AST) -> int:
    """Count the places that could turn bytes into objects with pickle."""
    return sum(
        (
            isinstance(node, ast.Attribute)
            and node.attr in {"load", "loads", "Unpickler"}
            and isinstance(node.value, ast.Name)
            and node.value.id in {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
        )
        or (isinstance(node, ast.ImportFrom) and node.module in {"pickle", "_pickle", "marshal"})
        for node in ast.walk(tree)
    )


def test_pickle_is_read_in_one_place_at_most():
    places = {shown(path): count for path in sources(*SHIPPED) if (count := unpickles(ast.parse(path.read_text(encoding="utf-8"))))}
    assert sum(places.values()) <= 1, places
