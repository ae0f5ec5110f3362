"""Imports point downwards only, and `import gemclust` stays light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gemclust

ROOT = Path(gemclust.__file__).parent

LAYERS = [
    {"datasets", "messages", "threads", "distributed", "samples", "projections", "shapes", "rules"}
    | {"thresholds"},
    {"objectives", "models", "modules", "canonical", "categorical", "pipelines", "some_features"},
    {"chunks", "kernels", "means", "views", "rounding", "imitation"},
    {"distances", "features", "valleys", "shards"},
    {"geometry"},
    {"evaluation", "lbfgs", "penalties"},
    {"gradients"},
    {"problem"},
    {"batches"},
    {"training"},
    {"levels", "seeding", "selection"},
    {"parameters", "automatic", "units"},
    {"fitting", "progress"},
    {"estimator", "metrics", "explain", "export"},
    {"displays"},
    {"__init__"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

FILES = {
    ".".join(("gemclust", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
}


def runtime_nodes(tree):
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from runtime_nodes(node)


def imports(path):
    """Every name that the file imports, with its module: "a.b.c" for `from a.b import c`."""
    for node in runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} has a relative import; write it in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name):
    """The module of this package that "a.b.c" comes from, or None."""
    while name.startswith("gemclust."):
        for module in (name, f"{name}.__init__"):
            if module in FILES:
                return module
        name = name.rpartition(".")[0]
    return "gemclust.__init__" if name == "gemclust" else None


def part(module):
    """The module or package below gemclust."""
    return module.split(".")[1]


def test_every_module_has_a_layer():
    assert {part(module) for module in FILES} == set(RANK)


@pytest.mark.parametrize("module", FILES)
def test_imports_point_downwards(module):
    used = {own(name) for name in imports(FILES[module])} - {None}
    upwards = {name for name in used if RANK[part(name)] > RANK[part(module)]}
    assert not upwards


def test_imports_have_no_cycle():
    graph = {module: {own(n) for n in imports(path)} - {None} for module, path in FILES.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(FILES)


def test_imports_are_found():
    """The tests above would pass on nothing."""
    assert "gemclust.objectives.__init__" in {own(n) for n in imports(FILES["gemclust.geometry"])}
    assert own("gemclust.objectives.base.Batch") == "gemclust.objectives.base"
    assert own("gemclust") == "gemclust.__init__"
    assert own("sklearn.base") is None


@pytest.mark.parametrize(
    "module", ["training", "lbfgs", "models", "problem", "seeding", "distributed"]
)
def test_what_trains_knows_no_scikit_learn(module):
    names = list(imports(FILES[f"gemclust.{module}"]))
    assert not [name for name in names if name.split(".")[0] == "sklearn"]
    assert any(name.split(".")[0] == "torch" for name in names)


@pytest.mark.parametrize("module", FILES)
def test_no_private_name_of_scikit_learn(module):
    names = [name.split(".") for name in imports(FILES[module])]
    private = [".".join(n) for n in names if n[0] == "sklearn" and any(p[0] == "_" for p in n)]
    assert not private


def test_import_is_light():
    # scikit-learn itself imports pandas where it is installed.
    code = (
        "import sys, sklearn, torch; before = set(sys.modules);"
        "import gemclust; gemclust.GeminiClustering(); new = set(sys.modules) - before;"
        "print('gemclust' in new, new & {'matplotlib', 'ot', 'pandas', 'polars'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "True set()"
