"""No secret leaves the process: in messages, logs, tracebacks, however it is written."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders._core import redact as module
from loaders._core.errors import VendorError
from loaders._core.redact import RedactingFilter, install, is_secret_name, redact, secret

TOKEN = "EAABsbCS1iHgBO7zZCq"
# What a filter would let through of all characters is too little to look for.
PRINTABLE = st.characters(exclude_categories=["C", "Z"], include_characters=" ")


@pytest.mark.parametrize(
    "text",
    [
        f"https://graph.facebook.com/v26.0/act_1/ads?access_token={TOKEN}&limit=25",
        f"https://graph.facebook.com/v26.0/act_1/ads?limit=25&appsecret_proof={TOKEN}",
        "next=" + quote(f"https://graph.facebook.com/x?access_token={TOKEN}&after=a", safe=""),
        f'{{"paging":{{"next":"https:\\/\\/g\\/x?access_token={TOKEN}&limit=25"}}}}',
        f'{{"client_secret": "{TOKEN}", "a": 1}}',
        f'{{\\"refresh_token\\": \\"{TOKEN}\\"}}',
        f"{{'refresh_token': '{TOKEN}'}}",
        f"Authorization: Bearer {TOKEN}",
        f"authorization: {TOKEN}",
        f"headers=[(b'authorization', b'Bearer {TOKEN}')]",
        f"Headers({{'authorization': 'Bearer {TOKEN}'}})",
        f"developer-token: {TOKEN}",
        f"(b'developer-token', b'{TOKEN}')",
        f"X-CleverTap-Passcode: {TOKEN}",
        f"postgresql://adstar:{TOKEN}@127.0.0.1:54329/adstar",
        f"redshift+psycopg2://u:{TOKEN}@host/db",
        f"host=127.0.0.1 user=adstar password={TOKEN} dbname=adstar",
        f"SOURCES__FACEBOOK_ADS__ACCESS_TOKEN={TOKEN}",
        f'sources.google_ads.refresh_token = "{TOKEN}"',
        f"FacebookAdsSettings(access_token='{TOKEN}', app_secret='{TOKEN}')",
        f"aws_secret_access_key={TOKEN}",
        f"got Bearer {TOKEN} back",
    ],
)
def test_what_follows_a_telling_name_is_hidden(text):
    clean = redact(text)
    assert TOKEN not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    "text",
    [
        "GET https://graph.facebook.com/v26.0/act_1/insights?level=ad&limit=500",
        "report job 192025512975195 failed",
        "put a new token into sources.facebook_ads.access_token",
        "client_id=1234.apps.googleusercontent.com",
        "authorizationError: USER_PERMISSION_DENIED",
        "http://127.0.0.1:54329/path",
        "the password is wrong",
    ],
)
def test_other_text_stays(text):
    assert redact(text) == text


@settings(max_examples=50, deadline=None)
@given(st.text(PRINTABLE, min_size=8, max_size=40).filter(lambda s: s.strip() == s))
def test_a_known_secret_is_hidden_plain_percent_encoded_and_in_json(value):
    import json
    from urllib.parse import quote_plus

    known = set(module._known)
    try:
        secret(value)
        for form in (value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]):
            assert redact(f"<<{form}>>") == "<<***>>"
    finally:
        module._known.clear()
        module._known.update(known)


def test_a_short_value_is_not_taken_for_a_secret():
    secret("ab")
    secret("")
    assert redact("about a cab") == "about a cab"


def test_parameter_names():
    assert all(map(is_secret_name, ["access_token", "appsecret_proof", "client_secret", "Authorization"]))
    assert not any(map(is_secret_name, ["after", "limit", "fields", "pageToken", "cursor", "client_id"]))


def test_an_errors_text_is_clean_wherever_the_secret_came_from():
    error = VendorError(f"Malformed access_token={TOKEN}", where=f"GET https://x?access_token={TOKEN}")
    assert TOKEN not in str(error) + repr(error)
    assert "[GET https://x?access_token=***]" in str(error)


def test_the_filter_cleans_message_and_traceback_and_leaves_other_records_alone():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    log = logging.getLogger("adstar.test.redact")
    log.propagate = False
    log.addHandler(handler)
    try:
        log.warning("calling %s", f"https://x?access_token={TOKEN}")
        try:
            raise ValueError(f"bad client_secret={TOKEN}")
        except ValueError:
            log.exception("failed")
        log.warning("rows %d", 3)
    finally:
        log.removeHandler(handler)
    told = out.getvalue()
    assert TOKEN not in told
    assert "ValueError: bad client_secret=***" in told
    assert "rows 3" in told
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s %s", ("a", "b"), None)
    assert RedactingFilter().filter(record)
    assert record.args == ("a", "b")


def test_installed_it_covers_every_logger_and_the_last_traceback():
    program = f"""
import logging, sys
from loaders._core.redact import install
install(); install()
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
other = logging.getLogger("some.library"); other.addHandler(logging.StreamHandler(sys.stdout))
other.error("sent %r", {{"access_token": "{TOKEN}"}})
import httpx
client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
url = "https://graph.facebook.com/me?access_token={TOKEN}"
client.get(url, headers={{"Authorization": "Bearer {TOKEN}"}})
raise RuntimeError("DSN postgresql://u:{TOKEN}@h/d")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert TOKEN not in done.stdout + done.stderr
    assert "***" in done.stdout
    assert "postgresql://u:***@h/d" in done.stderr
    assert "graph.facebook.com" not in done.stderr


def test_install_is_idempotent():
    before, hook = logging.getLogRecordFactory(), sys.excepthook
    try:
        install()
        once = logging.getLogRecordFactory()
        install()
        assert logging.getLogRecordFactory() is once
    finally:
        logging.setLogRecordFactory(before)
        sys.excepthook = hook
