"""Where R is absent, tests that need it are skipped; with SPATGMM_REQUIRE_R=1 they fail instead."""

import os

import pytest

from spatgmm.methods import _r


def pytest_collection_modifyitems(items):
    if os.environ.get("SPATGMM_REQUIRE_R") == "1":
        return
    needing = [item for item in items if item.get_closest_marker("r")]
    reason = _r.missing(("mclust", "fields")) if needing else None
    if reason is not None:
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=reason))
