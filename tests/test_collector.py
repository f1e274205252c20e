from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from workbench import collector


@pytest.mark.parametrize(("in_a_notebook", "is_frozen"), [(True, False), (False, True)])
def test_garbage_collector_rests_only_while_the_sdk_is_imported(
    monkeypatch: pytest.MonkeyPatch, in_a_notebook: bool, is_frozen: bool
) -> None:
    modules = {"ipykernel": object()} if in_a_notebook else {}
    monkeypatch.setattr(collector, "sys", SimpleNamespace(modules=modules))
    gc.unfreeze()

    with pytest.raises(ImportError), collector.resting_while_importing("anthropic"):
        assert not gc.isenabled()
        raise ImportError

    assert gc.isenabled()
    assert bool(gc.get_freeze_count()) is is_frozen
    gc.unfreeze()
