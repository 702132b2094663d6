"""Writes marts as Parquet to a folder or to S3, only what has changed. Run by scripts/export.

Each export of a mart writes into a folder of its own, and the mart's manifest, written last, says which files
are the mart. Facts and bridges are written by month, dimensions whole. A month of which the same rows are
there already, from the export before, one that was killed or one before a rollback, is not written again: the
manifest names the files that are there. Files that no manifest of the last days names are removed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import yaml
from _exporting.manifest import (
    COPY,
    FORMAT,
    MANIFEST,
    NOTE,
    Column,
    Manifest,
    Note,
    Part,
    Shape,
    State,
    added,
    known_parts,
    read_manifest,
    written,
)
from _exporting.places import NEW, Overtaken, Place, PlaceError, open_place

from loaders._core import places
from loaders._core.crash import kill_point
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.warehouse import Target, ensure_started

POINTS = (
    "export.read",
    "export.file_written",
    "export.part_noted",
    "export.parts_written",
    "export.copy_written",
    "export.manifest_written",
    "export.removing",
)
"""Where a test may have the process killed."""
OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
_MOMENT = "%Y%m%dT%H%M%S%fZ"
_BY_MONTH = ("fact_", "bridge_")
NOTHING = State(partition=None, rows=0, token="0")  # noqa: S106
"""A mart that has months, and no rows."""


class Snapshot(Protocol):
    """One state of a mart; see ``_exporting.postgres.Snapshot``."""

    columns: tuple[Column, ...]
    publish: int | None

    def states(self, partitioned_by: str | None) -> list[State]:
        """What its parts hold."""

    def write(
        self, states: list[State], partitioned_by: str | None, place: Place, folder: str, export: str
    ) -> Iterable[Part]:
        """Write parts, and give each when it is whole."""


class Engine(Protocol):
    """A warehouse that marts are read from; see ``_exporting.postgres.Postgres``."""

    def marts(self, schema: str) -> list[str]:
        """What there is to export."""

    def snapshot(self, schema: str, mart: str) -> AbstractContextManager[Any]:
        """One state of a mart."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Export:
    """What all marts of an export have in common.

    Attributes:
        schema: that of the marts; also the folder of the place that holds them.
        keep: for how long files stay after a newer manifest has left them out.
        project: dbt's folder, whose models may say by which column to split a mart.
        now: the clock, in UTC.
    """

    engine: Engine
    place: Place
    schema: str
    source: dict[str, str]
    keep: timedelta
    project: Path
    now: Callable[[], datetime] = _now

    def run(self, mart: str) -> tuple[Manifest, list[Part]]:
        """Export a mart.

        Returns:
            Its manifest, and the parts that were written for it.

        Raises:
            ExportError: the mart can't be exported as it is.
            PlaceError: the place can't be read or written.
            Overtaken: another export has published the mart meanwhile.
        """
        folder = f"{self.schema}/{mart}"
        where = f"{self.place.url}/{folder}/{MANIFEST}"
        # Read before the mart is: if another export publishes from now on, this one will not.
        found = self.place.read(f"{folder}/{MANIFEST}")
        former = read_manifest(found[0], where) if found else None
        begun = self.now()
        export = new_name(begun, former)
        with self.engine.snapshot(self.schema, mart) as snapshot:
            kill_point("export.read")
            shape = Shape(
                columns=snapshot.columns,
                partitioned_by=partition_column(mart, snapshot.columns, self.project),
            )
            states = snapshot.states(shape.partitioned_by) or [NOTHING]
            known = self._known(folder, shape)
            missing = [state for state in states if (state.partition, state.token) not in known]
            new = []
            for part in snapshot.write(missing, shape.partitioned_by, self.place, folder, export):
                note = Note(columns=shape.columns, partitioned_by=shape.partitioned_by, part=part)
                self.place.write(f"{folder}/{export}/{part.folder}{NOTE}", written(note))
                new.append(part)
                kill_point("export.part_noted")
        known |= {(part.partition, part.token): part for part in new}
        parts = tuple(known[state.partition, state.token] for state in states)
        kill_point("export.parts_written")
        manifest = Manifest(
            columns=shape.columns,
            partitioned_by=shape.partitioned_by,
            format=FORMAT,
            mart=mart,
            export=export,
            exported_at=begun.isoformat(),
            source=self.source,
            publish=snapshot.publish,
            rows=sum(part.rows for part in parts),
            sums=added(parts),
            parts=parts,
        )
        self._publish(folder, manifest, found[1] if found else NEW)
        kill_point("export.manifest_written")
        self._tidy(folder, manifest)
        return manifest, new

    def _known(self, folder: str, shape: Shape) -> dict[tuple[str | None, str], Part]:
        """The parts that are there whole, by month and token, whichever export has written them."""
        there = self.place.list(folder)
        known: dict[tuple[str | None, str], Part] = {}
        for path in sorted(there):
            if path.rpartition("/")[2] in (MANIFEST, COPY, NOTE) and (
                told := self.place.read(f"{folder}/{path}")
            ):
                for part in known_parts(told[0], shape):
                    if all(there.get(file.path) == file.bytes for file in part.files):
                        known[part.partition, part.token] = part
        return known

    def _publish(self, folder: str, manifest: Manifest, former: str) -> None:
        there = self.place.list(folder)
        lost = sorted(path for path in manifest.paths if path not in there)
        if lost:
            raise PlaceError(
                f"{len(lost)} files of {manifest.mart} have gone from {self.place.url}/{folder} while it was"
                f" exported, such as {lost[0]}; does a rule of the bucket remove them? The manifest is as it"
                " was; run scripts/export again"
            )
        body = written(manifest)
        self.place.write(f"{folder}/{manifest.export}/{COPY}", body)
        kill_point("export.copy_written")
        try:
            self.place.write(f"{folder}/{MANIFEST}", body, replacing=former)
        except Overtaken:
            raise Overtaken(
                f"another export of {manifest.mart} has published while this one ran, so this one has not;"
                " what it has written will be used. Let one export run at a time; run scripts/export again"
            ) from None

    def _tidy(self, folder: str, manifest: Manifest) -> None:
        """Remove what no manifest names that counts, or did so until not longer ago than ``keep``."""
        since = self.now() - self.keep
        there = self.place.list(folder)
        # The manifests that have counted, the newest first; each until the next one did.
        copies = sorted((path.partition("/")[0] for path in there if path.endswith(f"/{COPY}")), reverse=True)
        past = [name for name in copies if name < manifest.export]
        ends = [manifest.export, *past]
        wanted = {MANIFEST, f"{manifest.export}/{COPY}", *manifest.paths}
        for name, end in zip(past, ends, strict=False):
            path = f"{name}/{COPY}"
            if (moment(end) or since) > since and (told := self.place.read(f"{folder}/{path}")):
                wanted |= {path, *read_manifest(told[0], path).paths}
        finished = {manifest.export, *past}
        doomed = [
            path
            for path in there
            if path not in wanted
            and (written_at := moment(path.partition("/")[0]))
            and (path.partition("/")[0] in finished or written_at <= since)
        ]
        # What leads to files goes before them, so that a part that is told of is there.
        leading = [path for path in doomed if path.endswith((f"/{COPY}", f"/{NOTE}"))]
        try:
            for paths in (leading, [path for path in doomed if path not in leading]):
                self.place.remove(f"{folder}/{path}" for path in paths)
                kill_point("export.removing")
        except PlaceError as error:
            raise PlaceError(
                f"{manifest.mart} is exported, but what is out of date could not be removed: {error}"
            ) from None


def new_name(now: datetime, former: Manifest | None) -> str:
    """A name for an export, greater than the former's whatever the clock says, and nobody else's."""
    before = moment(former.export) if former else None
    if before and now <= before:
        now = before + timedelta(microseconds=1)
    return f"{now.strftime(_MOMENT)}-{secrets.token_hex(4)}"


def moment(export: str) -> datetime | None:
    """When an export of this name began; None if it is no such name."""
    try:
        return datetime.strptime(export.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def partition_column(mart: str, columns: tuple[Column, ...], project: Path) -> str | None:
    """The date by whose months a mart is split.

    That is what its model says (`config: {meta: {export_by: sold_date}}`), else, of a fact or a bridge,
    `date_day` or the first date that it has. None: it is written whole.

    Raises:
        ConfigurationError: the model names a column that the mart does not have, or that is no date.
    """
    dates = [column.name for column in columns if column.type == "date"]
    path = project / "models" / "marts" / f"{mart}.yml"
    models = yaml.safe_load(path.read_text()).get("models", ()) if path.exists() else ()
    for model in models:
        told = (model.get("config") or {}).get("meta", {}).get("export_by")
        if model["name"] == mart and told:
            if told not in dates:
                raise ConfigurationError(
                    f"{path.name} says that {mart} is exported by {told}, which is no date of it; its dates"
                    f" are {', '.join(dates) or 'none'}"
                )
            return str(told)
    if not mart.startswith(_BY_MONTH) or not dates:
        return None
    return "date_day" if "date_day" in dates else dates[0]


def main(arguments: list[str] | None = None) -> int:
    """Export what the command line says; the exit code: 3 if some marts could not be exported, 1 if none."""
    asked = ask(arguments)
    try:
        export = prepare(asked.target, asked.to, asked.keep_days)
        marts = chosen(asked.marts, export.engine.marts(export.schema), export.schema)
    except AdstarError as error:
        print(f"scripts/export: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    print(f"{export.schema} to {export.place.url}")
    failed = 0
    for mart in marts:
        began = time.monotonic()
        try:
            manifest, new = export.run(mart)
        except AdstarError as error:
            failed += 1
            print(f"scripts/export: {mart}: {error}", file=sys.stderr, flush=True)
            continue
        size = sum(file.bytes for part in new for file in part.files) / 1e6
        print(
            f"{mart:32} {manifest.rows:>13,} rows  {len(new)} of {len(manifest.parts)} parts written,"
            f" {size:,.1f} MB  {time.monotonic() - began:.1f} s",
            flush=True,
        )
    return OK if not failed else PARTIAL if failed < len(marts) else FAILED


def ask(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/export", description=__doc__)
    parser.add_argument(
        "marts", nargs="*", metavar="MART", help="such as fact_ad_performance; all if none is named"
    )
    parser.add_argument("--target", help="of profiles.yml; else ADSTAR_TARGET")
    parser.add_argument(
        "--to",
        metavar="URL",
        help="a folder or s3://bucket/prefix; else ADSTAR_EXPORT_URL, else .adstar/export",
    )
    parser.add_argument(
        "--keep-days",
        metavar="DAYS",
        help="files left out for so long are removed; else ADSTAR_EXPORT_KEEP_DAYS (7)",
    )
    return parser.parse_args(arguments)


def prepare(target_name: str | None = None, to: str | None = None, keep_days: str | None = None) -> Export:
    """The export that settings describe.

    Raises:
        ConfigurationError: a setting is wrong, or the warehouse can't be reached.
    """
    url = to or os.environ.get("ADSTAR_EXPORT_URL") or str(places.state() / "export")
    place = open_place(url, os.environ.get("ADSTAR_EXPORT_KMS_KEY_ID", ""))
    days = keep_days or os.environ.get("ADSTAR_EXPORT_KEEP_DAYS") or "7"
    try:
        keep = timedelta(days=float(days))
    except (ValueError, OverflowError):
        keep = timedelta(days=-1)
    if keep < timedelta(0):
        raise ConfigurationError(
            f"ADSTAR_EXPORT_KEEP_DAYS (or --keep-days) is {days!r}; it is a number of days"
        )
    target = ensure_started(target_name)
    return Export(
        engine=engine(target, place),
        place=place,
        schema=f"{os.environ.get('ADSTAR_SCHEMA_PREFIX', '')}marts",
        source={"kind": target.kind, "target": target.name, "host": target.host, "database": target.database},
        keep=keep,
        project=places.home() / "dbt_project",
    )


def engine(target: Target, place: Place) -> Engine:
    """How the marts of a target are read."""
    if target.kind == "redshift":
        from _exporting.redshift import Redshift  # noqa: PLC0415

        return Redshift(target, place)
    from _exporting.postgres import Postgres  # noqa: PLC0415

    return Postgres(target)


def chosen(asked: list[str], there: list[str], schema: str) -> list[str]:
    """The marts to export.

    Raises:
        UsageError: one that is asked for is not there.
        ConfigurationError: there is none at all.
    """
    if not there:
        raise ConfigurationError(
            f"there is no table in the schema {schema} that this login may read; has `dbt build` run, and is"
            " ADSTAR_SCHEMA_PREFIX that of the build?"
        )
    if unknown := sorted(set(asked) - set(there)):
        raise UsageError(f"{schema} has no {', '.join(unknown)}; it has {', '.join(there)}")
    return list(dict.fromkeys(asked)) or there


if __name__ == "__main__":
    sys.exit(main())
