"""Which sources there are, which of them are configured, and with what."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.typing import is_optional_type

import loaders
from loaders._core.declare import Loader, Settings
from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.tables import has_tables, in_environment, kind_of, tables


def available() -> dict[str, Loader]:
    """Every loader: the modules of the package ``loaders`` that have a ``LOADER``, by name."""
    return {name: loader for name in _modules() if (loader := _loader(name))}


def named(name: str) -> Loader:
    """The loader of that name; other loaders' modules, and what they import, stay unloaded.

    Raises:
        UsageError: there is none; says which there are.
    """
    loader = _loader(name) if name in _modules() else None
    if loader is None:
        raise UsageError(f"there is no source {name!r}; there are {', '.join(available())}")
    return loader


def _modules() -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(loaders.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def _loader(name: str) -> Loader | None:
    found = getattr(importlib.import_module(f"loaders.{name}"), "LOADER", None)
    return found if isinstance(found, Loader) else None


def required_secrets(loader: Loader) -> list[str]:
    """The secret settings without which a source can't be read."""
    return [
        name for name, hint in _hints(loader).items() if is_secret_hint(hint) and not is_optional_type(hint)
    ]


def required_tables(loader: Loader) -> dict[str, type[Any]]:
    """The settings that hold tables, such as one for each feed, and the kind of those tables."""
    return {name: kind for name, hint in _hints(loader).items() if (kind := kind_of(hint))}


def is_configured(loader: Loader) -> bool:
    """Is at least one of the required settings there? Then the rest is asked for, too."""
    section = f"sources.{loader.name}"
    return any(dlt.secrets.get(f"{section}.{name}") for name in required_secrets(loader)) or any(
        has_tables(f"{section}.{name}") for name in required_tables(loader)
    )


def _hints(loader: Loader) -> dict[str, Any]:
    return dict(loader.settings.get_resolvable_fields())


def settings_of(loader: Loader) -> Settings:
    """A source's settings.

    Raises:
        ConfigurationError: one is missing or no value of its kind; says which, where it was looked for,
            and where to put it.
    """
    section = f"sources.{loader.name}"
    given = {name: tables(f"{section}.{name}", kind) for name, kind in required_tables(loader).items()}
    try:
        return resolve_configuration(
            loader.settings(), sections=("sources", loader.name), explicit_value=given or None
        )
    except ConfigFieldMissingException as error:
        missing = sorted(error.traces)
        names = " and ".join(f"{section}.{name}" for name in missing)
        example = missing[0]
        variables = ", ".join(_variable(loader.name, name) for name in missing)
        raise ConfigurationError(
            f"{names} {'are' if len(missing) > 1 else 'is'} not set; looked for in the environment"
            f" ({variables}) and in .dlt/secrets.toml and .dlt/config.toml of"
            f" {dlt.current.run_context().run_dir}. Put there:\n"
            f'  [{section}]\n  {example} = "..."'
        ) from None
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting of [{section}] is wrong: {error}") from None


def missing_everything(loader: Loader) -> str:
    """What to say of a source that was asked for by name and is not configured."""
    for name in required_tables(loader):
        return (
            f"{loader.name} is not configured: it needs a table [sources.{loader.name}.{name}.<name>] in"
            f" .dlt/config.toml, or in the environment ({_variable(loader.name, name)}__<NAME>__..., ...)"
        )
    needed = ", ".join(required_secrets(loader))
    variable = _variable(loader.name, (required_secrets(loader) or ["..."])[0])
    return (
        f"{loader.name} is not configured: it needs {needed} under [sources.{loader.name}]"
        f" in .dlt/secrets.toml, or in the environment ({variable}, ...)"
    )


def _variable(source: str, name: str) -> str:
    return in_environment("sources", source, name)
