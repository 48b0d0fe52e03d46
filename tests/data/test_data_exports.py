from __future__ import annotations

import mirada.data


def test_all_names_what_is_imported_and_nothing_twice() -> None:
    assert all(hasattr(mirada.data, name) for name in mirada.data.__all__)
    assert len(set(mirada.data.__all__)) == len(mirada.data.__all__)
    imported = {
        name for name, value in vars(mirada.data).items() if getattr(value, "__module__", "").startswith("mirada.")
    }
    assert imported <= set(mirada.data.__all__)
