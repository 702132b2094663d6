"""Settings that come as tables, one for each thing a source reads: ``[sources.http_json.feeds.rates]``.

dlt takes a whole table from the first place that has one. Here each setting is taken from the first place
that has it, so what is secret can stand in secrets.toml, the rest in config.toml, both in the environment.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

import dlt
import msgspec
from dlt.common.configuration.specs.base_configuration import is_secret_hint

from loaders._core.errors import ConfigurationError
from loaders._core.redact import secret

# It becomes the name of a raw table and of files, and there are names that Windows keeps for itself.
_TAKEN = r"covered|quarantine(?:_resolved)?|con|prn|aux|nul|(?:com|lpt)\d"
_NAME = re.compile(rf"(?!(?:{_TAKEN})$)(?=.{{1,50}}$)[a-z](?:_?[a-z0-9])*")


def kind_of(hint: Any) -> Any:
    """``Feed`` of a setting of the type ``dict[str, Feed]``, which holds tables; None of any other."""
    inner = get_args(hint)[-1:]
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct) else None


def secrets_of(kind: type[Any]) -> set[str]:
    """Which settings of a table of this kind are secrets."""
    hints = get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if is_secret_hint(hint)}


def has_tables(section: str) -> bool:
    """Whether there is any of the tables ``[<section>.<name>]``."""
    listed: Any = dlt.config.get(section)
    return bool(listed) or bool(_in_environment(section))


def tables(section: str, kind: type[Any]) -> dict[str, Any]:
    """The tables ``[<section>.<name>]`` as values of a ``msgspec.Struct``; none if there are none.

    Raises:
        ConfigurationError: a setting is unknown, missing or wrong, or a secret where secrets don't belong.
    """
    secrets = secrets_of(kind)
    found = _in_files(section, secrets)
    for name, table in _in_environment(section).items():
        found[name] = {**found.get(name, {}), **table}
    for name, table in found.items():
        for setting in secrets:
            # Asked for by its full name, places can answer that can't list what they have, such as vaults.
            value: Any = dlt.secrets.get(f"{section}.{name}.{setting}")
            if value:
                table[setting] = secret(str(value))
    return {name: _value(f"{section}.{name}", name, table, kind) for name, table in sorted(found.items())}


def in_environment(*names: str) -> str:
    """The variable of a setting."""
    return "__".join(".".join(names).split(".")).upper()


def each_once(section: str, kind: str, names: Iterable[str]) -> None:
    """No two tables can be of the same thing: what is read for the one would be missing in the other.

    Args:
        kind: what a table is of, such as "queue".
        names: of what each table is.

    Raises:
        ConfigurationError: names those that have two.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ConfigurationError(f"[{section}] has two tables for the {kind} {', '.join(twice)}")


def _in_files(section: str, secrets: set[str]) -> dict[str, dict[str, Any]]:
    *sections, key = section.split(".")
    found: dict[str, dict[str, Any]] = {}
    for place in reversed(dlt.config.config_providers):
        value: Any = place.get_value(key, dict, "", *sections)[0]
        for name, table in _mapping(section, value).items():
            settings = _mapping(f"{section}.{name}", table)
            if not place.supports_secrets and (misplaced := secrets & settings.keys()):
                setting = min(misplaced)
                raise ConfigurationError(
                    f"{section}.{name}.{setting} is a secret and stands in {place.name}, which is kept with"
                    " the code: move it to .dlt/secrets.toml, or to the environment"
                    f" ({in_environment(section, name, setting)})"
                )
            found.setdefault(name, {}).update(settings)
    return found


def _in_environment(section: str) -> dict[str, dict[str, Any]]:
    start = in_environment(section, "")
    found: dict[str, dict[str, Any]] = {}
    for variable in sorted(name for name in os.environ if name.startswith(start)):
        name, _, rest = variable.removeprefix(start).lower().partition("__")
        setting, _, inner = rest.partition("__")
        table, text = found.setdefault(name, {}), os.environ[variable]
        if inner:
            table[setting] = {**_mapping(variable, table.get(setting)), inner: text}
        elif rest:
            table[setting] = _parsed(text)
    return found


def _value(where: str, name: str, table: dict[str, Any], kind: type[Any]) -> Any:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"[{where}] can't have this name, as a table of raw and files will bear it: take lower-case"
            " letters, digits and single underscores, up to 50, and not 'covered', 'quarantine' or a name"
            " that Windows keeps"
        )
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        told = re.sub(r" - at `\$\.?(.*?)`", r" (\1)", str(error))
        about = re.search(r"\((\w+).*\)$", told) or re.search(r"`(\w+)`", told)
        setting = about[1] if about else "..."
        hints = get_type_hints(kind)
        choices = get_args(hints.get(setting))
        if setting not in hints:
            told += f". There are {' '.join(hints)}"
        elif choices and isinstance(choices[0], str):
            told += f". It is one of {', '.join(choices)}"
        raise ConfigurationError(
            f"{where}: {told}. Looked for in the environment ({in_environment(where, setting)}) and in"
            f" .dlt/secrets.toml and .dlt/config.toml of {dlt.current.run_context().run_dir}, where it is put"
            f" under\n  [{where}]"
        ) from None


def _mapping(where: str, value: Any) -> Mapping[str, Any]:
    value = {} if value is None else _parsed(value)
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is no table of settings: write [{where}], and a setting a line")
    return value


def _parsed(value: Any) -> Any:
    """In the environment lists and tables stand as JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
