"""Addresses in object storage: which are understood, and what is said where one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirada.errors import UsageError
from mirada.stores import LONGEST, SCHEMES, check_here, check_scheme, is_far, remedy, sentence


def test_an_address_is_no_path() -> None:
    assert is_far("s3://bucket/a")
    assert not is_far("C:/s3/a")
    for scheme in SCHEMES:
        check_scheme(f"{scheme}://bucket/a")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///data/a", "file:///data/a: give the path of what lies on this machine, without file://"),
        (
            "hdfs://a/b",
            r"hdfs:// is not understood: give a path, or an address with one of s3://, gs://, gcs://, abfs:",
        ),
        ("https://a/b.tar", "https:// is not understood"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_scheme(address)


def test_where_images_are_read_one_by_one_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tar").mkdir()
    check_here(str(tmp_path / "folder.tar"))
    for place in ("s3://bucket/a", str(tmp_path / "a.tar")):
        with pytest.raises(UsageError, match="can be learnt from, no more: unpack it here"):
            check_here(place)


def test_the_remedy_names_the_keys_of_the_store() -> None:
    assert "AWS_ENDPOINT_URL" in remedy("s3://bucket/a")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in remedy("gs://bucket/a")
    assert remedy("az://bucket/a").endswith("names of the bucket and of what is in it.")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a\n  b. "), "a b"),
        (ValueError(""), "ValueError"),
        (RuntimeError("lance error: not there, /home/x/src/a.rs:12:3"), "lance error: not there"),
        (OSError("no bucket. Detail: Python exception: Traceback"), "no bucket"),
        (OSError("x" * 1_000), "x" * LONGEST + " ..."),
    ],
)
def test_what_others_say_becomes_a_line(error: Exception, said: str) -> None:
    assert sentence(error) == said
