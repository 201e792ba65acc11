"""Every check of this project: ``nox -l`` lists them, ``nox -s lint types`` runs two of them.

uv creates the environments where it is installed, venv elsewhere. ``.ci/run`` runs the same sessions on a new machine.
"""

import tempfile
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
READ_SKILLS = "from cekura_dashboards_mcp.protocol.skills import NAMES, skill; [skill(name) for name in NAMES]"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
DEV = {Requirement(text).name: text for text in PYPROJECT["project"]["optional-dependencies"]["dev"]}

nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each Python that is installed; pytest gets the arguments after ``--``."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the layers of imports."""
    session.install(DEV["ruff"], DEV["import-linter"])
    session.install("--no-deps", "-e", ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, both in strict mode."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the commands and examples in the docs, and compare the generated pages with the code."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", "tests/docs", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the distributions and the bundle, and install and run them in every documented way."""
    session.install("-e", ".", DEV["build"], "pipx", "uv")
    # Not in .nox: hatchling obeys every .gitignore above the files that it packs, and nox writes one there.
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clone = work / "project"
        session.run("git", "clone", "--quiet", ".", str(clone), external=True)
        session.run("python", "-m", "build", "--installer", "uv", "--outdir", str(work / "dist"), silent=True)
        session.run("python", "deploy/package.py", str(work / "bundle"))
        [wheel], [source] = (work / "dist").glob("*.whl"), (work / "dist").glob("*.tar.gz")
        _demo(session, clone)
        for distribution in (wheel, source):
            _distribution(session, distribution, work / distribution.suffix.strip("."))
        _bundle(session, work / "bundle", work)
        _quick_start(session, clone, wheel, work)


def _demo(session: nox.Session, clone: Path) -> None:
    """Run the README's demo command in a new clone."""
    with session.chdir(clone):
        session.run("bash", "-c", command_in("README.md", "cekura-dashboards demo"), external=True, silent=True)


def _distribution(session: nox.Session, distribution: Path, environment: Path) -> None:
    """Install a wheel or a source distribution in a new environment; call a tool and draw a dashboard there."""
    session.run("uv", "venv", "-q", "--python", f"{session.bin}/python", str(environment))
    session.run("uv", "pip", "install", "-q", "--python", f"{environment}/bin/python", f"{distribution}[sandbox]")
    page = environment / "view.html"
    with session.chdir(environment):
        session.run("bin/cekura-dashboards-mcp", "--version", external=True)
        session.run("bin/cekura-dashboards", "call", "list_dashboards", "--sandbox", external=True)
        session.run("bin/python", "-c", READ_SKILLS, external=True)
        view = ["view", "get_widgets_data", '{"dashboard_id": 11}', "--sandbox", "--out", str(page)]
        session.run("bin/cekura-dashboards", *view, external=True)
    if "Operations overview" not in page.read_text(encoding="utf-8"):
        session.error(f"{page.name} does not show the dashboard")


def _bundle(session: nox.Session, folder: Path, work: Path) -> None:
    """Validate the bundle for Claude Desktop with the format's own tool, and start it as its manifest does."""
    npm = ["--silent", "--no-fund", "--no-audit", "--prefix", str(work / "npm")]
    session.run("npm", "install", *npm, "@anthropic-ai/mcpb@2", external=True, silent=True)
    mcpb = str(work / "npm/node_modules/.bin/mcpb")
    unpacked = str(work / "unpacked")
    session.run(mcpb, "validate", str(folder / "manifest.json"), external=True)
    session.run(mcpb, "unpack", str(folder / "cekura-dashboards-mcp.mcpb"), unpacked, external=True, silent=True)
    session.run("uv", "run", "-q", "--directory", unpacked, "--no-dev", "cekura-dashboards", "tools", silent=True)


def _quick_start(session: nox.Session, clone: Path, wheel: Path, work: Path) -> None:
    """Install with the quick start's commands, and run the wheel without an installation."""
    env = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "pipx-bin", "UV_TOOL_DIR": "uv", "UV_TOOL_BIN_DIR": "uv-bin"}
    env = {name: str(work / path) for name, path in env.items()}
    with session.chdir(clone):
        pipx_install = command_in("docs/quickstart.md", "pipx install")
        uv_install = command_in("docs/quickstart.md", "uv tool install")
        for command in (pipx_install, uv_install):
            session.run("bash", "-c", command, env=env, external=True, silent=True)
    for programs in (env["PIPX_BIN_DIR"], env["UV_TOOL_BIN_DIR"]):
        session.run(f"{programs}/cekura-dashboards", "--version", external=True)
    session.run("uvx", "-q", "--from", str(wheel), "cekura-dashboards-mcp", "--version")
    with session.chdir(clone):
        session.run("uvx", "-q", "--from", ".", "cekura-dashboards", "--version")  # as the plugins start the server


def command_in(page: str, text: str) -> str:
    """The first line of a page that contains a text: a command that is run word for word."""
    return next(line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if text in line)
