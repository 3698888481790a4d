"""What names a published resource, and how others refer to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canonical:
    """What names one published resource: two of one url and version are never published."""

    id: str
    url: str
    version: str
    name: str = ""
    title: str = ""


def url_and_version(canonical: str) -> tuple[str, str]:
    """What ``url|version#fragment`` refers to; '' for no version. All who compare canonicals do so by these two.

    A fragment names a part of the resource, a page of a form for instance, and never another resource:
    https://hl7.org/fhir/R4/references.html#canonical-fragments. It may stand before the version too.
    """
    url, _, version = canonical.partition("|")
    return url.partition("#")[0], version.partition("#")[0]


def without_fragment(canonical: str) -> str:
    """The same as ``url|version``, or ``url`` where no version is named."""
    url, version = url_and_version(canonical)
    return f"{url}|{version}" if version else url
