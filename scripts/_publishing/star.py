"""A publish and a rollback: what is to change, and the one transaction that changes it.

Rows are carried over by DML while everybody reads; definitions change at the end. A column that is only new
is added, empty, just before: it is then filled by DML like any other, and no reader ever finds the table
empty.
"""

# ruff: noqa: S608  (what is put into statements are names of relations and columns)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _publishing import PublishError
from _publishing.definitions import Definition, copy, define, query_of
from _publishing.difference import Rows, carry_over, find, undo
from _publishing.engine import Found
from _publishing.ledger import STANDS, Change, Entry, Kind, Ledger, Was
from _publishing.project import Model, Project, Relation
from loaders._core.crash import kill_point
from loaders._core.errors import UsageError

Catalogue = Mapping[Relation, Found]
PARTITION = ("account_key", "date_day")
"""What dbt rebuilds of a fact at a time, so what is replaced of it."""


@dataclass(frozen=True)
class Step:
    """What is to become of one live relation.

    Attributes:
        kind: ``rows`` are carried over, or it is ``made`` anew, or ``dropped``.
        was: what it is until then.
        adds: columns that it gets beforehand, with their types.
    """

    model: Model
    kind: Kind
    was: Was
    adds: tuple[tuple[str, str], ...] = ()


class Publication:
    """One publish, by the holder of the turn."""

    def __init__(self, project: Project, ledger: Ledger, number: int, *, whole: bool = False) -> None:
        """Look at what there is.

        Args:
            project: what is published.
            ledger: where it is noted.
            number: of this publish.
            whole: compare every row of a fact, not only its partitions that were built since.
        """
        self.project = project
        self.ledger = ledger
        self.number = number
        self.whole = whole
        self.engine = ledger.engine
        self.published = ledger.published()
        models = (*project.models, project.partitions)
        schemas = {relation.schema for model in models for relation in (model.side, model.live)}
        with ledger.cursor() as cursor:
            self.catalogue: Catalogue = self.engine.catalogue(cursor, sorted(schemas))

    @property
    def gone(self) -> list[Relation]:
        """What was published, is read, and is no longer in the project."""
        known = {model.live for model in self.project.models}
        return [live for live in self.published if live in self.catalogue and live not in known]

    def plan(self) -> list[Step]:
        """What is to be done, in the order of the project; a table has a step also if all its rows are equal.

        Raises:
            PublishError: something that is read was not built.
        """
        steps = []
        for model in self.project.models:
            live, side = self.catalogue.get(model.live), self.catalogue.get(model.side)
            if side is None:
                if live is not None:
                    raise PublishError(
                        f"{model.live} is read, and dbt has not built {model.side}; build all that is read"
                    )
            elif model.query:
                if self.published.get(model.live) != model.query:
                    steps.append(Step(model, "made", _what(live)))
            elif live is None or live.is_view or not live.columns.items() <= side.columns.items():
                steps.append(Step(model, "made", _what(live)))
            else:
                new = tuple(item for item in side.columns.items() if item[0] not in live.columns)
                steps.append(Step(model, "rows", "table", new))
        for live_relation in self.gone:
            model = Model(live_relation.name, live_relation, live_relation)
            steps.append(Step(model, "dropped", _what(self.catalogue[live_relation])))
        return steps

    def make_schemas(self) -> None:
        """The schemas that are read exist."""
        for schema in {model.live.schema for model in self.project.models}:
            self.ledger.query(f'create schema if not exists "{schema}"')

    def widen(self, cursor: Any, steps: Iterable[Step]) -> None:
        """Add the columns that are only new, empty; in a transaction of its own: it locks readers out."""
        for step in steps:
            live = step.model.live
            # Redshift adds one column with each statement.
            added = [
                f'alter table {live} add column "{name}" {kind.replace("character varying", "varchar")}'
                for name, kind in step.adds
            ]
            if added:
                self.engine.patiently(cursor, added, [live])

    def publish(self, cursor: Any, steps: Sequence[Step]) -> list[Change]:
        """Make the live star that of the side, in the transaction of the cursor; returns what has changed."""
        self.engine.tune(cursor)
        partitions = self.project.partitions
        changes: list[Change] = []
        rebuilt = None
        knows = "built_by" in self.catalogue.get(partitions.side, Found(False, {})).columns
        if knows:
            changes += self._carry_over(cursor, partitions, partitions.side)
            rebuilt = changes[0].kept if changes else None
        for step in steps:
            if step.kind != "rows":
                continue
            if step.model.in_partitions and knows and not self.whole and not step.adds:
                changes += self._carry_over_partitions(cursor, step.model, rebuilt)
            else:
                changes += self._carry_over(cursor, step.model, self._source(cursor, step.model))
        kill_point("publish.rows")
        redefined = [step for step in steps if step.kind != "rows"]
        changes += [self._keep(cursor, step) for step in redefined]
        define(
            cursor,
            self.engine,
            {step.model.live: step.was for step in redefined},
            [
                Definition(
                    step.model.live,
                    None if step.model.query else self._source(cursor, step.model),
                    step.model.query,
                )
                for step in redefined
                if step.kind == "made"
            ],
            self.published,
        )
        kill_point("publish.definitions")
        if changes:
            self._note(cursor, changes)
        return changes

    def settle(self, steps: Iterable[Step], changes: Iterable[Change]) -> None:
        """Statistics and indexes of what has changed, after the commit."""
        changed = {change.live for change in changes}
        with self.ledger.cursor() as cursor:
            for step in steps:
                if step.model.live in changed and step.kind != "dropped" and not step.model.query:
                    self.engine.settle(cursor, step.model.side, step.model.live)

    def _source(self, cursor: Any, model: Model) -> Relation:
        """Where the rows of a model are read, several times: a view's are written down first."""
        if not self.catalogue[model.side].is_view:
            return model.side
        rows = Relation("", f"{model.name}_now")
        cursor.execute(f"create temporary table {rows} as select * from {model.side}")
        return rows

    def _rows(self, model: Model) -> Rows:
        """The live table with the columns that it has by now: those of the side."""
        if model is self.project.partitions:
            return Rows.of(model.live, self.catalogue[model.live].columns, ("fact_name", *PARTITION))
        columns = self.catalogue[model.side].columns
        return Rows.of(model.live, columns, PARTITION if model.in_partitions else ())

    def _carry_over(
        self, cursor: Any, model: Model, source: Relation, among: tuple[Relation, Rows] | None = None
    ) -> list[Change]:
        rows, kept = self._rows(model), self._kept(model)
        if not find(cursor, groups_of(kept), source, rows, among):
            return []
        removed, added = carry_over(cursor, groups_of(kept), kept, source, rows)
        return [Change(model.name, model.live, "rows", removed, added, kept, "table")]

    def _carry_over_partitions(self, cursor: Any, model: Model, rebuilt: Relation | None) -> list[Change]:
        """Only what dbt has built since; the sums tell whether that was all."""
        changes = []
        if rebuilt is not None:
            among = self._rebuilt(cursor, model, rebuilt)
            changes = self._carry_over(cursor, model, model.side, (among, self._rows(model)))
        if self._sums(cursor, model.side, model) == self._sums(cursor, model.live, model):
            return changes
        for change in changes:
            assert change.kept
            undo(cursor, groups_of(change.kept), change.kept, self._rows(model), change.added or 0)
            drop_kept(cursor, change)
        return self._carry_over(cursor, model, model.side)

    def _rebuilt(self, cursor: Any, model: Model, rebuilt: Relation) -> Relation:
        """The partitions of a fact of which dbt's notes are not those of the last publish."""
        table = Relation("", f"{model.name}_rebuilt")
        cursor.execute(
            f"create temporary table {table} as select account_key, date_day from {groups_of(rebuilt)}"
            f" where fact_name = '{model.name}'"
        )
        return table

    def _sums(self, cursor: Any, table: Relation, model: Model) -> Any:
        numbers = [
            f'sum("{name}")'
            for name, kind in self._rows(model).columns.items()
            if kind.startswith(("bigint", "integer", "numeric"))
        ]
        cursor.execute(f"select {', '.join(['count(*)', *numbers])} from {table}")
        return cursor.fetchone()

    def _keep(self, cursor: Any, step: Step) -> Change:
        """What it takes to make a relation again that is dropped or made anew."""
        live, kept, rows, query = step.model.live, None, None, None
        if step.was == "view":
            query = query_of(cursor, live)
        elif step.was == "table":
            kept = self._kept(step.model)
            rows = copy(cursor, self.engine, kept, live)
        return Change(step.model.name, live, step.kind, rows, None, kept, step.was, query)

    def _note(self, cursor: Any, changes: Sequence[Change]) -> None:
        # Where there was no star, undoing would leave people with none.
        partitions = self.project.partitions.live
        was_there = any(each.was != "nothing" for each in changes if each.live != partitions)
        is_kept = was_there or bool(self.published)
        for each in changes:
            if not is_kept:
                drop_kept(cursor, each)
        self.ledger.note_changes(cursor, self.number, changes if is_kept else ())
        live = {model.live: model.query for model in self.project.models if model.side in self.catalogue}
        self.ledger.note_published(cursor, self.number, live)
        cursor.execute(
            f"update {self.ledger.table('publishes')} set is_kept = %s where number = %s",
            [is_kept, self.number],
        )

    def _kept(self, model: Model) -> Relation:
        return self.ledger.table(f"{model.name}_{self.number}")


def prune(ledger: Ledger, keep: int) -> None:
    """Drop what all but the newest publishes have kept: they can't be undone from then on."""
    for entry in ledger.entries("is_kept")[keep:]:
        ledger.query(f"update {ledger.table('publishes')} set is_kept = false where number = {entry.number}")
        with ledger.cursor() as cursor:
            for change in ledger.changes(entry.number):
                drop_kept(cursor, change)


def groups_of(kept: Relation) -> Relation:
    """The table of the groups that were replaced, beside the one of the rows that they had."""
    return Relation(kept.schema, f"{kept.name}_groups")


def drop_kept(cursor: Any, change: Change) -> None:
    """What would undo a change is no longer wanted."""
    if change.kept:
        cursor.execute(f"drop table if exists {change.kept}")
        cursor.execute(f"drop table if exists {groups_of(change.kept)}")


def newest(ledger: Ledger) -> Entry:
    """The publish that a rollback would undo.

    Raises:
        UsageError: there is none, or what would undo it is not kept.
    """
    entries = ledger.entries(STANDS)
    if not entries:
        raise UsageError("nothing is published that could be undone")
    if not entries[0].is_kept:
        raise UsageError(
            f"publish {entries[0].number} can't be undone: there was no star before it, or what it took away"
            " is no longer kept (`keep` in dbt_project/publish.yml)"
        )
    return entries[0]


def rollback(cursor: Any, ledger: Ledger, number: int, undone: Entry) -> list[Change]:
    """Undo a publish, as number `number`, in the transaction of the cursor; returns what it had changed."""
    engine = ledger.engine
    engine.tune(cursor)
    changes = ledger.changes(undone.number)
    there = engine.catalogue(cursor, {ledger.schema} | {change.live.schema for change in changes})
    replaced: dict[Relation, Was] = {}
    definitions = []
    for change in changes:
        if change.kind == "rows" and change.kept:
            groups = groups_of(change.kept)
            columns = there[change.kept].columns
            rows = Rows(change.live, columns, [name for name in there[groups].columns if name in columns])
            undo(cursor, groups, change.kept, rows, change.added or 0)
            continue
        replaced[change.live] = _what(there.get(change.live))
        if change.was != "nothing":
            definitions.append(Definition(change.live, change.kept, change.was_query))
    define(cursor, engine, replaced, definitions, ledger.published())
    kill_point("rollback.rows")
    cursor.execute(
        f"update {ledger.table('publishes')} set undone_by = %s, is_kept = false where number = %s",
        [number, undone.number],
    )
    for change in changes:
        drop_kept(cursor, change)
    return changes


def _what(found: Found | None) -> Was:
    if found is None:
        return "nothing"
    return "view" if found.is_view else "table"
