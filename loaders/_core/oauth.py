"""OAuth 2 with a refresh token (RFC 6749, section 6), for any vendor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial

import httpx
import msgspec

from loaders._core import errors
from loaders._core.http import Http, Reply, by_status
from loaders._core.redact import secret

_EARLY = 60.0  # seconds: a token about to die is not sent any more


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class RefreshToken(httpx.Auth):
    """Puts an access token on every request: got when first needed, renewed before it ends and once on a 401.

    Args:
        token_url: where the grant is sent to.
        clock: seconds, monotonic.

    Raises (from the request that needs the token):
        ConfigurationError: the vendor refuses the grant (``invalid_grant``, ``invalid_client``...).
        GaveUp: the token endpoint keeps failing.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        deadline_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._form = {
            "client_id": client_id,
            "client_secret": secret(client_secret),
            "refresh_token": secret(refresh_token),
            "grant_type": "refresh_token",
        }
        self._url = token_url
        self._clock = clock
        self._endpoint = partial(
            Http,
            token_url,
            _refused,
            deadline_seconds=deadline_seconds,
            archived=False,
            clock=clock,
            sleep=sleep,
        )
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with a token; on 401 once more with a new one."""
        token = self._current(refused="")
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._current(refused=token)}"
            yield request

    def _current(self, refused: str) -> str:
        with self._lock:
            if not self._token or self._token == refused or self._clock() > self._ends:
                with self._endpoint() as http:
                    body = http.fetch("POST", self._url, form=self._form)
                try:
                    token = msgspec.json.decode(body, type=_Token)
                except msgspec.DecodeError as why:
                    raise errors.VendorError(
                        f"the token endpoint's answer has no access token ({why})"
                    ) from None
                self._token = secret(token.access_token)
                self._ends = self._clock() + token.expires_in - _EARLY
            return self._token


def _refused(reply: Reply) -> errors.AdstarError | None:
    if reply.status not in (400, 401, 403):
        return by_status(reply)
    told = "refused"
    with suppress(errors.BadBody):
        told = str(reply.error or told)
    return errors.ConfigurationError(
        f"the OAuth endpoint refuses the refresh token ({told}); make a new one and put it, with the"
        " client_id and client_secret it was made with, into the source's settings (a token of an app that is"
        " in testing lasts 7 days)"
    )
