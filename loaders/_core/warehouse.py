"""The warehouse both tools write to: profiles/profiles.yml says where, as for dbt."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import psycopg2
import yaml

from loaders._core import places
from loaders._core.embedded import HOST, EmbeddedWarehouse
from loaders._core.errors import ConfigurationError

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Target:
    """A target of profiles.yml, rendered.

    Attributes:
        name: the target's name.
        kind: ``postgres`` or ``redshift``.
        options: further libpq options, such as ``sslmode``.
        settings: the target as written, rendered.
    """

    name: str
    kind: str
    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def embedded(self) -> bool:
        """Is it the Postgres that adstar starts by itself?"""
        return self.name == EMBEDDED

    @property
    def clock(self) -> str:
        """SQL for the warehouse's present instant; Redshift has no ``now()`` beside a table."""
        return "getdate()" if self.kind == "redshift" else "now()"

    @property
    def dsn(self) -> str:
        """The place as an address for libpq; it holds the password."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.database, safe='')}"

    def connect(self) -> Any:
        """A new psycopg2 connection.

        Raises:
            ConfigurationError: the warehouse does not answer or refuses the login.
        """
        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password or None,
                dbname=self.database,
                application_name="adstar",
                **{"connect_timeout": 15, **self.options},
            )
        except psycopg2.OperationalError as error:
            raise ConfigurationError(
                f"the warehouse of target {self.name!r} ({self.host}:{self.port}, database {self.database})"
                f" can't be reached: {str(error).strip()}; the target is written in"
                f" {places.profiles() / 'profiles.yml'}"
            ) from None
        connection.autocommit = True
        return connection

    def destination(self) -> Any:
        """The same place as a dlt destination."""
        # dlt is slow to import and the dbt plugin needs none of it.
        if self.kind == "redshift":
            from loaders._core import redshift  # noqa: PLC0415

            return redshift.destination(self)
        from loaders._core.destination import postgres  # noqa: PLC0415

        credentials = {
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "password": self.password,
            "database": self.database,
        }
        if self.options:
            credentials["query"] = {key: str(value) for key, value in self.options.items()}
        return postgres(credentials=credentials)

    def staging(self) -> Any:
        """Where rows wait on their way there, as a dlt destination; None if they need not wait."""
        if self.kind != "redshift":
            return None
        from loaders._core import redshift  # noqa: PLC0415

        return redshift.staging(self)


def ensure_started(name: str | None = None, profiles_dir: Path | None = None) -> Target:
    """The target to work on, its server running if it is the embedded one.

    Args:
        name: of the target; else ``ADSTAR_TARGET``, else the default of profiles.yml.
        profiles_dir: folder of profiles.yml, where dbt was told another one.

    Raises:
        ConfigurationError: no such target, a value is missing, or the embedded server can't start.
    """
    target = resolve(name, profiles_dir)
    if not target.embedded:
        return target
    server = EmbeddedWarehouse(port=target.port)
    server.start()
    return Target(**{**target.__dict__, "password": target.password or server.password})


def stop() -> bool:
    """End the embedded warehouse's server; True if it ran."""
    return EmbeddedWarehouse().stop()


def status() -> dict[str, Any]:
    """What ``EmbeddedWarehouse.status`` says of the embedded warehouse."""
    return EmbeddedWarehouse().status()


def resolve(name: str | None = None, profiles_dir: Path | None = None) -> Target:
    """Read a target from profiles.yml without touching the warehouse; arguments as ``ensure_started``."""
    path = (profiles_dir or places.profiles()) / "profiles.yml"
    try:
        profiles = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {path}; it says where the warehouse is, see profiles/profiles.yml of adstar"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no valid YAML: {error}") from None
    profile = _profile(profiles, path)
    outputs = profile.get("outputs") or {}
    wanted = name or os.environ.get("ADSTAR_TARGET") or str(_render(profile.get("target", EMBEDDED), path))
    if wanted not in outputs:
        raise ConfigurationError(
            f"{path} has no target {wanted!r}; it has {', '.join(sorted(outputs)) or 'none'}"
            " (chosen by --target, ADSTAR_TARGET or the profile's own default)"
        )
    settings = {key: _render(value, path) for key, value in outputs[wanted].items()}
    return _target(wanted, settings, path)


def _profile(profiles: Any, path: Path) -> dict[str, Any]:
    found = {key: value for key, value in (profiles or {}).items() if key != "config"}
    profile = found.get("adstar") or (next(iter(found.values())) if len(found) == 1 else None)
    if not isinstance(profile, dict):
        raise ConfigurationError(f"{path} has no profile 'adstar'")
    return profile


def _target(name: str, settings: dict[str, Any], path: Path) -> Target:
    kind = settings.get("type")
    if kind not in ("postgres", "redshift"):
        raise ConfigurationError(
            f"target {name!r} in {path} has type {kind!r}; adstar loads postgres and redshift"
        )

    def need(*keys: str) -> str:
        for key in keys:
            if settings.get(key) not in (None, ""):
                return str(settings[key])
        raise ConfigurationError(f"target {name!r} in {path} lacks {' or '.join(keys)}")

    passed_on = ("sslmode", "sslcert", "sslkey", "sslrootcert", "connect_timeout", "keepalives_idle")
    return Target(
        name=name,
        kind=kind,
        host=HOST if name == EMBEDDED else need("host"),
        port=int(settings.get("port") or (5439 if kind == "redshift" else 5432)),
        user=need("user"),
        database=need("dbname", "database"),
        password=str(settings.get("password") or settings.get("pass") or ""),
        options={key: settings[key] for key in passed_on if settings.get(key) not in (None, "", 0)},
        settings=settings,
    )


def _render(value: Any, path: Path) -> Any:
    """A value of profiles.yml with its ``{{ env_var(...) }}``, the way dbt renders it."""
    if not isinstance(value, str) or "{" not in value:
        return value

    def env_var(variable: str, default: str | None = None) -> str:
        found = os.environ.get(variable, default)
        if found is None:
            raise ConfigurationError(f"{path} asks for the environment variable {variable}; set it")
        return found

    environment = jinja2.Environment(autoescape=False)  # noqa: S701  (YAML scalars, not HTML)
    environment.filters |= {"as_number": str, "as_native": str, "as_bool": str, "as_text": str}
    return environment.from_string(value).render(env_var=env_var)
