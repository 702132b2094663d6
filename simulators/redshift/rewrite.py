"""Redshift's SQL as Postgres' SQL: what Redshift has and Postgres has not, or means otherwise.

Functions that only have another name or meaning are made in `catalogue.sql`; here is what needs the statement's text.
What Redshift takes and this can't show raises `NotShown`, so that nothing passes by accident.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

from simulators.redshift import refuse
from simulators.redshift.tokens import Sql

# Settings of Redshift's that Postgres hasn't; kept under a name of their own.
SETTINGS = set(
    "analyze_threshold_percent cast_super_null_on_error datashare_break_glass_session_var"
    " default_geometry_encoding describe_field_name_in_uppercase downcase_delimited_identifier"
    " enable_case_sensitive_identifier enable_case_sensitive_super_attribute enable_numeric_rounding"
    " enable_result_cache_for_session enable_vacuum_boost error_on_nondeterministic_update"
    " json_serialization_enable json_serialization_parse_nested_strings max_concurrency_scaling_clusters"
    " mv_enable_aqmv_for_session navigate_super_null_on_error parse_super_null_on_error pg_federation_repeatable_read"
    " query_group spectrum_enable_pseudo_columns spectrum_query_maxerror stored_proc_log_min_messages"
    " use_fips_ssl wlm_query_slot_count".split()
)
# Same name in Postgres, another meaning: `catalogue.sql` has them under this prefix.
OTHERWISE = set("regexp_replace regexp_substr regexp_count regexp_instr trunc version json_serialize".split())
PREFIX = "redshift_"


class NotShown(Exception):  # noqa: N818  (not an error of the statement's)
    """Redshift takes this, the stand-in can't show it."""


def rewritten(statement: Sql) -> Sql:
    """One statement as Postgres takes it, changed in place.

    Raises:
        NotShown: it uses what the stand-in has not.
    """
    for change in _CHANGES:
        change(statement)
    return statement


def _texts(sql: Sql) -> None:
    """In plain texts a backslash escapes (https://docs.aws.amazon.com/redshift/latest/dg/r_patternmatching_condition_like.html)."""
    for token in sql:
        if token.kind == "string" and token.text[0] == "'" and "\\" in token.text:
            token.text = "E" + token.text


def _names(sql: Sql) -> None:
    """Names are in lower case, quoted or not (r_names.html)."""
    for token in sql:
        if token.kind == "quoted":
            token.text = token.text.lower()
        if token.kind in ("quoted", "word") and len(token.name.encode()) > 63:
            raise NotShown(f"names beyond 63 bytes, such as {token.name}")


def _super(sql: Sql) -> None:
    """Navigation of SUPER in FROM: ``from t, t.list as item, unpivot item as value at name`` (query-super.html)."""
    items: set[str] = set()
    aliases: set[str] = set()
    at = 0
    while at < len(sql):
        if sql[at].text == "," and sql[at + 1].word == "unpivot":
            # unpivot EXPRESSION as VALUE at NAME
            after = at + 2
            while sql[after].word != "as":
                after += 1
            expression, value, name = sql.text(at + 2, after), sql[after + 1].name, sql[after + 3].name
            if sql[after + 2].word != "at":
                raise NotShown("UNPIVOT without AT")
            sql.put(at, after + 4, f" cross join lateral {PREFIX}pairs({expression}) as {value}__of ({name}, {value})")
        elif (
            sql[at].text == ","
            and sql[at + 1].name in aliases
            and sql[at + 2].text == "."
            and (sql[at + 4].word == "as" or sql[at + 4].text == ".")
            and _in_from(sql, at)
        ):
            after = at + 4
            while sql[after].word != "as":
                after += 1
            path, item = sql.text(at + 1, after), sql[after + 1].name
            items.add(item)
            sql.put(at, after + 2, f" cross join lateral {PREFIX}elements({path}) as {item} ({item})")
        elif sql[at].word == "as" and sql[at + 1].kind in ("word", "quoted"):
            aliases.add(sql[at + 1].name)
        at += 1
    for at in range(len(sql) - 1, -1, -1):
        if sql[at].name in items and sql[at + 1].text == "." and sql[at - 1].text != ".":
            item, attribute = sql[at].name, sql[at + 2].name
            sql.put(at, at + 3, f"{PREFIX}member({item}.{item}, '{attribute}')")


def _in_from(sql: Sql, at: int) -> bool:
    """Whether the last clause begun before a place, on its level, is FROM."""
    depth = 0
    for place in range(at - 1, -1, -1):
        text, word = sql[place].text, sql[place].word
        depth += {")": 1, "(": -1}.get(text, 0)
        if depth < 0:
            return False
        if depth == 0 and word in ("from", "where", "select", "group", "order", "having", "by", "using"):
            return word == "from"
    return False


def _calls(sql: Sql) -> None:
    """Functions whose form, not only whose name, is another."""
    for at in range(len(sql) - 1, -1, -1):
        if sql[at + 1].text != "(" or sql[at].kind != "word":
            if sql[at].word == "sysdate":
                sql[at].text = "redshift_sysdate()"
            continue
        name, end = sql[at].word, sql.close(at + 1)
        arguments = [sql.text(*span) for span in sql.arguments(at + 1)]
        match name:
            case "dateadd" | "datediff" if sql[at + 2].kind == "word":
                sql[at + 2].text = f"'{sql[at + 2].word}'"
            case "date_part" if sql[at + 2].kind == "word":
                sql[at + 2].text = f"'{sql[at + 2].word}'"
            case "nvl":
                sql[at].text = "coalesce"
            case "nvl2":
                sql.put(at, end + 1, f"case when ({arguments[0]}) is not null then {arguments[1]} else {arguments[2]} end")
            case "decode":
                sql.put(at, end + 1, _decoded(arguments))
            case "try_cast":
                sql.put(at, end + 1, _try_cast(sql, at, end))
            case "convert" if len(arguments) == 2:
                sql.put(at, end + 1, f"cast({arguments[1]} as {arguments[0]})")
            case "median":
                sql.put(at, end + 1, f"percentile_cont(0.5) within group (order by {arguments[0]})")
            case "listagg":
                _listagg(sql, at, end, arguments)
            case "object" | "array" | "pivot":
                raise NotShown(f"{name.upper()}(...)")
            case _ if name in OTHERWISE:
                sql[at].text = PREFIX + name
    for at, token in enumerate(sql):
        if token.word in ("qualify", "pivot", "unpivot", "connect", "top") and sql[at + 1].kind != "end":
            if token.word == "top" and sql[at + 1].kind != "number":
                continue
            if sql[at - 1].text not in (".", ",", "as"):
                raise NotShown(token.word.upper())
        if token.word == "minus" and sql[at + 1].word == "select":
            token.text = "except"
        if token.word == "approximate" and sql[at + 1].word == "count":
            token.text = ""


def _decoded(arguments: list[str]) -> str:
    value, rest = arguments[0], arguments[1:]
    default = rest.pop() if len(rest) % 2 else "null"
    pairs = zip(rest[::2], rest[1::2], strict=True)
    # Unlike CASE, DECODE takes two nulls as equal.
    whens = " ".join(f"when ({value}) is not distinct from ({found}) then {result}" for found, result in pairs)
    return f"case {whens} else {default} end"


def _try_cast(sql: Sql, at: int, end: int) -> str:
    place = at + 2
    while sql[place].word != "as":
        place = sql.close(place) + 1 if sql[place].text == "(" else place + 1
    value, kind = sql.text(at + 2, place), sql.text(place + 1, end)
    # The cast stands outside, or Postgres would try it on a constant before it asks.
    checked = f"case when pg_input_is_valid(cast(({value}) as text), '{kind}') then cast(({value}) as text) end"
    return f"cast({checked} as {kind})"


def _listagg(sql: Sql, at: int, end: int, arguments: list[str]) -> None:
    distinct = "distinct " if sql[at + 2].word == "distinct" else ""
    value = arguments[0].removeprefix("distinct ")
    separator = arguments[1] if len(arguments) > 1 else "''"
    order, until = "", end + 1
    if sql.words(end + 1, "within", "group", "("):
        until = sql.close(end + 3) + 1
        order = " " + sql.text(end + 4, until - 1)
    sql.put(at, until, f"string_agg({distinct}cast({value} as varchar), {separator}{order})")


def _types(sql: Sql) -> None:
    """Lengths that are Redshift's own (r_Character_types.html, r_Numeric_types201.html)."""
    defined = {first + 1 for first, _ in refuse.columns(sql)}
    for at in sorted(set(refuse.type_places(sql)), reverse=True):
        name, bounded = sql[at].name, sql[at + 1].text == "("
        if name in ("varchar", "nvarchar", "text", "character"):
            varying = name != "character" or sql[at + 1].word == "varying"
            width = 2 if sql[at + 1].word == "varying" else 1
            length = sql.text(at + width + 1, sql.close(at + width)) if sql[at + width].text == "(" else ""
            until = sql.close(at + width) + 1 if length else at + width
            if length.lower() == "max":
                length = "65535"
            if at in defined and varying and not length:
                length = "256"  # in expressions a text is as long as it is
            sql.put(at, until, ("varchar" if varying else "char") + (f"({length})" if length else ""))
        elif name in ("numeric", "decimal") and not bounded:
            sql.put(at, at + 1, "numeric(18, 0)")
        elif name in ("varbyte", "varbinary") or (name == "binary" and sql[at + 1].word == "varying"):
            until = at + (2 if name == "binary" else 1)
            sql.put(at, sql.close(until) + 1 if sql[until].text == "(" else until, "bytea")
        elif name in ("nchar", "bpchar"):
            sql[at].text = "char" if bounded else "char(256)"
        elif name == "float":
            sql[at].text = "float8"


def _tables(sql: Sql) -> None:
    """DDL: keys of distribution and order are noted in a comment, which a trigger reads; no key is enforced."""
    at = refuse.table_name(sql)
    if at is None:
        _alterations(sql)
        return
    named = at
    while sql[named + 1].text == ".":
        named += 2
    declared: dict[str, object] = {"table": sql[named].name}
    body = refuse.table_body(sql)
    if body is not None:
        _columns(sql, body, declared)
    _attributes(sql, declared)
    if "like" in [token.word for token in sql] and body is None:
        pass
    sql.tokens[0].before += f"/* redshift {json.dumps(declared)} */ "


def _columns(sql: Sql, body: int, declared: dict[str, object]) -> None:
    for first, until in reversed(sql.arguments(body)):
        words = [token.word for token in sql.tokens[first:until]]
        if words[0] in ("primary", "foreign", "unique", "constraint"):
            # Taken and not enforced (t_Defining_constraints.html).
            before = first - 1 if sql[first - 1].text == "," else first
            after = until if before < first or sql[until].text != "," else until + 1
            sql.put(before, after, "")
            continue
        _column(sql, first, until, declared)


def _column(sql: Sql, first: int, until: int, declared: dict[str, object]) -> None:
    name = sql[first].name
    place = first + 1
    parts: list[str] = []
    check = ""
    if sql[place].word == "varchar" and sql[place + 1].text == "(":
        length = sql[place + 2].text
        unique = f"redshift_bytes_{length}_{zlib.crc32(name.encode())}"
        check = f" constraint {unique} check (octet_length({sql[first].text}) <= {length})"
    while place < until:
        word = sql[place].word
        if word == "distkey":
            declared["distkey"], declared["diststyle"] = name, "KEY"
        elif word == "sortkey":
            declared["sortkey"] = [name]
        elif word == "encode":
            place += 1
        elif word == "unique":
            pass
        elif word == "primary":
            place += 1
            parts.append("not null")
        elif word == "references":
            while place + 1 < until and (sql[place + 1].text in (".", "(") or sql[place + 1].kind in ("word", "quoted")):
                place = sql.close(place + 1) if sql[place + 1].text == "(" else place + 1
        elif word == "identity" or (word == "generated" and "identity" in [t.word for t in sql.tokens[place:until]]):
            while sql[place].text != "(":
                place += 1
            seed, step = (sql.text(*span) for span in sql.arguments(place))
            parts.append(f"generated by default as identity (start with {seed} increment by {step})")
            place = sql.close(place)
        elif sql[place].text == "(":
            end = sql.close(place)
            parts.append(sql.text(place, end + 1))
            place = end
        else:
            parts.append(sql[place].text)
        place += 1
    sql.put(first + 1, until, " " + " ".join(parts).replace(" (", "(") + check)


def _attributes(sql: Sql, declared: dict[str, object]) -> None:
    """Of the table, before AS or at the end."""
    at = refuse.table_name(sql) or 0
    body = refuse.table_body(sql)
    place = sql.close(body) + 1 if body is not None else at
    while place < len(sql):
        word = sql[place].word
        if word == "as" and sql[place - 1].text != ".":
            break
        if word == "diststyle":
            declared["diststyle"] = sql[place + 1].word.upper()
            sql.put(place, place + 2, "")
        elif word == "distkey" and sql[place + 1].text == "(":
            declared["distkey"], declared["diststyle"] = sql[place + 2].name, "KEY"
            sql.put(place, place + 4, "")
        elif word in ("compound", "interleaved") and sql[place + 1].word == "sortkey":
            declared["interleaved"] = word == "interleaved"
            sql.put(place, place + 1, "")
        elif word == "sortkey" and sql[place + 1].word == "auto":
            declared["sortkey"] = "AUTO"
            sql.put(place, place + 2, "")
        elif word == "sortkey" and sql[place + 1].text == "(":
            end = sql.close(place + 1)
            declared["sortkey"] = [token.name for token in sql.tokens[place + 2 : end] if token.text != ","]
            sql.put(place, end + 1, "")
        elif word == "backup":
            sql.put(place, place + 2, "")
        elif word == "encode":
            sql.put(place, place + 2, "")
        else:
            place += 1


def _alterations(sql: Sql) -> None:
    words = [token.word for token in sql]
    if words[:2] == ["alter", "table"]:
        if any(word in ("diststyle", "distkey", "sortkey", "append", "encode") for word in words) and "add" not in words:
            raise NotShown("ALTER TABLE of keys, encodings and APPEND")
        for first, until in reversed(refuse.columns(sql)):
            _column(sql, first, until, {})
        if "add" in words and any(word in ("primary", "unique", "foreign") for word in words):
            # Not enforced: a statement that changes nothing.
            table = next(at for at, word in enumerate(words) if word == "add")
            sql.put(table, len(sql), "set (fillfactor = 100)")
    elif words[0] == "create" and "view" in words:
        _view(sql)


def _view(sql: Sql) -> None:
    """A late-binding view is bound here: what it reads can't be dropped without CASCADE."""
    last = len(sql)
    if sql.words(last - 4, "with", "no", "schema", "binding"):
        sql.put(last - 4, last, "")
        sql.tokens[0].before += "/* redshift late */ "
    for at, token in enumerate(sql):
        if token.word == "materialized" and sql[at + 1].word == "view":
            raise NotShown("MATERIALIZED VIEW")


def _commands(sql: Sql) -> None:
    """Statements about the session, rights and housekeeping."""
    first, second = sql[0].word, sql[1].word
    words = [token.word for token in sql]
    if first in ("set", "reset", "show") and sql[1].name in SETTINGS:
        sql[1].text = f"redshift.{sql[1].name}"
    if first in ("grant", "revoke"):
        for at in range(len(sql) - 1, 0, -1):
            if words[at] == "role" and words[at - 1] in ("to", "from", ",", "grant", "revoke"):
                sql.put(at, at + 1, "")
            elif words[at] == "group" and words[at - 1] in ("to", "from"):
                sql.put(at, at + 1, "")
    if first == "alter" and second == "default":
        for at in range(len(sql) - 1, 0, -1):
            if words[at] == "role" and words[at - 1] in ("to", "from"):
                sql.put(at, at + 1, "")
    if first == "vacuum":
        kept = [at for at in range(1, len(sql)) if words[at] not in ("full", "sort", "delete", "only", "reindex", "recluster", "boost")]
        until = next((at for at in kept if words[at] == "to"), len(sql))
        sql.put(1, len(sql), " ".join(sql[at].text for at in kept if at < until).replace(" . ", "."))
    if first == "analyze":
        for at, word in enumerate(words):
            if word in ("predicate", "all") and at + 1 < len(words) and words[at + 1] == "columns":
                sql.put(at, at + 2, "")
                break
    if first == "lock":
        sql.tokens[-1].text += " in access exclusive mode"


_CHANGES: list[Callable[[Sql], None]] = [_texts, _names, _types, _super, _calls, _tables, _commands]
