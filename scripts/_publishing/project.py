"""What there is to publish, read from dbt's manifest, and the bounds of the audit."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from loaders._core.errors import ConfigurationError

SIDE = "next_"
DAY, MONEY, COUNT = "date", "numeric(38,9)", "bigint"


@dataclass(frozen=True)
class Relation:
    """A table or view; without a schema it is a temporary one of this session."""

    schema: str
    name: str

    def __str__(self) -> str:
        """As SQL."""
        return f'"{self.schema}"."{self.name}"' if self.schema else f'"{self.name}"'


@dataclass(frozen=True)
class Model:
    """What dbt builds at `side` and people read at `live`.

    Attributes:
        is_mart: judged by the audit.
        contract: type of each column, as the model's YAML has it; empty where it has none.
        in_partitions: dbt rebuilds (account_key, date_day) of it, and notes which.
        query: what it selects from what is live, if it can be a view there; else it is a table.
    """

    name: str
    side: Relation
    live: Relation
    is_mart: bool = False
    contract: Mapping[str, str] = field(default_factory=dict)
    in_partitions: bool = False
    query: str | None = None

    @property
    def is_fact(self) -> bool:
        """Can its rows be added up?"""
        return self.name.startswith(("fact_", "bridge_"))

    @property
    def day(self) -> str | None:
        """The column that says which day a fact's row is about: the first date of its contract."""
        return next((name for name, kind in self.contract.items() if self.is_fact and kind == DAY), None)


@dataclass(frozen=True)
class Bounds:
    """How much a mart may differ: rows in number (`few`), else percent; None is no bound."""

    few: int
    rows_fall: float | None
    rows_rise: float | None
    sums_fall: float | None
    sums_rise: float | None


@dataclass(frozen=True)
class Settings:
    """dbt_project/publish.yml."""

    keep: int
    unpublished: frozenset[str]
    open_days: int
    slices: tuple[str, ...]
    not_additive: frozenset[str]
    bounds: Mapping[str, Bounds]

    def bounds_of(self, model: Model) -> Bounds:
        """Those of a mart, else those of all."""
        return self.bounds.get(model.name, self.bounds["default"])

    def measures(self, model: Model) -> list[str]:
        """The columns that a fact is audited by: counts and money of its contract."""
        return [
            name
            for name, kind in model.contract.items()
            if model.is_fact
            and kind in (MONEY, COUNT)
            and not name.endswith("_key")
            and name not in self.not_additive
        ]

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read the file.

        Raises:
            ConfigurationError: it is missing, or something in it has no meaning.
        """
        try:
            told = yaml.safe_load(path.read_text())
            bounds = dict(told["bounds"])
            default = bounds.pop("default")
            return cls(
                keep=int(told["keep"]),
                unpublished=frozenset(told["unpublished"]),
                open_days=int(told["open_days"]),
                slices=tuple(told["slices"]),
                not_additive=frozenset(told["not_additive"]),
                bounds={"default": _bounds(default)}
                | {name: _bounds({**default, **own}) for name, own in bounds.items()},
            )
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the bounds of publishing can't be read: {type(error).__name__}: {error}; compare with"
                " docs/runbooks/publish.md",
                where=str(path),
            ) from None


def _bounds(told: Mapping[str, Any]) -> Bounds:
    known = {each.name for each in fields(Bounds)}
    if set(told) != known:
        raise ValueError(f"bounds are {', '.join(sorted(known))}; {', '.join(sorted(set(told) ^ known))}?")
    return Bounds(
        int(told["few"]),
        *(
            None if told[name] is None else float(told[name])
            for name in ("rows_fall", "rows_rise", "sums_fall", "sums_rise")
        ),
    )


def ledger_schema(prefix: str) -> str:
    """The schema of what publishing keeps for itself."""
    return f"{prefix}published"


@dataclass(frozen=True)
class Project:
    """All that is published, in an order in which views come after what they read.

    Attributes:
        build_id: of the dbt command that wrote the manifest.
        partitions: dbt's table of built partitions, which is published like a mart.
    """

    build_id: str
    models: tuple[Model, ...]
    partitions: Model

    @classmethod
    def read(cls, manifest: Path, prefix: str, unpublished: Collection[str] = ()) -> Project:
        """Read dbt's manifest of a build into the side schemas.

        Args:
            manifest: manifest.json.
            prefix: before the name of every schema that is read (``ADSTAR_SCHEMA_PREFIX``, usually nothing).
            unpublished: reports to leave out.

        Raises:
            ConfigurationError: there is none, it is that of another build, or it has no such report.
        """
        try:
            told = json.loads(manifest.read_text())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"what dbt has built can't be read ({error}); run scripts/publish without --built",
                where=str(manifest),
            ) from None
        nodes: dict[str, Any] = told["nodes"]
        found = {
            id_: node
            for id_, node in nodes.items()
            if node["resource_type"] == "model" and node["fqn"][1] in ("marts", "reports")
        }
        left_out = {
            id_ for id_, node in found.items() if node["fqn"][1] == "reports" and node["name"] in unpublished
        }
        if unknown := set(unpublished) - {found.pop(id_)["name"] for id_ in left_out}:
            raise ConfigurationError(
                f"dbt_project/publish.yml leaves out {', '.join(sorted(unknown))}: there is no such report"
            )
        # A seed is small; published as well it lets a report that reads it stay a view.
        for node in list(found.values()):
            if node["fqn"][1] == "reports":
                reads = node["depends_on"]["nodes"]
                found |= {id_: nodes[id_] for id_ in reads if id_.startswith("seed.")}
        foreign = {node["schema"] for node in found.values() if not node["schema"].startswith(prefix + SIDE)}
        if foreign or not found:
            raise ConfigurationError(
                f"this manifest is of a build into {', '.join(sorted(foreign)) or 'nothing'}, not into"
                f" {prefix}{SIDE}*; build with ADSTAR_SCHEMA_PREFIX={prefix}{SIDE}",
                where=str(manifest),
            )
        live = {
            id_: Relation(prefix + node["schema"].removeprefix(prefix + SIDE), node["alias"])
            for id_, node in found.items()
        }
        models = [
            Model(
                name=node["name"],
                side=Relation(node["schema"], node["alias"]),
                live=live[id_],
                is_mart=node["fqn"][1] == "marts",
                contract={
                    name: column["data_type"]
                    for name, column in node["columns"].items()
                    if column.get("data_type")
                },
                in_partitions=node["config"].get("incremental_strategy") == "rebuilt_partitions",
                query=_live_query(node, found, live, prefix + SIDE),
            )
            for id_, node in _in_order(found)
        ]
        return cls(
            told["metadata"]["invocation_id"],
            tuple(models),
            Model(
                name="built_partitions",
                side=Relation(f"{prefix}{SIDE}intermediate", "built_partitions"),
                live=Relation(ledger_schema(prefix), "built_partitions"),
            ),
        )


def _in_order(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Each node after those that it reads."""
    ordered: dict[str, Any] = {}

    def add(id_: str) -> None:
        if id_ in found and id_ not in ordered:
            for read in found[id_]["depends_on"].get("nodes", ()):
                add(read)
            ordered[id_] = found[id_]

    for id_ in sorted(found):
        add(id_)
    return list(ordered.items())


def _live_query(
    node: Mapping[str, Any], found: Mapping[str, Any], live: Mapping[str, Relation], side: str
) -> str | None:
    """What a view selects, said of the live relations; None if it reads anything that is not published.

    Such a view would be ahead of the star: what is beneath the marts changes when dbt builds or rows land.
    """
    query = node.get("compiled_code")
    reads = node["depends_on"].get("nodes", ())
    if node["config"]["materialized"] != "view" or not query or not reads or not set(reads) <= set(found):
        return None
    for id_ in reads:
        query = query.replace(found[id_]["relation_name"], str(live[id_]))
    return None if side in query else str(query)
