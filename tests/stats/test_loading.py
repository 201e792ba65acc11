"""Lazy imports: NumPy with the first numbers, statistics not for models and settings."""

import os
import subprocess
import sys

WITHOUT_ARITHMETIC = {"cekura_dashboards.stats", "cekura_dashboards.stats.findings", "cekura_dashboards.stats.timeline"}


def imported_with(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*result.stdout.split()}


def test_importing_all_tools_loads_no_numpy() -> None:
    modules = imported_with("cekura_dashboards.catalogue", "cekura_dashboards.pipeline")
    assert "cekura_dashboards.stats.seasonality" in modules
    assert "numpy" not in modules


def test_settings_and_result_models_load_no_statistics() -> None:
    modules = imported_with("cekura_dashboards.settings", "cekura_dashboards.summaries.model")
    assert {name for name in modules if name.startswith("cekura_dashboards.stats")} <= WITHOUT_ARITHMETIC


def test_linear_algebra_uses_one_thread_by_default() -> None:
    code = "import os, cekura_dashboards.values as values; values.np.zeros; print(os.environ['OPENBLAS_NUM_THREADS'])"
    unset = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    for environment, threads in ((unset, "1"), (unset | {"OPENBLAS_NUM_THREADS": "3"}, "3")):
        command = [sys.executable, "-c", code]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout.split() == [threads]
