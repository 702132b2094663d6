"""What can be said of a feed in settings, checked for sense, and the requests that follow from it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from dlt.common.typing import TSecretStrValue

from loaders._core.declare import Window
from loaders._core.feeds.formats import Form, Format, Limits, form_of
from loaders._core.pages import Path
from loaders._core.privacy.values import Personal
from loaders._core.redact import is_secret_name, secret

Auth = Literal["none", "bearer", "header", "basic", "query"]
Paging = Literal["none", "body_link", "header_link", "page", "offset", "cursor"]
Positive = Annotated[int, msgspec.Meta(ge=1)]
_ANY_DAY = Window(date(2000, 1, 1), date(2000, 1, 1))
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ACCEPT = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of records at one address; docs/runbooks/http-feeds.md says what each setting means."""

    url: str
    params: dict[str, str | int] = {}
    format: Format = "json"
    delimiter: str = ","
    records: str = ""
    date: str = ""
    columns: tuple[str, ...] = ()
    personal: dict[str, Personal] = {}
    timezone: str = "UTC"
    days_per_request: Positive = 31
    auth: Auth = "none"
    auth_name: str = ""
    secret: TSecretStrValue | None = None
    paging: Paging = "none"
    next: str = ""
    page_param: str = ""
    first_page: int = 1
    max_pages: Positive = 10_000
    max_megabytes: Positive = 64
    max_ratio: Positive = 200

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: with the setting in backquotes, and what it should be.
        """
        for wrong, why in self._doubts():
            if wrong:
                raise ValueError(why)
        try:
            self.address(_ANY_DAY)
        except (AttributeError, LookupError, ValueError):
            raise ValueError("`params` or url have another placeholder than {since} and {until}") from None
        try:
            ZoneInfo(self.timezone)
        except (OSError, KeyError, ValueError):
            raise ValueError("`timezone` is no name of a time zone, such as Europe/Berlin") from None

    def _doubts(self) -> Iterator[tuple[Any, str]]:
        yield not _is_address(self.url), "`url` is no https://host/path"
        parts = urlsplit(self.url)
        yield parts.username or parts.password, "`url` has credentials in it; use auth = 'basic'"
        names = [*self.params, *dict(parse_qsl(parts.query))]
        yield any(map(is_secret_name, names)), "`params` or url have a secret in them; use auth = 'query'"

        yield self.auth != "none" and not self.secret, f"`secret` is not set; auth = '{self.auth}' needs it"
        named = {"header": "the header's name", "basic": "the user", "query": "the parameter's name"}
        yield self.auth in named and not self.auth_name, f"`auth_name` is not set: {named.get(self.auth)}"
        in_header, key = self.auth in ("bearer", "header"), self.secret or ""
        carried = key.isascii() and key.isprintable() and key == key.strip()
        yield (
            in_header and not carried,
            "`secret` has a character that no header can have, or ends in a blank",
        )
        yield (
            self.auth == "header" and not _HEADER.fullmatch(self.auth_name),
            "`auth_name` is no name of a header",
        )

        asks, told = f"; paging = '{self.paging}' needs it", self.paging in ("body_link", "cursor")
        cursor, counted = self.paging == "cursor", self.paging in ("page", "offset", "cursor")
        yield counted and not self.page_param, f"`page_param` is not set{asks}"
        yield (
            counted and self.page_param in dict(parse_qsl(parts.query, keep_blank_values=True)),
            (f"`url` has {self.page_param} in it, which paging sets; put its first value into params"),
        )
        first = str(self.params.get(self.page_param, "0"))
        yield (
            counted and not cursor and not (first.isascii() and first.isdigit()),
            (f"`params` begin with {self.page_param} = {first!r}, which is no number"),
        )
        yield told and not self.next, f"`next` is not set, the path to it in the body{asks}"
        yield self.format != "json" and told, f"`paging` = '{self.paging}' needs format = 'json'"
        yield self.format != "json" and self.records, "`records` is for format = 'json' only"
        no_delimiter = len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'
        yield no_delimiter, "`delimiter` is not one character, or one that a CSV has another use for"
        odd = next((name for name in self.columns if not _COLUMN.fullmatch(name)), None)
        yield odd is not None, f"`columns` has {odd!r}, which is no raw column: take small letters, digits, _"

        asked = " ".join([self.url, *map(str, self.params.values())]).replace("{{", "")
        yield len(self.day) > 2, "`date` is more than two names deep"
        yield "{" in asked and not self.date, "`date` is not set, the field of a record's day; a brace is {{"
        yield self.date and "{since" not in asked, "`params` have no {since}, which a feed with a date needs"
        yield (
            self.date and "{until" not in asked and self.days_per_request > 1,
            "`params` have no {until}, which only days_per_request = 1 does without",
        )

    @property
    def day(self) -> Path:
        """Path of the field of a record's day; the name of a CSV's column may have a dot in it."""
        return () if not self.date else (self.date,) if self.format == "csv" else path(self.date)

    def address(self, window: Window | None) -> str:
        """The address of the first page."""
        days = {"since": window.since, "until": window.until} if window else {}
        params = {name: str(value).format(**days) for name, value in self.params.items()}
        if self.paging in ("page", "offset"):
            params.setdefault(self.page_param, str(self.first_page if self.paging == "page" else 0))
        url = self.url.format(**days)
        return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url

    def headers(self) -> dict[str, str]:
        """What every request is sent with."""
        key = secret(self.secret or "")
        basic = secret(b64encode(f"{self.auth_name}:{key}".encode()).decode())
        auth = {
            "bearer": {"Authorization": f"Bearer {key}"},
            "basic": {"Authorization": f"Basic {basic}"},
            "header": {self.auth_name: key},
        }
        accepted = {"Accept": f"{_ACCEPT[self.format]}, */*;q=0.5", "Accept-Encoding": "gzip"}
        return accepted | auth.get(self.auth, {})

    def secret_params(self) -> dict[str, str]:
        """What is put behind every address."""
        return {self.auth_name: secret(self.secret or "")} if self.auth == "query" else {}

    def form(self) -> Form:
        """What finds the records of the answers."""
        named = [each for each in (self.date, *self.columns) if each]
        limits = Limits(self.max_megabytes, self.max_ratio)
        return form_of(
            self.format, limits, delimiter=self.delimiter, columns=named, records=path(self.records)
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats what stands for the port, which may be half a password
        return False


def path(text: str) -> Path:
    """``data.items`` as a path; none of an empty text."""
    return tuple(filter(None, text.split(".")))
