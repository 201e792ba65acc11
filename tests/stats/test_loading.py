"""What is imported when: NumPy with the first numbers, the arithmetic not for models and settings."""

import subprocess
import sys

WITHOUT_ARITHMETIC = {"cekura_dashboards.stats", "cekura_dashboards.stats.findings", "cekura_dashboards.stats.timeline"}


def imported_with(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*done.stdout.split()}


def test_all_tools_are_imported_without_numpy() -> None:
    modules = imported_with("cekura_dashboards.catalogue", "cekura_dashboards.pipeline")
    assert "cekura_dashboards.stats.seasonality" in modules
    assert "numpy" not in modules


def test_settings_and_the_models_of_results_need_no_arithmetic() -> None:
    modules = imported_with("cekura_dashboards.settings", "cekura_dashboards.summaries.model")
    assert {name for name in modules if name.startswith("cekura_dashboards.stats")} <= WITHOUT_ARITHMETIC
