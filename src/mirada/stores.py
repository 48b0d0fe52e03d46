"""Object storage: which addresses are understood, and what to look at where a store does not answer.

| address | store |
|---|---|
| `s3://bucket/folder` | S3, or what speaks like it |
| `gs://bucket/folder` | Google Cloud Storage |
| `abfs://container@account.dfs.core.windows.net/folder` | Azure Blob Storage |

Keys, and the address of a store that is not the maker's own, come from the environment: see `SCHEMES`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mirada.errors import UsageError

__all__ = ["SCHEMES", "check_here", "check_scheme", "is_far", "remedy", "sentence"]

_AWS: Final = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL"
_GOOGLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_AZURE: Final = "AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_CLIENT_SECRET"

SCHEMES: Final = {"s3": _AWS, "gs": _GOOGLE, "gcs": _GOOGLE, "abfs": _AZURE, "abfss": _AZURE}
"""How an address begins, and the variables of the environment that open its store."""

LONGEST: Final = 240
"""Letters of what another program says, of which the first tell."""


def is_far(place: str) -> bool:
    """Whether it is an address, such as s3://bucket/folder, and not a path."""
    return "://" in place


def check_here(place: str) -> None:
    """Refuse an address, or an archive, where images are read one by one from files and folders.

    Raises:
        UsageError: it is one.
    """
    if is_far(place) or (place.lower().endswith(".tar") and not Path(place).is_dir()):
        raise UsageError(
            f"{place}: images in archives and in object storage can be learnt from, no more: unpack it here"
        )


def check_scheme(address: str) -> None:
    """Refuse an address of another kind.

    Raises:
        UsageError: it is of none that is understood; says which are.
    """
    scheme = urlsplit(address).scheme
    if scheme == "file":
        raise UsageError(f"{address}: give the path of what lies on this machine, without file://")
    if scheme not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        raise UsageError(f"{address}: {scheme}:// is not understood: give a path, or an address with one of {known}")


def remedy(address: str) -> str:
    """What to look at where a store does not give what was asked for."""
    variables = SCHEMES.get(urlsplit(address).scheme)
    keys = f", and at these variables: {variables}" if variables else ""
    return f"Look at the network, at the names of the bucket and of what is in it{keys}."


def sentence(error: object) -> str:
    """What an error of another program says, on one line, without where in its source it was."""
    said = " ".join(str(error).split()) or type(error).__name__
    said = re.split(r",? ?/\S+\.rs:\d|\. Detail: ", said)[0].rstrip(". ")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} ..."
