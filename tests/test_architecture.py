"""The house rules: which folder may import which, and what the commands leave unimported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "archdsl"
#: imports go down this list only; those on one line do not import each other
LAYERS = [
    {"language"},
    {"ops"},
    {"graph"},
    {"weights"},
    {"passes"},
    {"emit.arch", "emit.report", "emit.torch", "emit.onnx", "emit.view"},
    {"runtime"},
    {"cli"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
TOP = {
    "__init__",
    "__main__",
    "api",
    "catalogue",
    "library",
}  # above the rooms; `resources` and `version` lie below them


def room(module: str) -> str:
    """The room of a module `archdsl.x.y`."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[:1] == ["emit"] else (parts or ["__init__"])[0]


def imports(path: Path) -> list[str]:
    """Modules of archdsl that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("archdsl"):
            found += [
                f"{node.module}.{alias.name}" if node.module in ("archdsl", "archdsl.emit") else node.module
                for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("archdsl")]
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    module = ".".join(("archdsl", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    here = room(module)
    if here in TOP or here == "emit":
        return
    for target in imports(path):
        there = room(target)
        if there in ("resources", "version") or there == here:
            continue
        if there in TOP:
            assert here == "cli", f"{module} imports {target}"
            continue
        assert HEIGHT[there] < HEIGHT[here], f"{module} imports {target}"


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after running some code in a fresh process."""
    code += "\nimport sys; print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    return set(out.rpartition("LOADED")[2].split())


CLI = "import sys\nsys.argv = ['archdsl', {}]\nfrom archdsl.cli.app import run\nassert run() == 0"


def test_check_loads_no_array_library_and_no_table() -> None:
    assert not loaded_by(CLI.format("'check', 'googlenet'")) & {"torch", "onnx", "onnxruntime", "numpy", "rich", "PIL"}


def test_report_and_export_do_not_load_torch(tmp_path: Path) -> None:
    assert not loaded_by(CLI.format("'report', 'googlenet'")) & {"torch", "onnx", "onnxruntime", "numpy"}
    target = repr(str(tmp_path / "x.onnx"))
    assert not loaded_by(CLI.format(f"'export', 'googlenet', '-o', {target}")) & {"torch", "onnxruntime"}
    assert not loaded_by(CLI.format(f"'compile', 'googlenet', '-o', {str(tmp_path)!r}")) & {"torch", "onnxruntime"}


def test_importing_archdsl_loads_nothing_else() -> None:
    assert not loaded_by("import archdsl") & {"lark", "networkx", "click", "torch", "onnx", "numpy", "rich"}


def test_only_the_graph_knows_networkx() -> None:
    users = {
        str(path.relative_to(PACKAGE).parent)
        for path in PACKAGE.rglob("*.py")
        if "networkx" in path.read_text() and path.name != "api.py"
    }
    assert users == {"graph"}


def test_files_stay_short() -> None:
    long = [str(path) for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > 400]
    assert long == []


def test_reserved_labels_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    from archdsl.language.reserved import MODULE_ATTRIBUTES

    attributes = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert attributes == MODULE_ATTRIBUTES
