"""Makes pytest explain failed assertions of the kit, as it does for test modules."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "aimstore.testing.backends",
    "aimstore.testing.containers",
    "aimstore.testing.data",
    "aimstore.testing.indexers",
    "aimstore.testing.queries",
    "aimstore.testing.stateful",
)
