"""The documentation says what is true: its programs run, its links lead somewhere."""

import importlib.util
import inspect
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import tensorsparkml as tsm
from tensorsparkml.config import ClusterConfig
from tensorsparkml.trainer.datasets.data_feed import DataFeed
from tensorsparkml.trainer.inference.batches import Inference, InferenceBatch

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda page: page.relative_to(ROOT)
)
FIRST_PAGES = ("README", "getting-started")
REFERENCE = ("docs/api.md", "docs/context.md")
ALONE = ("connect",)  # pages whose programs cannot use the session of the tests
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PYTHON_FILES = re.compile(r"`((?:src|tests|docs|examples|tools|benchmarks)/[\w./]+)`")
MODULES = re.compile(r"`((?:control|data|driver|executor|trainer|inference|ml)(?:/\w+)+\.py)`")


@dataclass
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for match in FENCE.finditer(text):
        yield Block(match[2], match[3], text.count("\n", 0, match.start(3)))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def programs(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


@pytest.fixture
def log_levels() -> Iterator[None]:
    """Puts back the levels that a page sets."""
    loggers = [
        logging.getLogger(f"tensorsparkml.{name}") for name in ("node", "progress", "driver")
    ]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    "page",
    [
        # A newcomer's first pages always, and all of them in `make check`.
        pytest.param(page, marks=() if page.stem in FIRST_PAGES else pytest.mark.full)
        for page in PAGES
        if programs(page) and page.stem not in ALONE
    ],
    ids=name_of,
)
def test_programs_run(page, spark, tmp_path, monkeypatch, log_levels):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # a page may set it
    namespace = {"__name__": "__main__", "spark": spark}
    for block in programs(page):
        # Empty lines before it, so that tracebacks name the page's own lines.
        code = compile("\n" * block.line + block.text, str(page), "exec")
        exec(code, namespace)


@pytest.mark.full
@pytest.mark.parametrize("name", ALONE)
def test_a_program_with_a_session_of_its_own_runs(name, tmp_path):
    script = tmp_path / f"{name}.py"
    script.write_text("".join(block.text for block in programs(ROOT / f"docs/{name}.md")))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_known_languages_are_used():
    found = {(name_of(page), block.language) for page in PAGES for block in blocks(page)}
    assert {language for _, language in found} <= {"python", "bash", "text", "diff"}, found
    for page in PAGES:
        assert page.read_text("utf-8").count("```") == 2 * len(list(blocks(page))), page


def test_shell_commands_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for page in PAGES:
        shell = [block.text for block in blocks(page) if block.language in ("bash", "text")]
        text = "\n".join(shell) + "\n".join(re.findall(r"`(make [a-z]+)`", prose(page)))
        used = set(re.findall(r"\bmake ([a-z]+)\b", text))
        assert used <= targets, f"{name_of(page)}: {used - targets}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles)
    return {re.sub(r"[-\s]+", "-", title) for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page):
    text = page.read_text("utf-8")
    for path in PYTHON_FILES.findall(text):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"
    for path in MODULES.findall(text):
        assert (ROOT / "src/tensorsparkml" / path).exists(), f"{name_of(page)}: {path}"


def reference_words() -> set[str]:
    """Every word that the reference shows as code."""
    text = "".join((ROOT / page).read_text("utf-8") for page in REFERENCE)
    return set(re.findall(r"\w+", " ".join(re.findall(r"`+([^`]+)`+", text))))


def test_every_error_is_explained():
    errors = {name for name in tsm.errors.__all__ if name != "TensorSparkMLError"}
    page = (ROOT / "docs/failures.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert errors <= explained, errors - explained
    assert "TensorSparkMLError" in page
    for name in re.findall(r"`(\w+Error)`", page):
        assert name in tsm.errors.__all__ or name == "UnavailableError", name


def test_every_setting_is_documented_with_its_default():
    page = (ROOT / "docs/slots.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    config = ClusterConfig()
    for field in fields(ClusterConfig):
        shown = documented[field.name].strip("`").replace('"', "'")
        assert shown == repr(getattr(config, field.name)), field.name


def test_every_public_name_is_in_the_reference():
    missing = set(tsm.__all__) - reference_words()
    assert not missing


@pytest.mark.parametrize(
    "documented",
    [
        tsm.Cluster,
        tsm.Context,
        tsm.FeedReport,
        tsm.GrowingFeed,
        tsm.StreamFeed,
        DataFeed,
        Inference,
        InferenceBatch,
    ],
)
def test_every_public_member_is_in_the_reference(documented):
    words = reference_words()
    members = {name for name in vars(documented) if not name.startswith("_")}
    members |= set(getattr(documented, "__annotations__", {}))
    attributes = inspect.getdoc(documented).partition("Attributes:\n")[2]
    members |= set(re.findall(r"^    (\w+): ", attributes, re.MULTILINE))
    assert members
    assert members <= words, members - words


@pytest.mark.parametrize(
    "function",
    [
        tsm.Cluster,
        tsm.Cluster.train,
        tsm.Cluster.inference,
        tsm.Cluster.train_stream,
        tsm.StreamFeed.wait,
        tsm.Context.dataset,
        tsm.Context.feed,
        tsm.Context.read_parquet,
        tsm.Context.read_tfrecord,
        tsm.Context.inference,
        tsm.Context.adapt,
        tsm.Context.asynchronous_fit,
        tsm.Context.asynchronous_passes,
        tsm.Context.callbacks,
        tsm.Context.export,
        tsm.Context.absolute_path,
        tsm.run,
        tsm.run_parallel,
        tsm.predict,
    ],
    ids=lambda function: function.__qualname__,
)
def test_signatures_are_as_the_reference_says(function):
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    ]
    expected = str(inspect.Signature(parameters)).replace("'", '"')
    page = "".join((ROOT / page).read_text("utf-8") for page in REFERENCE)
    assert f"{function.__name__}{expected}" in re.sub(r"\s+", " ", page).replace("( ", "(")


def test_table_of_types_is_what_the_code_does():
    path = ROOT / "docs/generate_types.py"
    spec = importlib.util.spec_from_file_location("generate_types", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs/data.md").read_text("utf-8")
    assert module.replaced(page) == page, "run: python docs/generate_types.py"


@pytest.mark.full
def test_site_is_built_without_warnings(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "index.html").exists()
    # Pages that other files are included in.
    assert "make test" not in (tmp_path / "index.html").read_text("utf-8")
    assert "lockstep" in (tmp_path / "architecture/index.html").read_text("utf-8").lower()
