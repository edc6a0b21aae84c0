"""What the source may and may not contain: who imports whom, and where the exceptions live."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tensorsparkml

ROOT = Path(tensorsparkml.__file__).parent
PACKAGE = "tensorsparkml"

# What each part may import of the others, lazy imports included. A part is a folder, with those of
# its folders that are no parts themselves, or a module beside them. What is named here stands for
# all that is in it. Whoever adds a part adds it here.
FOUNDATION = {"errors", "_version", "checks", "config", "storage", "roles"}
OF_EVERY_NODE = {"control.protocol", "control.liveness", "control.processes"}
MAY_IMPORT = {
    "errors": set(),
    "_version": set(),
    "roles": set(),
    "checks": {"errors"},
    "config": {"errors", "checks", "roles", "storage"},
    "storage": {"errors"},
    "java": {"errors"},
    "control": set(),
    "control.protocol": FOUNDATION | {"control.machine", "control.text"},
    "control.liveness": {"control.protocol"},
    "control.feeds": {"errors", "control.protocol", "control.text"},
    "control.coordinator": {"roles", "control.protocol", "control.liveness", "control.feeds"},
    "data": FOUNDATION | {"control.protocol", "control.machine", "control.feeds.deliveries"},
    "program": {"errors"},
    "board": {"control.protocol.pipe_frames"},
    "executor": FOUNDATION | OF_EVERY_NODE | {"control.text", "data"},
    "trainer": FOUNDATION | OF_EVERY_NODE | {"control.feeds.lockstep", "data", "program"},
    "driver": FOUNDATION
    | {"control.protocol", "control.feeds", "control.coordinator", "control.text"}
    | {"data", "executor", "program"},
    "inference": FOUNDATION
    | {"control.protocol", "data", "program", "executor.folders", "driver.spark"}
    | {"driver.lifecycle.addresses", "driver.lifecycle.certificate"}
    | {"executor.launch.gpu_assignment"},
    "tfrecord": FOUNDATION | {"driver.spark", "tfrecord.source", "tfrecord.spark"},
    "tfrecord.codec": {"data.files.framing"},
    "tfrecord.schema": {"errors", "tfrecord.codec"},
    "tfrecord.source": FOUNDATION
    | {"data.columns.names", "data.files", "tfrecord.codec", "tfrecord.schema"},
    "tfrecord.spark": FOUNDATION
    | {"data.columns.names", "data.files", "driver.spark", "tfrecord.source"},
    "ml": FOUNDATION
    | {"control.text", "data", "driver.run", "driver.spark", "inference", "program", "trainer"},
    "__init__": {
        "errors",
        "_version",
        "config",
        "data.columns.options",
        "driver",
        "inference",
        "java",
        "tfrecord",
        "trainer",
    },
}

# What the package tensorflowonspark may import of this one.
FOR_THE_OLD_API = {
    "tensorsparkml",
    "tensorsparkml.checks",
    "tensorsparkml.driver.spark.columns",
    "tensorsparkml.errors",
    "tensorsparkml.executor.launch.gpu_discovery",
    "tensorsparkml.executor.launch.gpu_assignment",
    "tensorsparkml.program.keras_versions",
    "tensorsparkml.program.naming",
    "tensorsparkml.ml.params",
    "tensorsparkml.storage",
    "tensorsparkml.tfrecord",
    "tensorsparkml.tfrecord.codec.encode",
    "tensorsparkml.tfrecord.codec.exact",
    "tensorsparkml.tfrecord.codec.features",
    "tensorsparkml.tfrecord.schema.conversions",
}
# Its modules that nobody imports without Spark.
STAGES_OF_THE_OLD_API = {"pipeline.py", "model.py"}

PRIVATE_SPARK = "driver/spark/private_api.py"
SPARK_SOURCE = "tfrecord/spark/"  # its classes are those of Spark
PRIVATE_TENSORFLOW = "trainer/repairs/tensorflow_fix.py"
PRIVATE_KERAS = {
    "trainer/repairs/keras_fix.py",
    "trainer/repairs/keras_replicas_fix.py",
    "trainer/repairs/keras_steps_fix.py",
    "trainer/repairs/legacy_keras_fix.py",
}
CERTIFICATE = "driver/lifecycle/certificate.py"
ENTRY_POINT = "executor/agent/__main__.py"
MAY_PRINT = {ENTRY_POINT, "cli.py"}
LONGEST_FILE = 400
MOST_MODULES = 16  # in one folder


def within(module: str) -> list[str]:
    """The module and the folders that it is in, from the inside out."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def part_of(module: str) -> str:
    """The part that a module belongs to."""
    around = within(module)
    return next((name for name in around if name in MAY_IMPORT), around[-1])


@dataclass
class Source:
    """A module of the package, or the text of an invented one."""

    path: str
    text: str

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)

    @property
    def module(self) -> str:
        """Its name below the package: `driver.slots`, or the folder's for its `__init__`."""
        name = self.path.removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")

    @property
    def part(self) -> str:
        return part_of(self.module)

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    lazy: bool
    for_types: bool


def sources_of(root: Path) -> list[Source]:
    return [
        Source(path.relative_to(root).as_posix(), path.read_text("utf-8"))
        for path in sorted(root.rglob("*.py"))
    ]


SOURCES = sources_of(ROOT)
OLD_API = sources_of(ROOT.parent / "tensorflowonspark")
MODULES = {source.module for source in SOURCES}


def imports(source: Source) -> Iterator[Import]:
    """Every module that is imported, anywhere; names that are modules are resolved to them."""

    def visit(node: ast.AST, lazy: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                inner = full.removeprefix(f"{PACKAGE}.")
                yield Import(
                    full if inner in MODULES else str(node.module), node.lineno, lazy, for_types
                )
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy, for_types or guard)

    return visit(source.tree, False, False)


def own_imports(source: Source) -> Iterator[tuple[Import, str]]:
    for found in imports(source):
        if found.module == PACKAGE or found.module.startswith(f"{PACKAGE}."):
            yield found, found.module.removeprefix(PACKAGE).removeprefix(".") or "__init__"


def foreign_imports(source: Source, *packages: str) -> Iterator[Import]:
    for found in imports(source):
        if found.module.partition(".")[0] in packages:
            yield found


def calls(source: Source) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


# The rules: each yields what breaks it.


def imports_against_the_order(source: Source) -> Iterator[str]:
    if source.part not in MAY_IMPORT:
        yield f"{source.path}: add {source.part!r} to MAY_IMPORT"
        return
    allowed = MAY_IMPORT[source.part]
    for found, module in own_imports(source):
        if part_of(module) != source.part and allowed.isdisjoint(within(module)):
            yield f"{source.path}:{found.line}: {source.part} may not import {found.module}"


def imports_of_spark(source: Source) -> Iterator[str]:
    for found in foreign_imports(source, "pyspark", "py4j"):
        if source.top == "ml" or source.path.startswith(SPARK_SOURCE):
            continue
        late = found.lazy or found.for_types
        if source.top not in ("driver", "inference", "tfrecord") or not late:
            yield f"{source.path}:{found.line}: imports {found.module}"


def imports_of_tensorflow(source: Source) -> Iterator[str]:
    for found in foreign_imports(source, "tensorflow", "keras", "tensorboard"):
        if source.top not in ("trainer", "inference", "ml", "board") or not found.lazy:
            yield f"{source.path}:{found.line}: imports {found.module}"


def imports_of_cryptography(source: Source) -> Iterator[str]:
    """Only the driver needs it, when it starts a cluster."""
    for found in foreign_imports(source, "cryptography"):
        if source.path != CERTIFICATE or not found.lazy:
            yield f"{source.path}:{found.line}: imports {found.module}"


def private_spark(source: Source) -> Iterator[str]:
    if source.path == PRIVATE_SPARK:
        return
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_j")
            and ast.unparse(node.value) != "self"
        ):
            yield f"{source.path}:{node.lineno}: uses .{node.attr}"


def private_tensorflow(source: Source) -> Iterator[str]:
    if source.path in PRIVATE_KERAS | {PRIVATE_TENSORFLOW}:
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := re.search(r"\b((?:tf_)?keras\.src|tensorflow\.python|tf\.python)\b", line):
            yield f"{source.path}:{number}: uses {found[0]}"


def long_files(source: Source) -> Iterator[str]:
    if (lines := len(source.text.splitlines())) > LONGEST_FILE:
        yield f"{source.path}: {lines} lines"


def prints(source: Source) -> Iterator[str]:
    if source.path in MAY_PRINT:
        return
    for name, node in calls(source):
        if name in ("print", "sys.stdout.write", "sys.stderr.write"):
            yield f"{source.path}:{node.lineno}: {name}"


def signal_handlers(source: Source) -> Iterator[str]:
    for name, node in calls(source):
        if name in ("signal.signal", "signal.set_wakeup_fd"):
            yield f"{source.path}:{node.lineno}: {name}"


def log_handlers(source: Source) -> Iterator[str]:
    if source.path == ENTRY_POINT:
        return
    for name, node in calls(source):
        last = name.rpartition(".")[2]
        if last in ("basicConfig", "dictConfig", "fileConfig", "addHandler", "captureWarnings"):
            yield f"{source.path}:{node.lineno}: {name}"


def root_logging(source: Source) -> Iterator[str]:
    levels = {"debug", "info", "warning", "error", "critical", "exception", "log"}
    for name, node in calls(source):
        if name in ("logging.getLogger", "getLogger") and not node.args:
            yield f"{source.path}:{node.lineno}: {name}()"
        elif name in {f"logging.{level}" for level in levels}:
            yield f"{source.path}:{node.lineno}: {name}"


def needs_of_the_old_api(source: Source) -> Iterator[str]:
    """What the old API imports of this library and of others: public things, heavy ones late."""
    for found in imports(source):
        if found.module.startswith(PACKAGE) and found.module not in FOR_THE_OLD_API:
            yield f"{source.path}:{found.line}: imports {found.module}"
    for found in foreign_imports(source, "pyspark", "py4j", "tensorflow", "keras"):
        of_spark = source.path in STAGES_OF_THE_OLD_API and found.module.startswith("pyspark")
        if not found.lazy and not found.for_types and not of_spark:
            yield f"{source.path}:{found.line}: imports {found.module}"


def imports_of_the_old_api(source: Source) -> Iterator[str]:
    for found in foreign_imports(source, "tensorflowonspark"):
        yield f"{source.path}:{found.line}: imports {found.module}"


Rule = Callable[[Source], Iterator[str]]

RULES: list[Rule] = [
    imports_against_the_order,
    imports_of_spark,
    imports_of_tensorflow,
    imports_of_cryptography,
    private_spark,
    private_tensorflow,
    long_files,
    prints,
    signal_handlers,
    log_handlers,
    root_logging,
    imports_of_the_old_api,
]
RULES_OF_THE_OLD_API: list[Rule] = [
    needs_of_the_old_api,
    private_spark,
    private_tensorflow,
    long_files,
    prints,
    signal_handlers,
    log_handlers,
    root_logging,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert len(SOURCES) > 30
    assert [found for source in SOURCES for found in rule(source)] == []


@pytest.mark.parametrize("rule", RULES_OF_THE_OLD_API, ids=lambda rule: rule.__name__)
def test_the_old_api_keeps_the_rule(rule: Rule) -> None:
    assert len(OLD_API) > 5
    assert [found for source in OLD_API for found in rule(source)] == []


def cycle(edges: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def module_graph(sources: Iterable[Source]) -> dict[str, set[str]]:
    """What each module imports, except only for types; importing a module imports its folder."""
    graph = {}
    for source in sources:
        found = {module for found, module in own_imports(source) if not found.for_types}
        found |= {folder for module in found for folder in within(module)} & MODULES
        graph[source.module] = found - set(within(source.module))
    return graph


def test_no_folder_has_more_modules_than_one_takes_in() -> None:
    modules = [source.path for source in SOURCES if not source.path.endswith("__init__.py")]
    folders = Counter(path.rpartition("/")[0] for path in modules)
    assert {name: count for name, count in folders.items() if count > MOST_MODULES} == {}


def test_no_module_imports_itself_through_others() -> None:
    assert cycle(module_graph(SOURCES)) is None


def test_every_part_that_is_named_is_there() -> None:
    assert set(MAY_IMPORT) == {source.part for source in SOURCES}


def test_the_agent_prints_what_its_task_waits_for_and_nothing_else() -> None:
    [source] = [source for source in SOURCES if source.path == ENTRY_POINT]
    assert [ast.unparse(node) for name, node in calls(source) if name == "print"] == [
        "print('listens', flush=True)",
        "print(json.dumps({'met': encode_gathered(met)}), flush=True)",
        "print(json.dumps({'unreachable': str(error)}), flush=True)",
        "print('started', flush=True)",
    ]


def test_handlers_are_set_where_the_process_begins() -> None:
    [source] = [source for source in SOURCES if source.path == ENTRY_POINT]
    for node in source.tree.body:
        inside = [name for name, _ in calls(Source("x.py", ast.unparse(node)))]
        if "logging.basicConfig" in inside:
            assert isinstance(node, ast.FunctionDef) and node.name == "main"


# That the rules can be broken at all.


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_against_the_order, "control/x.py", "import tensorsparkml.driver.cluster"),
        (imports_against_the_order, "control/x.py", "from tensorsparkml.data import spool"),
        (
            imports_against_the_order,
            "control/feeds/x.py",
            "from tensorsparkml.data import row_stream",
        ),
        (
            imports_against_the_order,
            "control/protocol/x.py",
            "from tensorsparkml.control.coordinator import mailbox",
        ),
        (
            imports_against_the_order,
            "control/x.py",
            "from tensorsparkml.control.protocol import rpc",
        ),
        (
            imports_against_the_order,
            "executor/x.py",
            "from tensorsparkml.control.coordinator import mailbox",
        ),
        (imports_against_the_order, "trainer/x.py", "from tensorsparkml.executor import logs"),
        (imports_against_the_order, "data/x.py", "def f():\n import tensorsparkml.trainer.process"),
        (imports_against_the_order, "data/x.py", "import tensorsparkml"),
        (imports_against_the_order, "errors.py", "from tensorsparkml import storage"),
        (imports_against_the_order, "unheard/of.py", ""),
        (imports_of_spark, "driver/x.py", "from pyspark.sql import DataFrame"),
        (imports_of_spark, "executor/x.py", "def f():\n from pyspark import TaskContext"),
        (imports_of_spark, "trainer/x.py", "if TYPE_CHECKING:\n import pyspark"),
        (imports_of_tensorflow, "trainer/x.py", "import tensorflow as tf"),
        (imports_of_tensorflow, "executor/x.py", "def f():\n import tensorflow.keras"),
        (imports_of_tensorflow, "driver/x.py", "def f():\n from keras import Model"),
        (imports_of_cryptography, CERTIFICATE, "from cryptography import x509"),
        (imports_of_cryptography, "executor/x.py", "def f():\n from cryptography import x509"),
        (private_spark, "driver/x.py", "context._jsc.sc()"),
        (private_spark, "inference/x.py", "x = data._jdf"),
        (private_spark, "driver/x.py", "spark._jvm.java"),
        (private_tensorflow, "trainer/x.py", "from keras.src import models"),
        (private_tensorflow, "trainer/x.py", "import_module('tensorflow.python.eager')"),
        (long_files, "driver/x.py", "x = 1\n" * 401),
        (prints, "driver/x.py", "print('hello')"),
        (prints, "trainer/x.py", "def f():\n sys.stderr.write('hello')"),
        (signal_handlers, "executor/agent/__main__.py", "signal.signal(signal.SIGTERM, stop)"),
        (log_handlers, "driver/x.py", "logging.basicConfig()"),
        (log_handlers, "driver/x.py", "logger.addHandler(handler)"),
        (root_logging, "executor/agent/__main__.py", "logging.getLogger().info('x')"),
        (root_logging, "executor/agent/__main__.py", "logging.warning('x')"),
        (imports_of_the_old_api, "driver/x.py", "def f():\n import tensorflowonspark.TFNode"),
        (needs_of_the_old_api, "x.py", "from tensorsparkml.driver.cluster import Cluster"),
        (needs_of_the_old_api, "x.py", "from pyspark import RDD"),
        (needs_of_the_old_api, "x.py", "import tensorflow as tf"),
        (needs_of_the_old_api, "pipeline.py", "import tensorflow as tf"),
    ],
)
def test_a_rule_sees_what_breaks_it(rule: Rule, path: str, text: str) -> None:
    assert len(list(rule(Source(path, text)))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_against_the_order, "control/x.py", "from tensorsparkml.control import machine"),
        (
            imports_against_the_order,
            "control/feeds/x.py",
            "import tensorsparkml.control.feeds.lockstep",
        ),
        (imports_against_the_order, "trainer/x.py", "import tensorsparkml.control.feeds.lockstep"),
        (
            imports_against_the_order,
            "control/liveness/x.py",
            "from tensorsparkml.control.protocol import rpc",
        ),
        (imports_against_the_order, "data/x.py", "from tensorsparkml import errors"),
        (imports_of_spark, "driver/x.py", "if TYPE_CHECKING:\n from pyspark.sql import DataFrame"),
        (imports_of_spark, "driver/x.py", "def f():\n from pyspark import TaskContext"),
        (imports_of_tensorflow, "trainer/x.py", "def f():\n import tensorflow as tf"),
        (private_spark, "driver/spark/private_api.py", "context._jsc"),
        (private_spark, "driver/x.py", "self._job.collect()"),
        (long_files, "driver/x.py", "x = 1\n" * 400),
        (log_handlers, "executor/agent/__main__.py", "logging.basicConfig()"),
        (root_logging, "driver/x.py", "logging.getLogger(__name__).info('x')"),
        (needs_of_the_old_api, "x.py", "import tensorsparkml as tsm"),
        (needs_of_the_old_api, "x.py", "from tensorsparkml import Context, __version__"),
        (needs_of_the_old_api, "x.py", "from tensorsparkml.errors import DataError"),
        (needs_of_the_old_api, "x.py", "def f():\n import tensorflow as tf"),
        (needs_of_the_old_api, "pipeline.py", "from pyspark.ml import Estimator"),
    ],
)
def test_a_rule_lets_the_rest_pass(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_cycles_are_found() -> None:
    edges = module_graph(
        [
            Source("driver/a.py", "def f():\n from tensorsparkml.driver.spark import slots"),
            Source("driver/spark/slots.py", "from tensorsparkml.driver.a import b"),
        ]
    )
    assert cycle(edges) is not None


def test_files_of_tests_have_names_of_their_own() -> None:
    """Pytest imports them by their names alone."""
    tests = Path(__file__).parents[1]
    names = Counter(path.name for path in tests.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
