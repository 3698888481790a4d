"""A search as SQL over `resource`, `search_value` and `search_range`. All names and values are parameters.

Every condition is answered by an index: from the value to the resources that have it, or, where nearly all have it,
from the resources in their order to their values; the planner knows which is cheaper (migration 0005).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import sql

from shared.fhir.search import Search, SortKey
from shared.fhir.search_conditions import (
    Beginning,
    Chained,
    Condition,
    Containing,
    Ids,
    Missing,
    OneOf,
    ReferredTo,
    Updated,
    Within,
)
from shared.fhir.search_dates import Span, moment_of

Tenants: TypeAlias = Callable[[str], Sequence[UUID]]
"""The tenants whose resources of a type are seen."""

AFTER_ALL = "\U0010ffff"
"""Sorts after whatever may follow in a text."""


@dataclass(slots=True)
class Statement:
    """A statement while it is put together: its parameters, and a number for each table that it looks at."""

    tenants: Tenants
    values: dict[str, Any] = field(default_factory=dict)
    tables: int = 0

    def value(self, value: Any) -> sql.Composable:
        """A placeholder for a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)

    def among(self, resource_type: str) -> sql.Composable:
        """The tenants whose resources of a type are seen: one, but for what is published for all."""
        tenants = self.tenants(resource_type)
        if len(tenants) == 1:
            return sql.SQL("tenant_id = {}").format(self.value(tenants[0]))
        return sql.SQL("tenant_id = ANY ({})").format(self.value(list(tenants)))

    def table(self) -> sql.Identifier:
        """A new name for a table."""
        self.tables += 1
        return sql.Identifier(f"t{self.tables}")


def page_of(search: Search, tenants: Tenants, *, limit: int, body: bool, with_first: bool) -> tuple[sql.Composed, Any]:
    """One page in the order asked for, with the keys of that order as key_0, key_1, ...

    `with_first`: those that have the first key; otherwise those that have not, which come last.
    """
    statement = Statement(tenants)
    resource = sql.Identifier("r")
    where = _where(statement, search, resource)
    keys = [_Key(key, sql.Identifier(f"k{at}"), optional=at > 0) for at, key in enumerate(search.sort)]
    if not with_first:
        row = search.sort[0].parameter.stored_as
        found = _row(statement, keys[0].rows, row, search.resource_type, resource, sql.SQL("true"))
        where.append(sql.SQL("NOT ({})").format(found))
        keys = keys[1:]
    after = search.after
    if after is not None and (after.keys[0] is not None) == with_first:
        where.append(_after(statement, keys, after.keys[0 if with_first else 1 :], after.id))
    query = sql.SQL(
        "SELECT r.type, r.id, r.version_id, r.last_updated, {body} AS body, r.sha256, r.tag{keys} "
        "FROM resource AS r{joins} WHERE {where} ORDER BY {order} LIMIT {limit}"
    ).format(
        body=sql.SQL("r.body") if body else sql.SQL("''::bytea"),
        keys=sql.SQL("").join(
            sql.SQL(", {} AS {}").format(key.expression, sql.Identifier(f"key_{at}"))
            for at, key in enumerate(keys, start=0 if with_first else 1)
        ),
        joins=sql.SQL("").join(key.join(statement) for key in keys),
        where=sql.SQL(" AND ").join(where),
        order=sql.SQL(", ").join([*(key.order for key in keys), _id_order(keys)]),
        limit=statement.value(limit),
    )
    return query, statement.values


def count_of(search: Search, tenants: Tenants, *, most: int | None = None) -> tuple[sql.Composed, Any]:
    """How many resources the search finds; counting stops at `most`."""
    statement = Statement(tenants)
    where = sql.SQL(" AND ").join(_where(statement, search, sql.Identifier("r")))
    inner = sql.SQL("SELECT FROM resource AS r WHERE {where}{limit}").format(
        where=where, limit=sql.SQL("") if most is None else sql.SQL(" LIMIT {}").format(statement.value(most))
    )
    return sql.SQL("SELECT count(*) AS number FROM ({}) AS found").format(inner), statement.values


def plan_of(search: Search, tenants: Tenants) -> tuple[sql.Composed, Any]:
    """The planner's view of the search, of which its estimate is read."""
    statement = Statement(tenants)
    where = sql.SQL(" AND ").join(_where(statement, search, sql.Identifier("r")))
    return sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM resource AS r WHERE {}").format(where), statement.values


def _where(statement: Statement, search: Search, resource: sql.Identifier) -> list[sql.Composable]:
    where: list[sql.Composable] = [
        sql.SQL("r.{} AND r.type = {} AND r.is_current").format(
            statement.among(search.resource_type), statement.value(search.resource_type)
        )
    ]
    for condition in search.conditions:
        where.append(_holds(statement, condition, search.resource_type, resource))
    return where


def _holds(statement: Statement, condition: Condition, resource_type: str, owner: sql.Identifier) -> sql.Composable:
    """The condition on the resource (or row) `owner`, which has the columns type and id."""
    match condition:
        case Ids(ids):
            return sql.SQL("{}.id = ANY ({})").format(owner, statement.value(list(ids)))
        case Updated(spans):
            return _either(_updated(statement, prefix, span) for prefix, span in spans)
        case Chained(row, target, further):
            link, table = statement.table(), statement.table()
            inner = sql.SQL(
                "EXISTS (SELECT FROM (SELECT tenant_id, type, id FROM resource WHERE {tenants} "
                "AND type = {type} AND is_current) AS {table} "
                "WHERE {link}.value = {prefix} || {table}.id AND {table}.id = substr({link}.value, {start}) "
                "AND {further})"
            ).format(
                tenants=statement.among(target),
                start=statement.value(len(target) + 2),
                type=statement.value(target),
                table=table,
                link=link,
                prefix=statement.value(f"{target}/"),
                further=_holds(statement, further, target, table),
            )
            return _row(statement, "search_value", row, resource_type, owner, inner, table=link)
        case ReferredTo(source, row, further):
            link = statement.table()
            return sql.SQL(
                "EXISTS (SELECT FROM search_value AS {link} WHERE {link}.{tenants} "
                "AND {link}.type = {type} AND {link}.param = {row} AND {link}.value = {prefix} || {owner}.id "
                "AND {owner}.id = substr({link}.value, {start}) AND {further})"
            ).format(
                tenants=statement.among(source),
                start=statement.value(len(resource_type) + 2),
                link=link,
                type=statement.value(source),
                row=statement.value(row),
                prefix=statement.value(f"{resource_type}/"),
                owner=owner,
                further=_holds(statement, further, source, link),
            )
        case Missing(row, kind, missing):
            relation = "search_range" if kind in ("date", "number") else "search_value"
            names = [row, f"{row}:identifier"] if kind == "reference" else [row]
            found = _row(statement, relation, names, resource_type, owner, sql.SQL("true"))
            return sql.SQL("NOT ({})").format(found) if missing else found
        case Within(row, spans):
            table_name = statement.table()
            test = _either(_within(statement, table_name, prefix, span) for prefix, span in spans)
            return _row(statement, "search_range", row, resource_type, owner, test, table=table_name)
        case OneOf(row, values, negated):
            table_name = statement.table()
            found = _row(
                statement,
                "search_value",
                row,
                resource_type,
                owner,
                _one_of(statement, table_name, values),
                table=table_name,
            )
            return sql.SQL("NOT ({})").format(found) if negated else found
        case Beginning(row, texts, whole):
            table_name = statement.table()
            column = sql.SQL("{}.value").format(table_name)
            tests = [
                sql.SQL("({0} >= {1} AND {0} < {2})").format(
                    column, statement.value(text), statement.value(text + AFTER_ALL)
                )
                for text in texts
            ]
            if whole:
                tests.append(sql.SQL("{} = ANY ({})").format(column, statement.value(list(whole))))
            return _row(statement, "search_value", row, resource_type, owner, _either(tests), table=table_name)
        case Containing(row, texts):
            table_name = statement.table()
            column = sql.SQL("{}.value").format(table_name)
            tests = [sql.SQL("position({} in {}) > 0").format(statement.value(text), column) for text in texts]
            return _row(statement, "search_value", row, resource_type, owner, _either(tests), table=table_name)


def _row(
    statement: Statement,
    relation: str,
    row: str | Sequence[str],
    resource_type: str,
    owner: sql.Identifier,
    test: sql.Composable,
    *,
    table: sql.Identifier | None = None,
) -> sql.Composable:
    """The owner has a row of this parameter that passes the test."""
    return sql.SQL(
        "EXISTS (SELECT FROM {relation} AS {table} WHERE {table}.tenant_id = {owner}.tenant_id "
        "AND {table}.type = {type} AND {table}.param {row} AND {table}.id = {owner}.id AND {test})"
    ).format(
        relation=sql.Identifier(relation),
        table=table or statement.table(),
        type=statement.value(resource_type),
        row=sql.SQL("= {}").format(statement.value(row))
        if isinstance(row, str)
        else sql.SQL("= ANY ({})").format(statement.value(list(row))),
        owner=owner,
        test=test,
    )


def _one_of(
    statement: Statement, table: sql.Identifier, values: Sequence[tuple[str | None, str | None]]
) -> sql.Composable:
    """Values of any system together, so that many of them are one look into the index each."""
    anywhere = [value for system, value in values if system is None and value is not None]
    tests: list[sql.Composable] = []
    if len(anywhere) == 1:
        tests.append(sql.SQL("{}.value = {}").format(table, statement.value(anywhere[0])))
    elif anywhere:
        tests.append(sql.SQL("{}.value = ANY ({})").format(table, statement.value(anywhere)))
    for system, value in values:
        if system is not None:
            test = sql.SQL("{}.system = {}").format(table, statement.value(system))
            if value is not None:
                test = sql.SQL("({0}.value = {1} AND {2})").format(table, statement.value(value), test)
            tests.append(test)
    return _either(tests)


def _either(tests: Iterable[sql.Composable]) -> sql.Composable:
    joined = list(tests)
    if not joined:
        return sql.SQL("false")
    return joined[0] if len(joined) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(joined))


def _within(statement: Statement, table: sql.Identifier, prefix: str, span: Span) -> sql.Composable:
    """Relation of the row's span to the one asked for (R4 search.html#prefix)."""
    names: dict[str, sql.Composable] = {
        "low": sql.SQL("{}.low").format(table),
        "high": sql.SQL("{}.high").format(table),
        "from": statement.value(span[0]),
        "to": statement.value(span[1]),
    }
    inside = "({low} >= {from} AND {high} <= {to})"
    relations = {
        "eq": inside,
        "ne": f"NOT {inside}",
        "gt": "{high} > {to}",
        "ge": f"({{high}} > {{to}} OR {inside})",
        "lt": "{low} < {from}",
        "le": f"({{low}} < {{from}} OR {inside})",
        "sa": "{low} >= {to}",
        "eb": "{high} <= {from}",
    }
    return sql.SQL(relations[prefix]).format(**names)


def _updated(statement: Statement, prefix: str, span: Span) -> sql.Composable:
    start, end = statement.value(moment_of(span[0])), statement.value(moment_of(span[1]))
    match prefix:
        case "eq":
            return sql.SQL("(r.last_updated >= {} AND r.last_updated < {})").format(start, end)
        case "ne":
            return sql.SQL("(r.last_updated < {} OR r.last_updated >= {})").format(start, end)
        case "gt" | "sa":
            return sql.SQL("r.last_updated >= {}").format(end)
        case "lt" | "eb":
            return sql.SQL("r.last_updated < {}").format(start)
        case "ge":
            return sql.SQL("r.last_updated >= {}").format(start)
        case _:
            return sql.SQL("r.last_updated < {}").format(end)


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of the order: a column of the resource, or the value of a row."""

    key: SortKey
    table: sql.Identifier
    optional: bool

    @property
    def of_resource(self) -> bool:
        return not self.key.parameter.paths

    @property
    def rows(self) -> str:
        return "search_value" if self.key.kind is str else "search_range"

    @property
    def nullable(self) -> bool:
        return self.optional and not self.of_resource

    @property
    def expression(self) -> sql.Composable:
        if self.of_resource:
            return sql.SQL("r.id") if self.key.parameter.name == "_id" else sql.SQL("r.last_updated")
        return sql.SQL("{}.value" if self.key.kind is str else "{}.low").format(self.table)

    @property
    def order(self) -> sql.Composable:
        return sql.SQL("{}{}{}").format(
            self.expression,
            sql.SQL(" DESC" if self.key.descending else ""),
            sql.SQL(" NULLS LAST" if self.nullable else ""),
        )

    def join(self, statement: Statement) -> sql.Composable:
        if self.of_resource:
            return sql.SQL("")
        return sql.SQL(
            " {left}JOIN {rows} AS {table} ON {table}.tenant_id = r.tenant_id AND {table}.type = r.type "
            "AND {table}.param = {row} AND {table}.id = r.id"
        ).format(
            left=sql.SQL("LEFT " if self.optional else ""),
            rows=sql.Identifier(self.rows),
            table=self.table,
            row=statement.value(self.key.parameter.stored_as),
        )


def _id_order(keys: Sequence[_Key]) -> sql.Composable:
    return sql.SQL("r.id DESC" if keys and keys[-1].key.descending else "r.id")


def _after(statement: Statement, keys: Sequence[_Key], place: Sequence[Any], resource_id: str) -> sql.Composable:
    """What comes after a place: equal in the first keys, and beyond it in the next one, for each key."""
    columns = [(key.expression, key.key.descending, key.nullable) for key in keys]
    columns.append((sql.SQL("r.id"), bool(keys and keys[-1].key.descending), False))
    wanted = [*place, resource_id]
    if len({descending for _, descending, _ in columns}) == 1 and not any(nullable for *_, nullable in columns):
        return sql.SQL("({}) {} ({})").format(
            sql.SQL(", ").join(expression for expression, *_ in columns),
            sql.SQL("<" if columns[0][1] else ">"),
            sql.SQL(", ").join(map(statement.value, wanted)),
        )
    alternatives: list[sql.Composable] = []
    equal: list[sql.Composable] = []
    for (expression, descending, nullable), value in zip(columns, wanted, strict=True):
        if value is not None:
            beyond = sql.SQL("{} {} {}").format(expression, sql.SQL("<" if descending else ">"), statement.value(value))
            if nullable:
                beyond = sql.SQL("({} OR {} IS NULL)").format(beyond, expression)
            alternatives.append(sql.SQL("({})").format(sql.SQL(" AND ").join([*equal, beyond])))
            equal.append(sql.SQL("{} = {}").format(expression, statement.value(value)))
        else:
            equal.append(sql.SQL("{} IS NULL").format(expression))
    return _either(alternatives)
