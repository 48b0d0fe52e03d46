from __future__ import annotations

import gc

import pytest

from mirada.machine import without_cycles


def test_cycles_are_searched_for_again_afterwards() -> None:
    assert gc.isenabled()
    with without_cycles():
        assert not gc.isenabled()
        with without_cycles():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_also_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), without_cycles():
        raise ValueError("wrong")
    assert gc.isenabled()


def test_who_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with without_cycles():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
