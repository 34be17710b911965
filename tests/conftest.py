"""What every test shares: in CI nothing skips."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", settings.get_profile("loaded"), derandomize=True)
settings.load_profile("gate" if os.environ.get("FORBID_SKIPS") else "loaded")
"""How long an example takes says how busy the machine is, and nothing of what is tested. The gate judges a change by
the same examples each time; others are tried wherever else the tests are run."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With FORBID_SKIPS set, a skipped test is a failed one: the peer it names must be installed."""
    report = yield
    if report.skipped and os.environ.get("FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skips are forbidden here: {reason}"
    return report
