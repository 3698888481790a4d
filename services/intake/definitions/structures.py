"""StructureDefinitions, made of the tables beside this module.

Differentials: what they leave unsaid is R4's own definition of the type. No snapshot is given, because it would have to
repeat R4's definitions, which are not part of this programme; validators make it from the differential.
https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shared.fhir.definitions import Resource, canonical, definition

_FOLDER: Final = Path(__file__).parent
_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
Table = Mapping[str, Any]


def structure_definitions() -> list[Resource]:
    """Every extension and every profile of ours."""
    return [*_each("extensions.toml", _extension), *_each("profiles.toml", _profile)]


def _each(file: str, build: Any) -> Iterator[Resource]:
    tables = tomllib.loads((_FOLDER / file).read_text(encoding="utf-8"))
    yield from (build(name, table) for name, table in tables.items())


def _definition(name: str, table: Table, *, base: str, elements: Sequence[Resource], **more: Any) -> Resource:
    return definition(
        "StructureDefinition",
        name,
        title=table["title"],
        description=table["description"],
        fhirVersion="4.0.1",
        kind="complex-type" if base == "Extension" else "resource",
        abstract=False,
        **more,
        type=base,
        baseDefinition=f"{_BASE}{base}",
        derivation="constraint",
        differential={"element": list(elements)},
    )


# Extensions: either a value, or parts that are extensions with names of their own.


def _extension(name: str, table: Table) -> Resource:
    root = _element("Extension", short=table["title"], definition=table["description"])
    inside = _value("Extension", table["value"]) if "value" in table else _parts("Extension", table)
    elements = [root, *inside[:-1], _url("Extension", canonical("StructureDefinition", name)), inside[-1]]
    context = [{"type": "element", "expression": path} for path in table["context"]]
    return _definition(name, table, base="Extension", elements=elements, context=context)


def _value(place: str, text: str) -> list[Resource]:
    """No parts, and a value: "min..max type [ValueSet]"."""
    _, kind, *bound = text.split()
    value = _element(f"{place}.value[x]", min=1, type=[{"code": kind}], **_bound(*bound))
    return [_element(f"{place}.extension", max="0"), value]


def _parts(place: str, table: Table, *, of: str = "") -> list[Resource]:
    """Parts, none but these, and no value."""
    slicing = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "closed"}
    elements = [_element(f"{place}.extension", slicing=slicing)]
    for name, (text, short) in table["parts-of"][of].items() if of else table["parts"].items():
        part = f"{place}.extension:{name}"
        low, _, high = text.split()[0].partition("..")
        elements.append(_element(part, sliceName=name, short=short, min=int(low), max=high))
        nested = text.split()[1] == "extension"
        inside = _parts(part, table, of=name) if nested else _value(part, text)
        elements += [*inside[:-1], _url(part, name), inside[-1]]
    return [*elements, _element(f"{place}.value[x]", max="0")]


def _url(place: str, url: str) -> Resource:
    return _element(f"{place}.url", fixedUri=url)


# Profiles: elements as they stand in the table.


def _profile(name: str, table: Table) -> Resource:
    base = table["type"]
    root = _element(base, short=table["title"], definition=table["description"])
    return _definition(name, table, base=base, elements=[root, *(_of_table(base, one) for one in table["element"])])


def _of_table(base: str, row: Table) -> Resource:
    said = {key: value for key, value in row.items() if key not in ("path", "binding", "extension", "slices")}
    last = row["path"].rpartition(".")[2]
    if ":" in last:
        said = {"sliceName": last.partition(":")[2], **said}
    if "extension" in row:
        said["type"] = [{"code": "Extension", "profile": [canonical("StructureDefinition", row["extension"])]}]
    if "slices" in row:
        discriminator = [{"type": "value", "path": row["slices"]}]
        said["slicing"] = {"discriminator": discriminator, "ordered": False, "rules": "open"}
    return _element(f"{base}.{row['path']}", **said, **_bound(*([row["binding"]] if "binding" in row else [])))


def _bound(value_set: str = "") -> Resource:
    return {"binding": {"strength": "required", "valueSet": canonical("ValueSet", value_set)}} if value_set else {}


def _element(element_id: str, **said: Any) -> Resource:
    """An ElementDefinition; its path is its id without the names of slices."""
    path = ".".join(step.partition(":")[0] for step in element_id.split("."))
    return {"id": element_id, "path": path, **said}
