"""What Redshift refuses and Postgres would take: each rule with the page of Redshift's guide that says so.

Functions, types and kinds of statements are lists of what is allowed, so that what nobody thought of is refused;
constructs are rules over tokens. Queries that read the catalogue alone run on Redshift's leader node, which is an
old Postgres: of their functions and types only those are refused that no Postgres of that age had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulators.redshift.tokens import Sql

GUIDE = "https://docs.aws.amazon.com/redshift/latest/dg/"
FEATURES = "c_unsupported-postgresql-features.html"
FUNCTIONS = "c_unsupported-postgresql-functions.html"
TYPES = "c_Supported_data_types.html"
SYNTAX, FEATURE, NO_FUNCTION, NO_TYPE, NO_OPERATOR, TOO_LONG = "42601", "0A000", "42883", "42704", "42883", "22001"
IDENTIFIER_BYTES = 127


@dataclass(frozen=True)
class Refusal:
    """Why a statement is refused.

    Attributes:
        code: the SQLSTATE.
        page: of Redshift's guide, below `GUIDE`.
    """

    message: str
    code: str
    page: str


# https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_commands.html
STATEMENTS = set(
    "abort alter analyze begin call cancel close comment commit copy create deallocate declare delete drop end"
    " execute explain fetch grant insert lock merge prepare refresh reset revoke rollback select set show start"
    " truncate unload update use vacuum with".split()
)
CREATED = set(
    "database datashare external function group identity library local masking materialized model or procedure rls"
    " role schema table temp temporary user view".split()
)
# https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
ALLOWED_TYPES = set(
    "smallint int2 integer int int4 bigint int8 decimal numeric real float4 float8 float double boolean bool char"
    " character nchar bpchar varchar nvarchar text date timestamp timestamptz time timetz interval super varbyte"
    " varbinary binary geometry geography hllsketch".split()
)
CATALOGUE_TYPES = set("name oid regclass regtype regproc xid aclitem refcursor unknown char".split())
# https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
ALLOWED_FUNCTIONS = set(
    # aggregates and windows
    "any_value avg bit_and bit_or bool_and bool_or count listagg max median min percentile_cont percentile_disc"
    " stddev stddev_pop stddev_samp sum var_pop var_samp variance cume_dist dense_rank first_value lag last_value"
    " lead nth_value ntile percent_rank rank ratio_to_report row_number grouping grouping_id"
    # conditions
    " coalesce decode greatest least nullif nvl nvl2"
    # dates and times
    " add_months convert_timezone date_cmp date_cmp_timestamp date_part date_part_year date_trunc dateadd datediff"
    " extract getdate interval_cmp last_day months_between next_day sysdate timeofday timezone to_timestamp trunc"
    # mathematics
    " abs acos asin atan atan2 cbrt ceil ceiling checksum cos cot degrees dexp dlog1 dlog10 exp floor ln log mod pi"
    " pow power radians random round sign sin sqrt tan"
    # text
    " ascii bpcharcmp btrim char_length character_length charindex chr collate concat crc32 difference initcap left"
    " len length lower lpad ltrim octet_length octetindex position quote_ident quote_literal regexp_count"
    " regexp_instr regexp_replace regexp_substr repeat replace replicate reverse right rpad rtrim soundex"
    " split_part split_to_array strpos strtol substr substring textlen translate trim upper"
    # JSON and SUPER
    " can_json_parse is_valid_json is_valid_json_array json_array_length json_extract_array_element_text"
    " json_extract_path_text json_parse json_serialize json_serialize_to_varbyte json_size json_typeof array"
    " array_concat array_flatten array_contains array_distinct array_except array_intersection array_position"
    " array_sort get_array_length lower_attribute_names object object_transform subarray is_array is_bigint"
    " is_boolean is_char is_decimal is_float is_integer is_object is_scalar is_smallint is_varchar"
    # types and hashes
    " cast try_cast convert text_to_int_alt text_to_numeric_alt to_char to_date to_number to_hex from_hex md5 sha"
    " sha1 sha2 fnv_hash farmfingerprint64 func_sha1 murmur3_32_hash to_varbyte from_varbyte typeof"
    # about the session; pg_ ones beside the catalogue are Redshift's own
    " current_database current_namespace current_user current_user_id current_session_arn session_user user"
    " user_is_member_of role_is_member_of pg_backend_pid pg_last_copy_count pg_last_copy_id pg_last_query_id"
    " pg_last_unload_count pg_last_unload_id pg_get_late_binding_view_cols pg_get_cols version has_assumerole_privilege"
    .split()
)
# https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions_leader_node_only.html
LEADER_ONLY = set(
    "current_schema current_schemas has_database_privilege has_schema_privilege has_table_privilege age"
    " current_time current_timestamp localtime isfinite now ascii_ get_bit get_byte octet_length_ set_bit set_byte"
    " to_ascii".split()
)
ARITY = {"concat": 2, "nvl2": 3, "strtol": 2}
# Words before a bracket that call nothing.
NOT_CALLED = set(
    "and or not in exists any some all as on using values over partition by from join where having select when then"
    " else case union except intersect minus with into group order limit offset distinct within filter set interval"
    " is like ilike between to top table view return key default references foreign primary unique check array"
    " lateral returning only cube rollup sets end if null option role format sortkey distkey include exclude by"
    " recursive identity rows columns unload varying".split()
)
FRAMED = set("avg count max min sum stddev stddev_pop stddev_samp var_pop var_samp variance first_value"
             " last_value nth_value bool_and bool_or bit_and bit_or".split())  # fmt: skip
OPERATORS = {"->", "->>", "#>", "#>>", "@>", "<@", "?|", "?&", "&&", "-|-", "@@", "?"}
CATALOGUES = ("pg_", "information_schema", "svv_", "stv_", "stl_", "svl_", "sys_", "svcs_")

Rule = Callable[[Sql], Iterator[Refusal]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    """Of one statement."""
    RULES.append(check)
    return check


def refusal(statement: Sql) -> Refusal | None:
    """The first reason to refuse a statement; None if Redshift, as far as we know, takes it."""
    for check in RULES:
        for found in check(statement):
            return found
    return None


def syntax(near: str, page: str) -> Refusal:
    """A syntax error in Redshift's words."""
    return Refusal(f'syntax error at or near "{near}"', SYNTAX, page)


def unsupported(what: str, page: str) -> Refusal:
    """A feature that is known and refused."""
    return Refusal(f"{what} is not supported", FEATURE, page)


def reads_catalogue(sql: Sql) -> bool:
    """Whether a statement reads a catalogue of the leader node."""
    return any(token.name.startswith(CATALOGUES) for token in sql)


def reads_tables(sql: Sql) -> bool:
    """Whether a statement reads a table or view of users."""
    for at, token in enumerate(sql):
        if token.word in ("from", "join") and sql[at + 1].kind in ("word", "quoted"):
            first = sql[at + 1].name
            in_brackets_of_extract = any(sql.words(at - n, "extract", "(") for n in (2, 3))
            if not in_brackets_of_extract and not first.startswith(CATALOGUES):
                return True
    return False


@rule
def kinds(sql: Sql) -> Iterator[Refusal]:
    """Statements, and what is created by them."""
    first = sql[0].word or sql[0].text
    if first not in STATEMENTS and first != "(":
        yield syntax(first, "c_SQL_commands.html")
    if first == "create":
        words = [token.word for token in sql][1:4]
        made = [word for word in words if word not in ("or", "replace", "temp", "temporary", "local")][0]
        if made in ("index", "unique"):
            yield unsupported("SQL command \"CREATE INDEX\"", FEATURES)
        elif made not in CREATED:
            yield unsupported(f'SQL command "CREATE {made.upper()}"', FEATURES)
        if "replace" in words and made == "table":
            yield syntax("table", "r_CREATE_TABLE_NEW.html")
    if first == "rollback" and "to" in [token.word for token in sql]:
        yield unsupported("ROLLBACK TO SAVEPOINT", FUNCTIONS)
    if first == "with" and _main(sql) == "insert":
        yield syntax("insert", "r_WITH_clause.html")
    if first == "copy" and not _copies_from_url(sql):
        yield unsupported("COPY from or to anything but S3 and its like", "r_COPY.html")
    if first == "truncate":
        if any(token.text == "," for token in sql) or sql[len(sql) - 1].word in ("cascade", "restrict", "identity"):
            yield syntax(sql[len(sql) - 1].text, "r_TRUNCATE.html")
    if first == "lock" and "mode" in [token.word for token in sql]:
        yield syntax("in", "r_LOCK.html")
    if first == "analyze" and sql[1].text == "(":
        yield syntax("(", "r_ANALYZE.html")


def _main(sql: Sql) -> str:
    """The verb behind a WITH."""
    at = 1
    while at < len(sql):
        if sql[at].text == "(":
            at = sql.close(at)
        elif sql[at].word in ("select", "insert", "update", "delete", "merge"):
            return sql[at].word
        at += 1
    return ""


def _copies_from_url(sql: Sql) -> bool:
    for at, token in enumerate(sql):
        if token.word == "from":
            return sql[at + 1].kind == "string" and "://" in sql[at + 1].text
    return False


@rule
def types(sql: Sql) -> Iterator[Refusal]:
    """Names of types, and what stands behind them."""
    catalogue = reads_catalogue(sql) or not reads_tables(sql)
    for at in type_places(sql):
        name = sql[at].name
        if sql[at].kind == "quoted" and name != "char":
            name = sql[at].name
        if sql.words(at + 1, "[") or (sql[at + 1].text == "(" and sql.words(sql.close(at + 1) + 1, "[")):
            yield unsupported("Column type array", "c_unsupported-postgresql-datatypes.html")
        if name in ALLOWED_TYPES or (catalogue and name in CATALOGUE_TYPES):
            yield from _lengths(sql, at, name)
        elif name not in ("pg_catalog",):
            yield Refusal(f'type "{name}" does not exist', NO_TYPE, "c_unsupported-postgresql-datatypes.html")


def _lengths(sql: Sql, at: int, name: str) -> Iterator[Refusal]:
    if sql[at + 1].text != "(" or sql[at + 2].kind != "number":
        return
    length = int(float(sql[at + 2].text))
    if name in ("varchar", "nvarchar", "character") and length > 65535:
        yield Refusal(f"length for type {name} cannot exceed 65535", "22023", "r_Character_types.html")
    if name in ("char", "nchar", "bpchar") and length > 65535:
        yield Refusal(f"length for type {name} cannot exceed 65535", "22023", "r_Character_types.html")
    if name in ("numeric", "decimal") and length > 38:
        yield Refusal(f"NUMERIC precision {length} must be between 1 and 38", "22023", "r_Numeric_types201.html")


def type_places(sql: Sql) -> Iterator[int]:
    """Where the name of a type stands: behind ``::``, in CAST and TRY_CAST, in definitions of columns."""
    for at, token in enumerate(sql):
        if token.text == "::":
            yield at + 1
        elif token.word in ("cast", "try_cast") and sql[at + 1].text == "(":
            end, place = sql.close(at + 1), at + 2
            while place < end:
                if sql[place].text in "([":
                    place = sql.close(place)
                elif sql[place].word == "as":
                    yield place + 1
                place += 1
    for first, _ in columns(sql):
        yield first + 1


def columns(sql: Sql) -> list[tuple[int, int]]:
    """From and until where each definition of a column stands, in CREATE TABLE and ALTER TABLE ADD."""
    if sql[0].word == "alter" and sql[1].word == "table":
        for at in range(2, len(sql)):
            if sql[at].word == "add" and sql[at + 1].word not in ("constraint", "primary", "foreign", "unique", "check"):
                first = at + 2 if sql[at + 1].word == "column" else at + 1
                return [(first, len(sql))]
        return []
    at = table_body(sql)
    if at is None:
        return []
    started = set("constraint primary foreign unique check like exclude".split())
    return [(first, until) for first, until in sql.arguments(at) if sql[first].word not in started]


def table_body(sql: Sql) -> int | None:
    """Where the bracket of a CREATE TABLE opens that holds its columns with their types; None if there is none."""
    at = table_name(sql)
    if at is None:
        return None
    while sql[at].text != "(" and at < len(sql):
        if sql[at].word in ("as", "like"):
            return None
        at += 1
    if at == len(sql) or sql[at - 1].word in ("sortkey", "distkey"):
        return None
    first, until = (sql.arguments(at) or [(at, at)])[0]
    # CREATE TABLE name (a, b) AS SELECT names columns without types.
    return at if until - first > 1 else None


def table_name(sql: Sql) -> int | None:
    """Where the name of the table stands that a statement creates."""
    if sql[0].word != "create":
        return None
    at = 1
    while sql[at].word in ("temp", "temporary", "local"):
        at += 1
    if sql[at].word != "table":
        return None
    return at + 4 if sql.words(at + 1, "if", "not", "exists") else at + 1


@rule
def functions(sql: Sql) -> Iterator[Refusal]:
    """What is called."""
    catalogue, tables = reads_catalogue(sql), reads_tables(sql)
    # Nothing but DDL of columns and tables has names before brackets that are no calls.
    bodies = _uncalled(sql)
    for at, token in enumerate(sql):
        name = token.name
        called = sql[at + 1].text == "(" and token.kind in ("word", "quoted")
        bare = name in ("current_timestamp", "current_time", "localtime", "current_schema")
        if not (called or (bare and sql[at - 1].text != ".")) or at in bodies:
            continue
        if name in LEADER_ONLY:
            if tables:
                yield Refusal(
                    f'Specified types or functions (one per INFO message) not supported on Redshift tables: "{name}"',
                    FEATURE,
                    "c_SQL_functions_leader_node_only.html",
                )
            continue
        if name in ALLOWED_FUNCTIONS:
            given = len(sql.arguments(at + 1))
            if called and name in ARITY and given != ARITY[name]:
                yield Refusal(f"function {name} takes {ARITY[name]} arguments, not {given}", NO_FUNCTION, f"r_{name.upper()}.html")
            continue
        if name in ALLOWED_TYPES or name in NOT_CALLED or (catalogue and not tables):
            continue
        yield Refusal(f"function {name}() does not exist", NO_FUNCTION, FUNCTIONS)


def _uncalled(sql: Sql) -> set[int]:
    """Places of names that stand before a bracket and are tables, columns or names of queries."""
    found = set()
    for at, token in enumerate(sql):
        if sql[at + 1].text != "(":
            continue
        former = sql[at - 1]
        if former.word in ("into", "table", "view", "exists", "references", "update", "as", "join", "recursive", "copy"):
            found.add(at)
        if former.text == "." and sql[at - 3].word in ("into", "table", "exists", "references", "view", "copy"):
            found.add(at)
        if former.text == "." and sql[at - 5].word in ("into", "table", "exists", "references", "view", "copy"):
            found.add(at)
        # with name (columns) as (
        if former.word == "with" or (former.text == "," and sql.words(sql.close(at + 1) + 1, "as", "(")):
            found.add(at)
        # from x as name (columns), from (...) name (columns)
        if former.text == ")" and token.kind in ("word", "quoted") and token.word not in ALLOWED_FUNCTIONS:
            found.add(at)
    return found


@rule
def constructs(sql: Sql) -> Iterator[Refusal]:
    """Clauses and operators."""
    for at, token in enumerate(sql):
        after = sql[at + 1]
        if token.kind == "operator" and token.text in OPERATORS:
            yield Refusal(f"operator does not exist: {token.text}", NO_OPERATOR, FEATURES)
        match token.word:
            case "distinct" if after.word == "on":
                yield syntax("on", "r_SELECT_list.html")
            case "filter" if after.text == "(" and sql[at - 1].text == ")":
                yield syntax("(", "c_Window_functions.html")
            case "lateral":
                yield syntax("lateral", "r_FROM_clause30.html")
            case "conflict" if sql[at - 1].word == "on":
                yield syntax("conflict", "r_INSERT_30.html")
            case "returning" if sql[0].word in ("insert", "update", "delete", "with", "merge"):
                yield syntax("returning", "r_INSERT_30.html")
            case "for" if after.word in ("update", "share", "no") and sql[0].word in ("select", "with"):
                yield unsupported("SELECT FOR UPDATE/SHARE", "r_SELECT_synopsis.html")
            case "array" if after.text == "[":
                yield unsupported("array constructor", FEATURES)
            case "row" if after.text == "(":
                yield unsupported("row constructor", FEATURES)
            case "is" if after.word == "distinct" or sql.words(at + 1, "not", "distinct"):
                yield syntax("distinct", FUNCTIONS)
            case "tablesample" | "ordinality":
                yield syntax(token.word, "r_FROM_clause30.html")
            case "except" | "intersect" if after.word == "all":
                yield unsupported(f"{token.word.upper()} ALL", "r_UNION.html")
            case "values" if _is_a_table(sql, at):
                yield unsupported("VALUES list used as constant table", FEATURES)
            case "as" if after.word == "materialized" or sql.words(at + 1, "not", "materialized"):
                if sql[0].word == "with":
                    yield syntax("materialized", "r_WITH_clause.html")
            case "over":
                yield from _frame(sql, at)
            case "similar" | "overlaps" if token.word == "overlaps":
                yield syntax("overlaps", FEATURES)
            case "groups" | "exclude" if _in_frame(sql, at):
                yield syntax(token.word, "r_Window_function_synopsis.html")
        if token.kind == "operator" and token.text == "[" and sql[at - 1].text == "]":
            yield unsupported("array", FEATURES)


def _is_a_table(sql: Sql, at: int) -> bool:
    if sql[at + 1].text != "(":
        return False
    return sql[at - 1].text == "(" or at == 0 or sql[at - 1].word == "as"


def _in_frame(sql: Sql, at: int) -> bool:
    return sql[at + 1].word in ("between", "unbounded", "current", "ties", "group", "no") and sql[at - 1].text != "."


def _frame(sql: Sql, at: int) -> Iterator[Refusal]:
    """Of an OVER clause."""
    if sql[at + 1].text != "(":
        return
    inside = sql.tokens[at + 2 : sql.close(at + 1)]
    words = [token.word for token in inside]
    depth, ordered = 0, False
    for token in inside:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        ordered = ordered or (depth == 0 and token.word == "order")
    framed = "rows" in words or "range" in words
    called = _called_before(sql, at)
    if ordered and not framed and called in FRAMED:
        yield Refusal(
            "Aggregate window functions with an ORDER BY clause require a frame clause",
            FEATURE,
            "r_Window_function_synopsis.html",
        )
    if "distinct" in _arguments_before(sql, at):
        yield unsupported("DISTINCT in a window function", "r_Window_function_synopsis.html")
    if "range" in words and "interval" in words:
        yield unsupported("RANGE with an offset", "r_Window_function_synopsis.html")


def _opening_before(sql: Sql, at: int) -> int:
    """Where the bracket opens that closes right before a place (IGNORE NULLS may stand between)."""
    end = at - 1
    while end > 0 and sql[end].text != ")":
        end -= 1
    depth = 0
    for place in range(end, -1, -1):
        depth += {")": 1, "(": -1}.get(sql[place].text, 0)
        if depth == 0:
            return place
    return 0


def _called_before(sql: Sql, at: int) -> str:
    return sql[_opening_before(sql, at) - 1].word


def _arguments_before(sql: Sql, at: int) -> list[str]:
    first = _opening_before(sql, at)
    return [token.word for token in sql.tokens[first : sql.close(first)]]


@rule
def tables(sql: Sql) -> Iterator[Refusal]:
    """DDL of tables."""
    words = [token.word for token in sql]
    if sql[0].word == "alter" and sql[1].word == "table":
        adds = [at for at in range(len(sql)) if words[at] == "add"]
        if len(adds) > 1 or (adds and any(token.text == "," for token in _top(sql, adds[0]))):
            yield Refusal("ALTER TABLE ADD COLUMN adds one column in each statement", SYNTAX, "r_ALTER_TABLE.html")
        if adds and sql.words(adds[0] + 1, "column", "if"):
            yield syntax("if", "r_ALTER_TABLE.html")
        if "column" in words and "type" in words:
            at = words.index("type")
            if sql[at + 1].word not in ("varchar", "character"):
                yield unsupported("ALTER COLUMN TYPE of a column that is not VARCHAR", "r_ALTER_TABLE.html")
        if "set" in words and "schema" in words:
            yield syntax("schema", "r_ALTER_TABLE.html")
        if words[-2:] in (["not", "null"], ["drop", "default"]) and "alter" in words[1:] and "column" in words:
            yield unsupported("ALTER COLUMN SET NOT NULL", "r_ALTER_TABLE.html")
    if table_name(sql) is None:
        return
    for at, word in enumerate(words):
        after = words[at + 1] if at + 1 < len(words) else ""
        if word == "check" and sql[at + 1].text == "(":
            yield unsupported("CHECK constraint", FEATURES)
        if word == "inherits" or (word == "partition" and after == "by" and "over" not in words):
            yield syntax(word, FEATURES)
        if word == "tablespace" or (word == "on" and after == "commit"):
            yield syntax(word, FEATURES)
        if word == "generated" and "stored" in words:
            yield unsupported("generated column", FEATURES)
    body = table_body(sql)
    if sql.words(1, "table", "if") and body is None and "as" in words:
        yield syntax("as", "r_CREATE_TABLE_AS.html")


def _top(sql: Sql, first: int) -> list[object]:
    """Tokens outside brackets."""
    found, at = [], first
    while at < len(sql):
        if sql[at].text == "(":
            at = sql.close(at)
        else:
            found.append(sql[at])
        at += 1
    return found


@rule
def identifiers(sql: Sql) -> Iterator[Refusal]:
    """Names."""
    for token in sql:
        if token.kind in ("word", "quoted") and len(token.name.encode()) > IDENTIFIER_BYTES:
            yield Refusal(f'identifier "{token.name}" exceeds {IDENTIFIER_BYTES} bytes', "42622", "r_names.html")


@rule
def literals(sql: Sql) -> Iterator[Refusal]:
    """Texts beyond what a VARCHAR holds."""
    for token in sql:
        if token.kind == "string" and len(token.text.encode()) - 2 > 65535 and sql[0].word != "unload":
            yield Refusal("String literal exceeds 65535 bytes", TOO_LONG, "r_Character_types.html")
