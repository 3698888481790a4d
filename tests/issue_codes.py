"""Every issue code that the source can give, found without running anything.

A code is the argument of `Problem`, `Fault` or `Invariant`, or of a function that hands it on to one of these.
What cannot be read so (a variable that is filled elsewhere) is told as unread: then this module needs a line more.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from shared.fhir.http import HTTP_PROBLEMS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("shared", "services", "deploy")
FIELDS = {"Problem": "code", "Fault": "code", "Invariant": "key"}
"""Class to the field that holds the code."""
TYPES = {"Problem": "issue_code", "Fault": "issue_code"}
"""Class to the field that holds the issue type of R4."""
OUTCOME = ("shared.fhir.outcome", "_plain")
"""Writes both into an issue without a Problem: its third and its second argument."""
CARRIED = ("code", "key", "issue_code")
"""Attributes that hand on what one of `FIELDS` was given."""
ELSEWHERE = {
    "shared.fhir.http": ("http", *(code for _, code, _, _ in HTTP_PROBLEMS.values())),
    "shared.fhir.links": ("dom-4", "dom-5"),
    "shared.fhir.questionnaire": ("url-missing", "version-missing"),
}
"""Codes of calls that are unread: each stands in a table, or is put together."""
SYSTEM_IN_TEXT = re.compile(r'CodeSystem/qr-issue","code":"([a-z0-9-]+)"')

Place: TypeAlias = tuple[int, str]
"""Which argument is the code: its index without self, and its name."""


@dataclass(slots=True)
class Module:
    """A parsed file, and which of its functions take a code."""

    name: str
    tree: ast.Module
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    makers: dict[str, Place] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """Code to the places that give it, and the calls whose code is not written there."""

    codes: dict[str, list[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def issue_codes() -> Found:
    """All codes of services, shared and deploy."""
    found = _found(FIELDS, (2, "code"))
    for name, codes in ELSEWHERE.items():
        for code in codes:
            found.codes.setdefault(code, []).append(name)
    for path in sorted((ROOT / "deploy").rglob("*.conf")):
        for code in SYSTEM_IN_TEXT.findall(path.read_text(encoding="utf-8")):
            found.codes.setdefault(code, []).append(path.name)
    return found


def issue_types() -> Found:
    """All issue types of R4 that they give, as far as they are written where they are given."""
    return _found(TYPES, (1, "issue_code"))


def _found(fields: Mapping[str, str], outcome: Place) -> Found:
    modules = {module.name: module for module in _modules(fields, outcome)}
    while sum(_learn(module, modules) for module in modules.values()):
        pass
    found = Found()
    for module in modules.values():
        for function, call, place in _calls(module, modules):
            _note(found, module, function, call, place)
    return found


def _modules(fields: Mapping[str, str], outcome: Place) -> Iterator[Module]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = Module(".".join(parts), ast.parse(path.read_text(encoding="utf-8")))
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        module.imported[alias.asname or alias.name] = (node.module or "", alias.name)
                elif isinstance(node, ast.ClassDef) and node.name in fields:
                    names = [each.target.id for each in node.body if _is_field(each)]
                    module.makers[node.name] = (names.index(fields[node.name]), fields[node.name])
            if module.name == OUTCOME[0]:
                module.makers[OUTCOME[1]] = outcome
            yield module


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _learn(module: Module, modules: dict[str, Module]) -> bool:
    """True when a further function of this module turned out to take a code."""
    learned = False
    for function, call, place in list(_calls(module, modules)):
        value = _argument(call, place)
        if function is None or not isinstance(value, ast.Name) or function.name in module.makers:
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [one.arg for one in arguments if one.arg not in ("self", "cls")]
        if value.id in names:
            module.makers[function.name] = (names.index(value.id), value.id)
            learned = True
    return learned


def _calls(module: Module, modules: dict[str, Module]) -> Iterator[tuple[ast.FunctionDef | None, ast.Call, Place]]:
    """Every call that is given a code, with the innermost function around it."""

    def within(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.FunctionDef) else function
            if isinstance(child, ast.Call):
                yield function, child
            yield from within(child, inner)

    for function, call in within(module.tree, None):
        if place := _place(call, module, modules):
            yield function, call, place


def _place(call: ast.Call, module: Module, modules: dict[str, Module]) -> Place | None:
    if isinstance(call.func, ast.Attribute):
        owner, name = call.func.value, call.func.attr
        if isinstance(owner, ast.Name) and owner.id in module.imported:
            source, imported = module.imported[owner.id]
            other = modules.get(f"{source}.{imported}")
            return other.makers.get(name) if other else None
        return module.makers.get(name) or _method(name, module, modules)
    if not isinstance(call.func, ast.Name):
        return None
    name = call.func.id
    if name in module.imported:
        source, original = module.imported[name]
        other = modules.get(source)
        return other.makers.get(original) if other else None
    return module.makers.get(name)


def _method(name: str, module: Module, modules: dict[str, Module]) -> Place | None:
    """A method of a class that comes from another module: what it is called there is enough."""
    for source, imported in module.imported.values():
        if imported[:1].isupper() and source in modules and name in modules[source].makers:
            return modules[source].makers[name]
    return None


def _argument(call: ast.Call, place: Place) -> ast.expr | None:
    index, name = place
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    before = call.args[: index + 1]
    if any(isinstance(one, ast.Starred) for one in before):
        return None
    return call.args[index] if len(call.args) > index else None


def _note(found: Found, module: Module, function: ast.FunctionDef | None, call: ast.Call, place: Place) -> None:
    value = _argument(call, place)
    where = f"{module.name}:{call.lineno}"
    if value is None or (isinstance(value, ast.Attribute) and value.attr in CARRIED):
        return
    maker = module.makers.get(function.name) if function is not None else None
    if maker is not None and isinstance(value, ast.Name) and value.id == maker[1]:
        return
    texts = list(_texts(value, function))
    if not texts and module.name not in ELSEWHERE:
        found.unread.append(where)
    for text in texts:
        found.codes.setdefault(text, []).append(where)


def _texts(value: ast.expr, function: ast.FunctionDef | None) -> Iterator[str]:
    """The strings that an expression can be; none when that cannot be read here."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from _texts(value.body, function)
        yield from _texts(value.orelse, function)
    elif isinstance(value, ast.Name) and function is not None:
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from _assigned(target, node.value, value.id, function)


def _assigned(target: ast.expr, value: ast.expr, name: str, function: ast.FunctionDef) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == name:
        yield from _texts(value, function)
    elif isinstance(target, ast.Tuple):
        options = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        for option in options:
            if isinstance(option, ast.Tuple):
                for one, part in zip(target.elts, option.elts, strict=False):
                    yield from _assigned(one, part, name, function)
