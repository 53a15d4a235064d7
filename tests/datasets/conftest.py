import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Nothing is written into the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def shared_events() -> Path:
    """Recordings of cameras, with their content, from the folder `CLIF_TEST_EVENTS`; without it the test is skipped."""
    folder = os.environ.get("CLIF_TEST_EVENTS")
    if folder is None:
        pytest.skip("CLIF_TEST_EVENTS names no folder with recordings")
    return Path(folder)
