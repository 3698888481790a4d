"""Small damages to a response: some change its meaning, some only its form, most make it wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

Json = dict[str, Any]
Place = tuple[Any, Any]
"""A container and the key or index of one of its values."""

STRANGE: tuple[Any, ...] = (None, "", " ", "x", 0, -1, 3, 2**31, True, False, [], {}, [None], ["x"], {"x": 1}, "\u00a0")
STRANGE += ("calf", "Y", "completed", "q1", "2026-02-30", Decimal("1.50"), Decimal("1e3"), Decimal("-0.0"), "\u0007")
ELEMENTS = ("id", "extension", "modifierExtension", "text", "linkId", "definition", "answer", "item", "valueString")
ELEMENTS += (
    "valueCoding",
    "valueDecimal",
    "system",
    "code",
    "display",
    "version",
    "_linkId",
    "value",
    "Zzz",
    "contained",
)


def places(content: Any) -> list[Place]:
    """Every value below the top, as where it stands."""
    found: list[Place] = []
    waiting = [content]
    while waiting:
        value = waiting.pop()
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        for key in keys:
            found.append((value, key))
            if isinstance(value[key], (dict, list)):
                waiting.append(value[key])
    return found


def _drop(random: Random, place: Place) -> None:
    container, key = place
    del container[key]


def _double(random: Random, place: Place) -> None:
    container, key = place
    if isinstance(container, list):
        container.insert(random.randint(0, len(container)), copy.deepcopy(container[key]))
    else:
        container[random.choice(ELEMENTS)] = copy.deepcopy(container[key])


def _replace(random: Random, place: Place) -> None:
    container, key = place
    container[key] = copy.deepcopy(random.choice(STRANGE))


def _swap(random: Random, place: Place) -> None:
    container, key = place
    if isinstance(container, list):
        other = random.randrange(len(container))
        container[key], container[other] = container[other], container[key]
    else:
        members = list(container.items())
        random.shuffle(members)
        container.clear()
        container.update(members)


def _rename(random: Random, place: Place) -> None:
    container, key = place
    if isinstance(container, dict):
        container[random.choice(ELEMENTS)] = container.pop(key)
    else:
        container[key] = [container[key]]


def _add(random: Random, place: Place) -> None:
    container, key = place
    inner = container[key]
    target = inner if isinstance(inner, dict) else container
    if isinstance(target, dict):
        target[random.choice(ELEMENTS)] = copy.deepcopy(random.choice(STRANGE))


def _exchange(random: Random, place: Place) -> None:
    """A value from elsewhere in the same response."""
    container, key = place
    value = container[key]
    if isinstance(value, str):
        container[key] = random.choice((value + " ", value.upper(), value[:-1], f"{value}x"))
    elif isinstance(value, list):
        value.reverse()
    elif isinstance(value, dict):
        container[key] = [copy.deepcopy(value)]
    elif isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        container[key] = value + random.choice((1, 100, Decimal("0.05"), -50))


CHANGES: tuple[Callable[[Random, Place], None], ...] = (_drop, _double, _replace, _swap, _rename, _add, _exchange)


def mutants(random: Random, response: Json, number: int) -> Iterator[bytes]:
    """So many bodies, each with one or two changes of its content or of its text."""
    for _ in range(number):
        content = copy.deepcopy(response)
        if random.random() < 0.8:
            for _ in range(random.choice((1, 1, 2))):
                random.choice(CHANGES)(random, random.choice(places(content)))
        text = written(content, indent=random.choice((None, None, 1)))
        yield _text(random, text) if random.random() < 0.35 else text.encode("utf-8", "surrogatepass")


def written(content: Any, *, indent: int | None = None) -> str:
    """JSON text in which Decimal keeps its digits."""
    exact: dict[str, str] = {}

    def digits(value: Any) -> str:
        mark = f"@@{len(exact)}@@"
        exact[f'"{mark}"'] = str(value)
        return mark

    text = json.dumps(content, ensure_ascii=False, default=digits, indent=indent)
    for mark, number in exact.items():
        text = text.replace(mark, number)
    return text


def _text(random: Random, text: str) -> bytes:
    """A change that only the text shows: twice the same name, other digits, other spaces, escapes, stray bytes."""
    position = random.randrange(len(text))
    match random.randrange(8):
        case 0:
            at = text.find("{", position)
            name = random.choice(ELEMENTS)
            return (text[: at + 1] + f'"{name}" : "x", ' + text[at + 1 :]).encode()
        case 1:
            return _doubled_name(random, text)
        case 2:
            return text.replace('":', random.choice(('" :', '"\t:', '"\n:')), random.choice((1, -1))).encode()
        case 3:
            return text.replace(".60", random.choice((".6", ".600", ".60e0", ".6000000000000001"))).encode()
        case 4:
            return text.replace("a", random.choice(("\\u0061", "\\u0000", "\\ud800", "\\b", "\\t")), 1).encode()
        case 5:
            return text[:position].encode()
        case 6:
            return text.encode()[:position] + bytes([random.randrange(256)]) + text.encode()[position:]
        case _:
            return text.replace("36", random.choice(("036", "+36", "36.", "3600000000000000000000", "-36")), 1).encode()


def _doubled_name(random: Random, text: str) -> bytes:
    """One member of one object, sent twice."""
    try:
        content = json.loads(text)
    except ValueError:
        return text.encode()
    objects = [c[k] for c, k in places(content) if isinstance(c[k], dict) and c[k]] or [content]
    chosen = random.choice(objects)
    name = random.choice(list(chosen))
    member = f"{json.dumps(name)}: {json.dumps(chosen[name])}"
    chosen["@"] = 1
    return json.dumps(content).replace('"@": 1', member).encode()
