"""One HTTP client for all vendors: sends, judges, retries, and stops in time.

A vendor gives ``classify(reply)``: which error of ``loaders._core.errors`` an answer is, or None. The client
raises it, retries what is ``Transient`` with exponential back-off and full jitter, waits as long as a
``Throttled`` asks for, and gives up at one deadline for the request with all its retries. It never logs a
body, and an address only without its query.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import tenacity

from loaders._core import errors
from loaders._core.archive import current as tape
from loaders._core.guard import Guard
from loaders._core.redact import is_secret_name, redact
from loaders._core.stream import Spool, split_array

logger = logging.getLogger(__name__)

Query = Mapping[str, str]
Result = TypeVar("Result")

RETRIED = {408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)
_LONGEST_BACK_OFF = 60.0
# Of a quota: a backfill that used it up would stop the daily run, and people's own tools.
_SPARED_PERCENT = 10.0
_LONGEST_REST = 60.0


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True)
class Reply:
    """An answer as ``classify`` sees it; of a stream, each of its documents is one."""

    status: int
    headers: httpx.Headers
    body: bytes

    @cached_property
    def members(self) -> Mapping[str, msgspec.Raw]:
        """The undecoded members of a JSON object (or of the first object of a list); none of other JSON.

        Raises:
            BadBody: the body is not JSON.
        """
        try:
            try:
                return _MEMBERS.decode(self.body)
            except msgspec.ValidationError:  # JSON of another shape
                try:
                    first = _LIST.decode(self.body)[:1]
                    return _MEMBERS.decode(first[0]) if first else {}
                except msgspec.ValidationError:
                    return {}
        except (msgspec.DecodeError, RecursionError) as why:
            raise errors.BadBody(f"the answer is not whole JSON ({why})") from None

    @cached_property
    def error(self) -> Any:
        """The member ``error``; None without one.

        Raises:
            BadBody: the body is not JSON.
        """
        raw = self.members.get("error")
        return None if raw is None else decode(bytes(raw), Any)

    def header_numbers(self, name: str, member: str) -> list[float]:
        """All numbers under ``member``, anywhere in a header that holds JSON; empty without any."""
        try:
            held = msgspec.json.decode(self.headers.get(name, "null"))
        except msgspec.DecodeError:
            return []
        return [float(each) for each in anywhere(held, member) if isinstance(each, int | float)]

    @property
    def retry_after(self) -> float | None:
        """Seconds that the header Retry-After (seconds or a date) asks to wait."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        left = until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)
        return max(0.0, float(left.total_seconds()))


def anywhere(value: Any, member: str) -> Iterator[Any]:
    """What stands under a member's name, at any depth of decoded JSON, outer ones first."""
    if isinstance(value, dict):
        if member in value:
            yield value[member]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from anywhere(each, member)


def as_json(value: object) -> str:
    """A list or object as compact JSON, for a query parameter."""
    return msgspec.json.encode(value).decode()


def decode(body: bytes, form: type[Result]) -> Result:
    """A body as a value of a type.

    Raises:
        BadBody: it is not JSON or not of that form.
    """
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.DecodeError as why:
        raise errors.BadBody(f"the answer has another form than documented ({why})") from None


Classify = Callable[[Reply], errors.AdstarError | None]
Make = Callable[[httpx.Headers, Iterator[bytes]], Result]


def by_status(reply: Reply) -> errors.AdstarError | None:
    """What the HTTP status alone says; the judgement where the vendor's own has none."""
    if reply.status < 300:
        return None
    told = f"HTTP {reply.status}"
    error: errors.AdstarError = errors.VendorError(told)
    if reply.status == 429 or (reply.status == 503 and reply.retry_after is not None):
        error = errors.Throttled(told, reply.retry_after)
    elif reply.status in RETRIED:
        error = errors.Transient(told)
    elif reply.status == 401:
        error = errors.ConfigurationError(f"{told}: the credentials are not accepted")
    elif reply.status == 403:
        error = errors.AccountError(f"{told}: no permission")
    elif reply.status < 400:
        error = errors.ConfigurationError(f"{told}: the address moved; check base_url")
    return error


@dataclass(frozen=True)
class Rule:
    """One line of a vendor's table of errors.

    Attributes:
        error: what an answer is that has one of the ``codes`` or whose message matches ``text``.
        codes: in whatever form the vendor's ``classify`` hands them over.
        text: regular expression.
        advice: what to do, put behind the vendor's message.
    """

    error: type[errors.AdstarError]
    codes: Collection[object] = ()
    text: str | None = None
    advice: str = ""


def first_match(
    rules: Iterable[Rule],
    reply: Reply,
    message: str,
    codes: Iterable[object],
    wait_seconds: float | None = None,
) -> errors.AdstarError:
    """The error that a vendor's table makes of an answer; without a match what its status says.

    Args:
        message: the vendor's own words.
        codes: all codes the answer bears.
        wait_seconds: what the vendor asks to wait, for ``Throttled``.
    """
    borne = set(codes)
    for rule in rules:
        if not borne.isdisjoint(rule.codes) or (rule.text and re.search(rule.text, message)):
            told = f"{message}; {rule.advice}" if rule.advice else message
            if issubclass(rule.error, errors.Throttled):
                return rule.error(told, wait_seconds or reply.retry_after)
            return rule.error(told)
    error = by_status(reply) or errors.VendorError("")
    error.message = f"{error.message}: {redact(message)}".removeprefix(": ")
    return error


class Http:
    """Requests below one base address.

    Args:
        base_url: scheme, host and path that relative addresses are put behind; an absolute address (a
            paging link) must have the same scheme, host and port, so credentials go nowhere else.
        classify: the vendor's judgement of an answer, asked before the status is looked at.
        params: query parameters added to every request.
        headers: added to every request; one without a value is left out.
        auth: as in httpx.
        deadline_seconds: longest time for one request with its retries and waits.
        attempts: how often one request is sent when it keeps failing; throttling counts only against the
            deadline.
        used: percent of the vendor's quotas that an answer says is used up; beyond 90 the next request rests,
            for up to a minute at 100.
        redirects: how many are followed for one request, never into the network that we are in ourselves.
        archived: whether its answers go to the archive, if there is one; those with credentials must not.
        transport, clock, sleep: replaced in tests.
    """

    def __init__(
        self,
        base_url: str,
        classify: Classify = by_status,
        *,
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        deadline_seconds: float = 3600.0,
        attempts: int = 8,
        used: Callable[[Reply], float] = lambda reply: 0.0,
        redirects: int = 0,
        archived: bool = True,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.ConfigurationError(f"{redact(base_url)!r} is no address; write https://host")
        self.base_url = base_url.rstrip("/")
        self.classify = classify
        self.params = dict(params or {})
        self.deadline_seconds = deadline_seconds
        self.attempts = attempts
        self.used = used
        self.redirects = redirects
        self.clock = clock
        self.sleep = sleep
        self._tape = tape.current() if archived else tape.Tape()
        if self._tape.plays:
            transport, auth, self.sleep = self._tape.transport(frozenset(self.params)), None, lambda _: None
        self._rests_until = float("-inf")
        self._guard = Guard()
        self._headers = {name: value for name, value in (headers or {}).items() if value}
        self._client = httpx.Client(
            headers=self._headers,
            auth=auth,
            timeout=_TIMEOUT,
            transport=transport,
            verify=parts.scheme == "https"
            or redirects > 0,  # loading the certificates takes a while; plain http needs none
            trust_env=parts.hostname not in ("127.0.0.1", "::1", "localhost"),  # no proxy to oneself
        )

    def __enter__(self) -> Http:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(
        self,
        method: str,
        url: str,
        *,
        params: Query | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        classify: Classify | None = None,
    ) -> bytes:
        """The whole JSON body of an answer; arguments and errors as ``ask``."""
        return self.ask(method, url, params=params, json=json, form=form, classify=classify).body

    def ask(
        self,
        method: str,
        url: str,
        *,
        params: Query | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        classify: Classify | None = None,
    ) -> Reply:
        """An answer that is no error, with its whole JSON body.

        Args:
            url: relative to ``base_url``, or absolute on the same host.
            params: added to those of the address.
            json, form: body of the request.
            classify: judges this request's answers instead of the client's ``classify``.

        Raises:
            ConfigurationError, AccountError, TooLarge, Lost, VendorError: as classified.
            GaveUp: attempts or deadline ran out.
        """

        def read(response: httpx.Response, deadline: float) -> Reply:
            return self._judge(response, b"".join(self._chunks(response, deadline)), classify)

        ask = partial(
            self._open,
            method,
            self._address(url, params),
            json=json,
            data=dict(form) if form else None,
        )
        if (rest := self._rests_until - self.clock()) > 0:
            logger.info("the vendor's quota is nearly used up; the next request waits %.0f s", rest)
            self.sleep(rest)
        reply = self._retry(partial(self._send, ask, read), method, url)
        beyond = self.used(reply) - (100.0 - _SPARED_PERCENT)
        self._rests_until = self.clock() + _LONGEST_REST * min(1.0, beyond / _SPARED_PERCENT)
        return reply

    def receive(
        self, url: str, make: Make[Result], headers: Mapping[str, str] | None = None
    ) -> Result | None:
        """What is made of an answer to GET whose body is no JSON document, or one too large for memory.

        Args:
            url: as for ``ask``.
            make: called with headers and undecoded chunks; what it raises of ``Transient`` is retried.
            headers: conditions of this request; None is returned if the answer is 304.

        Raises:
            As ``ask``, and what ``make`` raises.
        """

        def read(response: httpx.Response, deadline: float) -> Result | None:
            reply = Reply(response.status_code, response.headers, b"")
            if headers and reply.status == httpx.codes.NOT_MODIFIED:
                for _ in self._chunks(response, deadline):  # none
                    pass
                return None
            self._refuse(reply, None)
            return make(response.headers, self._chunks(response, deadline, raw=True))

        ask = partial(self._open, "GET", self._address(url, None), headers=headers)
        return self._retry(partial(self._send, ask, read), "GET", url)

    def stream(self, method: str, url: str, *, json: Any = None) -> Iterator[bytes]:
        """The objects of an answer that is a JSON array, in flat memory, handed over when all have come.

        Each object is judged for itself, so an error after good ones discards those and sends the whole
        request again.

        Raises:
            As ``fetch``.
        """

        def read(response: httpx.Response, deadline: float) -> Spool:
            if response.status_code != 200:
                self._judge(response, b"".join(self._chunks(response, deadline)), None)
            return Spool(self._judged(response, deadline))

        ask = partial(self._open, method, self._address(url, None), json=json)
        with self._retry(partial(self._send, ask, read), method, url) as documents:
            yield from documents

    def _judged(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        for document in split_array(self._chunks(response, deadline)):
            self._judge(response, document, None)
            yield document

    def _judge(self, response: httpx.Response, body: bytes, classify: Classify | None) -> Reply:
        reply = Reply(response.status_code, response.headers, body)
        self._refuse(reply, classify)
        _ = reply.members
        return reply

    def _refuse(self, reply: Reply, classify: Classify | None) -> None:
        try:
            error = (classify or self.classify)(reply)
        except errors.BadBody:
            error = None  # no document to judge by; the status decides, and 200 with it is no success
        except (AttributeError, LookupError, TypeError, ValueError):
            error = by_status(reply) or errors.VendorError("an error in a form that nobody has foreseen")
        error = error or by_status(reply)
        if error:
            raise error

    @contextmanager
    def _open(self, method: str, address: httpx.URL, **sent: Any) -> Iterator[httpx.Response]:
        """The answer, its body unread; the client's own headers follow no redirect to another host."""
        watched = {"trace": self._guard.watch(address)} if self.redirects else {}
        asked = request = self._client.build_request(method, address, extensions=watched, **sent)
        response = self._client.send(request, stream=True)
        try:
            for _ in range(self.redirects):
                if response.next_request is None:
                    break
                response.close()
                sender, request = request.url, response.next_request
                self._guard.look_at(request.url, sender)
                request.extensions["trace"] = self._guard.watch(request.url, sender)
                if _origin(request.url) != _origin(httpx.URL(self.base_url)):
                    for name in self._headers:
                        request.headers.pop(name, None)
                response = self._client.send(request, auth=None, stream=True)
            response.extensions["asked"] = asked
            yield response
        finally:
            response.close()

    def _send(
        self,
        ask: Callable[[], AbstractContextManager[httpx.Response]],
        read: Callable[[httpx.Response, float], Result],
        deadline: float,
    ) -> Result:
        try:
            with ask() as response:
                return read(response, deadline)
        except httpx.TimeoutException as error:
            raise errors.Transient(f"no answer in time ({type(error).__name__})") from None
        except httpx.RemoteProtocolError as error:
            raise errors.BadBody(f"the connection broke off ({error})") from None
        except httpx.DecodingError as error:
            raise errors.BadBody(f"the compressed body is broken ({error})") from None
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise errors.ConfigurationError(
                    f"the server's certificate is not trusted ({error});"
                    " behind a company proxy set SSL_CERT_FILE"
                ) from None
            if re.search("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE", str(error)):
                raise errors.ConfigurationError(
                    f"the server does not speak TLS at this address ({error}); look at its port,"
                    " or write http:// if it is meant to be read in the clear"
                ) from None
            raise errors.Transient(f"no connection ({type(error).__name__}: {error})") from None

    def _chunks(self, response: httpx.Response, deadline: float, raw: bool = False) -> Iterator[bytes]:
        taken = self._tape.take(response, response.extensions["asked"], frozenset(self.params), raw=raw)
        try:
            for chunk in response.iter_raw() if raw else response.iter_bytes():
                if self.clock() > deadline:
                    raise errors.Transient("the answer was still coming in at the deadline")
                taken.write(chunk)
                yield chunk
            taken.whole()
        finally:
            taken.close()

    def _address(self, url: str, params: Query | None) -> httpx.URL:
        """The address with all parameters; credentials in a vendor's link give way to the client's own."""
        try:
            address = httpx.URL(url if "://" in url else f"{self.base_url}/{url.lstrip('/')}")
        except httpx.InvalidURL:
            raise errors.VendorError("the vendor's link is no address") from None
        if _origin(address) != _origin(httpx.URL(self.base_url)):
            raise errors.VendorError(
                f"the vendor's link points to another host ({address.host}); credentials are not sent there"
            )
        more = {**self.params, **(params or {})}
        try:
            for name in set(address.params):
                if is_secret_name(name):
                    address = address.copy_remove_param(name)
            return address.copy_merge_params(more) if more else address
        except httpx.InvalidURL:
            raise errors.VendorError(
                "the vendor's link is no address with what must be put behind it"
            ) from None

    def _retry(self, send: Callable[[float], Result], method: str, url: str) -> Result:
        begun = self.clock()
        where = f"{method} {redact(url.partition('?')[0])}"

        def exhausted(state: tenacity.RetryCallState) -> bool:
            throttled = isinstance(_error(state), errors.Throttled)
            too_often = state.attempt_number >= self.attempts and not throttled
            return too_often or self.clock() + state.upcoming_sleep - begun > self.deadline_seconds

        def give_up(state: tenacity.RetryCallState) -> Result:
            error = _error(state)
            asked = getattr(error, "wait_seconds", None) or 0
            why = (
                f"the vendor asks to wait {asked:.0f} s, beyond the deadline of"
                f" {self.deadline_seconds:.0f} s; run again after that"
                if asked > max(0.0, self.deadline_seconds - (self.clock() - begun))
                else f"gave up after {state.attempt_number} attempts in {self.clock() - begun:.0f} s"
            )
            raise errors.GaveUp(f"{why}: {getattr(error, 'message', error)}", where=where) from None

        def told(state: tenacity.RetryCallState) -> None:
            logger.warning(
                "%s: %s; attempt %d follows in %.1f s",
                where,
                getattr(_error(state), "message", ""),
                state.attempt_number + 1,
                state.upcoming_sleep,
            )

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(errors.Transient),
                wait=_pause,
                stop=exhausted,
                sleep=self.sleep,
                before_sleep=told,
                retry_error_callback=give_up,
            )(send, begun + self.deadline_seconds)
        except errors.AdstarError as error:
            error.where = error.where or where
            raise


_back_off = tenacity.wait_random_exponential(multiplier=1, max=_LONGEST_BACK_OFF)  # full jitter


def _pause(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: what the vendor asks for, plus jitter so that not all come at once."""
    return (getattr(_error(state), "wait_seconds", None) or 0.0) + _back_off(state)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
