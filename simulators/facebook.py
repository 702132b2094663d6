"""Meta's Graph and Marketing API as a loader meets it: accounts, entities, insights, report runs, batches.

What the wire looks like follows Meta's documentation and recorded traffic; simulators/README.md lists what is
left out and what is assumed. Answers about an account carry the usage headers, errors Meta's envelope.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators import facebook_objects as objects
from simulators.business import Account, Business
from simulators.facebook_insights import (
    BadQuery,
    Dress,
    Filter,
    Insights,
    Query,
    filters,
    json_param,
    list_param,
    parse,
)
from simulators.faults import Faults

PLATFORM: Final = "facebook_ads"
NEWEST = "v26.0"
DEFAULT_LIMIT = 25
ENTITY_LIMIT = 500
INSIGHTS_LIMIT = 1000
BATCH_LIMIT = 50
RUN_LIFE = timedelta(days=30)
JOB_PATHS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("Job Running", 100), ("Job Completed", 100)),
    (("Job Not Started", 0), ("Job Running", 100), ("Job Completed", 100)),
    (("Job Completed", 100),),
)
"""What successive polls see, by turns: 100 % is no sign of completion."""
_REDUCE = "Please reduce the amount of data you're asking for, then retry your request"
_KIND = {"campaigns": "campaign", "adsets": "adset", "ads": "ad", "adcreatives": "ad"}
_EDGES_OF = {
    "AdAccount": {"campaigns", "adsets", "ads", "adcreatives"},
    "Campaign": {"adsets", "ads"},
    "AdSet": {"ads"},
    "Ad": {"adcreatives"},
}
_PARENT = {"Campaign": "campaign_id", "AdSet": "ad_group_id", "Ad": "id"}


class Sim(Protocol):
    """What this module uses of the server's state."""

    business: Business
    now: datetime
    faults: Faults
    base_url: str
    facebook_token: str
    facebook_app_secret: str | None


@dataclass
class Answer:
    """An HTTP answer before faults that damage its bytes."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request without its host: `parts` of the path below the version."""

    method: str
    version: str
    parts: list[str]
    params: dict[str, str]


class GraphError(Exception):
    """An answer in Meta's error envelope."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        subcode: int | None = None,
        kind: str | None = "OAuthException",
        transient: bool | None = None,
        title: str | None = None,
        user_message: str | None = None,
        regain_minutes: int = 0,
    ) -> None:
        """`kind` is the envelope's `type`, None: none. `regain_minutes` goes into the usage header."""
        super().__init__(message)
        self.status, self.regain_minutes = status, regain_minutes
        envelope = {
            "message": message,
            "type": kind,
            "code": code,
            "error_subcode": subcode,
            "is_transient": transient,
            "error_user_title": title,
            "error_user_msg": user_message,
        }
        self.envelope = {name: value for name, value in envelope.items() if value is not None}


def too_large(code: int) -> GraphError:
    """The two ways in which Meta says that a question is too big."""
    if code == 1:
        return GraphError(1, _REDUCE, status=500, kind=None)
    return GraphError(100, _REDUCE, subcode=1487534)


@dataclass
class _Run:
    """A report run."""

    id: str
    query: Query
    path: tuple[tuple[str, int], ...]
    created: datetime
    polls: int = 0

    @property
    def status(self) -> tuple[str, int]:
        """What the last poll saw."""
        return self.path[min(max(self.polls, 1), len(self.path)) - 1]


class Graph:
    """The API as a function from requests to answers."""

    def __init__(self, sim: Sim) -> None:
        """`sim` is read on every request: clock and faults may change between two."""
        self._sim = sim
        self._insights = Insights(sim.business)
        self._runs: dict[str, _Run] = {}
        self._runs_made = 0
        self._lists: OrderedDict[tuple[Any, ...], list[Any]] = OrderedDict()
        self._calls: dict[str, int] = {}
        self._traces = 0

    # ---- one request
    def answer(self, method: str, path: str, params: dict[str, str]) -> Answer:
        """Serve a request; errors become Meta's envelope."""
        account: Account | None = None
        try:
            version, parts = _split(path)
            self._authorise(params)
            if method == "POST" and not parts and "batch" in params:
                return self._batch(params)
            if not parts and "ids" in params:
                return self._many(Call(method, version, parts, params))
            node, account = self._node(parts)
            return self._at(Call(method, version, parts, params), node, account)
        except BadQuery as bad:
            error = GraphError(bad.code, str(bad))
        except GraphError as raised:
            error = raised
        self._traces += 1
        trace = hashlib.blake2b(str(self._traces).encode(), digest_size=8).hexdigest()
        body = msgspec.json.encode({"error": {**error.envelope, "fbtrace_id": f"A{trace}"}})
        return Answer(body, error.status, self._usage(account, path, error.regain_minutes))

    def identify(self, path: str, params: Mapping[str, str]) -> tuple[str | None, str]:
        """Account id and resource of a request as faults know them, as far as the path says."""
        _, parts = _split(path)
        name, edge = (parts[0] if parts else ""), (parts[1] if len(parts) > 1 else "")
        if name in self._runs:
            query = self._runs[name].query
            return query.account.id, query.resource if edge else "report_run"
        account = name.removeprefix("act_") if name.startswith("act_") else None
        if edge == "insights":
            return account, f"insights_{params.get('level', 'account')}"
        return account, edge or ("adaccounts" if account else "object")

    def _authorise(self, params: Mapping[str, str]) -> None:
        given = params.get("access_token")
        if not given:
            raise GraphError(104, "An access token is required to request this resource.")
        if self._sim.faults.take("expired_token", platform=PLATFORM) is not None:
            raise GraphError(190, "Error validating access token: Session has expired.", subcode=463)
        if given != self._sim.facebook_token:
            raise GraphError(190, "Invalid OAuth access token - Cannot parse access token", subcode=467)
        secret = self._sim.facebook_app_secret
        if secret is None:
            return
        proof = params.get("appsecret_proof")
        if proof is None:
            raise GraphError(
                100,
                "API calls from the server require an appsecret_proof argument",
                kind="GraphMethodException",
            )
        right = hmac.new(secret.encode(), given.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof, right):
            raise GraphError(
                100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException"
            )

    def _strike(self, account: Account | None, resource: str) -> None:
        """Faults that answer with an error."""

        def take(name: str) -> dict[str, Any] | None:
            return self._take(name, account, resource)

        if take("forbidden_account") is not None:
            raise GraphError(
                200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission", status=403
            )
        if (options := take("throttle")) is not None:
            raise _throttled(int(options.get("code", 80000)), int(options.get("wait_seconds", 60)))
        if (options := take("server_error")) is not None:
            status = int(options.get("status", 500))
            raise GraphError(1, "An unknown error occurred", status=status, subcode=99)

    def _take(self, name: str, account: Account | None, resource: str) -> dict[str, Any] | None:
        return self._sim.faults.take(
            name, platform=PLATFORM, account=account.id if account else None, resource=resource
        )

    # ---- nodes
    def _node(self, parts: list[str]) -> tuple[Any, Account | None]:
        """What the first part of the path names, as (type, object), and the account that it belongs to."""
        name = parts[0] if parts else ""
        if name == "me":
            return ("User", {"id": "100012345678901", "name": "adstar loader"}), None
        if match := re.fullmatch(r"act_(\d+)", name):
            for account in self._sim.business.accounts(PLATFORM):
                if account.id == match[1]:
                    return ("AdAccount", account), account
        elif name in self._runs:
            run = self._runs[name]
            if self._sim.now - run.created <= RUN_LIFE:
                return ("Run", run), run.query.account
        elif name.isdigit():
            for account in self._sim.business.accounts(PLATFORM):
                for kind, node in (("campaign", "Campaign"), ("adset", "AdSet"), ("ad", "Ad")):
                    found = self._sim.business.by_id(account, kind, self._sim.now).get(name)
                    if found is not None:
                        return (node, found), account
                for one in self._sim.business.by_id(account, "ad", self._sim.now).values():
                    if one.creative_id == name:
                        return ("AdCreative", one), account
        raise _missing(name)

    def _at(self, call: Call, node: tuple[str, Any], account: Account | None) -> Answer:
        kind, value = node
        params = call.params
        match call.parts[1:]:
            case []:
                return self._object(kind, value, account, params)
            case ["adaccounts"] if kind == "User":
                return self._accounts(call)
            case ["insights"] if kind == "Run":
                return self._run_rows(call, value)
            case ["insights"] if account is not None and kind in ("AdAccount", "Campaign", "AdSet", "Ad"):
                query = parse(account, _below(kind, value), params, self._sim.now)
                self._strike(account, query.resource)
                self._refuse_large(query)
                if call.method == "POST":
                    return self._start_run(query)
                return self._insights_page(call, query)
            case [edge] if account is not None and edge in _EDGES_OF.get(kind, ()):
                return self._edge(call, kind, value, account)
        raise GraphError(2500, f"Unknown path components: /{'/'.join(call.parts[1:])}")

    def _object(self, kind: str, value: Any, account: Account | None, params: Mapping[str, str]) -> Answer:
        if kind == "Run":
            return self._run_status(value)
        resource = {"AdAccount": "adaccounts", "User": "me"}.get(kind, f"{kind.lower()}s")
        self._strike(account, resource)
        write = _writer(kind, self._sim.now)
        chosen = self._choose(kind, list_fields(params.get("fields", "")))
        one = self._dress(account, resource).object(self._cut(write(value), chosen, account))
        return Answer(msgspec.json.encode(one), headers=self._usage(account, resource))

    def _accounts(self, call: Call) -> Answer:
        self._strike(None, "adaccounts")
        rows = self._sim.business.accounts(PLATFORM)
        return self._list(call, "AdAccount", rows, None, "adaccounts")

    def _many(self, call: Call) -> Answer:
        """`?ids=a,b`: a map from id to object."""
        out = {}
        for name in list_param(call.params, "ids"):
            node, account = self._node([name])
            answer = self._at(replace(call, parts=[name]), node, account)
            out[name] = msgspec.Raw(answer.body)
        return Answer(msgspec.json.encode(out))

    # ---- edges
    def _edge(self, call: Call, kind: str, value: Any, account: Account) -> Answer:
        edge, params = call.parts[1], call.params
        self._strike(account, edge)
        limit = _limit(params)
        if limit > ENTITY_LIMIT:
            raise too_large(1)
        wanted = filters(params)
        statuses = tuple(list_param(params, "effective_status"))
        since = params.get("updated_since")
        if since:
            wanted += (Filter("updated_time", "GREATER_THAN", (since,)),)
        key = (account.id, kind, getattr(value, "id", None), edge, wanted, statuses, self._sim.now)
        if key not in self._lists:
            listed = self._sim.business.by_id(account, _KIND[edge], self._sim.now).values()
            if kind != "AdAccount":
                parent = _PARENT[kind]
                listed = [one for one in listed if getattr(one, parent) == value.id]  # type: ignore[assignment]
            if edge == "adcreatives":
                self._lists[key] = list(listed)
            else:
                self._lists[key] = [one for one in listed if _passes(one, edge, wanted, statuses)]
            while len(self._lists) > 8:
                self._lists.popitem(last=False)
        node_type = objects.EDGES[edge][0]
        return self._list(call, node_type, self._lists[key], account, edge)

    def _list(
        self, call: Call, node_type: str, rows: list[Any], account: Account | None, resource: str
    ) -> Answer:
        params = call.params
        chosen = self._choose(node_type, list_fields(params.get("fields", "")))
        limit, start = _limit(params), _entity_offset(params.get("after"))
        write, dress = _writer(node_type, self._sim.now), self._dress(account, resource)
        if self._take("empty_success", account, resource) is not None:
            rows = []
        encode = msgspec.json.encode
        page = [
            encode(dress.object(self._cut(write(one), chosen, account)))
            for one in rows[start : start + limit]
        ]
        end = start + len(page)
        paging: dict[str, Any] = {}
        if page:
            paging["cursors"] = {"before": _entity_cursor(start), "after": _entity_cursor(end)}
        if end < len(rows):
            again = self._take("duplicate_page", account, resource) is not None
            paging["next"] = self._link(call, {"after": _entity_cursor(start if again else end)})
        if start and page:
            paging["previous"] = self._link(call, {"before": _entity_cursor(start)})
        self._break_off(start, account, resource)
        extra = b""
        if "total_count" in params.get("summary", "") or params.get("summary") == "true":
            extra = b',"summary":' + encode({"total_count": len(rows)})
        return self._page(page, paging, extra, account, resource)

    def _page(
        self, rows: list[bytes], paging: dict[str, Any], extra: bytes, account: Account | None, resource: str
    ) -> Answer:
        body = b'{"data":[' + b",".join(rows) + b"]"
        if paging:
            body += b',"paging":' + msgspec.json.encode(paging)
        return Answer(body + extra + b"}", headers=self._usage(account, resource))

    def _break_off(self, start: int, account: Account | None, resource: str) -> None:
        if start and self._take("mid_stream_error", account, resource) is not None:
            raise GraphError(2, "(#2) Service temporarily unavailable", transient=True)

    def _link(self, call: Call, change: Mapping[str, str]) -> str:
        kept = {name: value for name, value in call.params.items() if name not in ("after", "before")}
        path = "/".join((call.version, *call.parts))
        return f"{self._sim.base_url}/graph/{path}?{urlencode(kept | dict(change))}"

    def _choose(self, node_type: str, fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The fields asked for, `id` always. Raises GraphError 100 for one that does not exist."""
        for name in fields:
            if name not in objects.NODE_FIELDS[node_type]:
                raise GraphError(
                    100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})"
                )
        return fields or {"id": {}}

    def _cut(
        self, one: dict[str, Any], fields: Mapping[str, dict[str, Any]], account: Account | None
    ) -> dict[str, Any]:
        """Only these fields, in their order; a nested selection opens the object that an id stands for."""
        out = {}
        for name, inner in fields.items():
            if name not in one:
                continue
            value = one[name]
            if inner and account is not None and isinstance(value, dict) and "id" in value:
                (kind, found), _ = self._node([value["id"]])
                value = self._cut(_writer(kind, self._sim.now)(found), self._choose(kind, inner), account)
            out[name] = value
        if "id" in one:
            out.setdefault("id", one["id"])
        return out

    def _dress(self, account: Account | None, resource: str) -> Dress:
        return Dress(
            *(self._take(name, account, resource) for name in ("new_field", "vanished_field", "changed_type"))
        )

    # ---- insights
    def _refuse_large(self, query: Query) -> None:
        options = self._take("too_large", query.account, query.resource)
        if options is not None and self._insights.exceeds(query, int(options.get("rows", 0))):
            raise too_large(int(options.get("code", 100)))

    def _insights_page(self, call: Call, query: Query) -> Answer:
        params = call.params
        account, resource = query.account, query.resource
        limit, cursor = min(_limit(params), INSIGHTS_LIMIT), _insights_offset(params.get("after"))
        if self._take("empty_success", account, resource) is not None:
            return self._page([], {}, b"", account, resource)
        withheld = self._take("withhold_ads", account, resource) if query.level == "ad" else None
        rows, following = self._insights.page(query, cursor, limit, self._dress(account, resource), withheld)
        paging: dict[str, Any] = {}
        if rows:
            paging["cursors"] = {
                "before": _insights_cursor(cursor),
                "after": _insights_cursor(cursor if following is None else following),
            }
        if following is not None:
            again = self._take("duplicate_page", account, resource) is not None
            paging["next"] = self._link(call, {"after": _insights_cursor(cursor if again else following)})
        if cursor:
            paging["previous"] = self._link(call, {"before": _insights_cursor(cursor)})
        self._break_off(cursor, account, resource)
        return self._page([",".join(rows).encode()] if rows else [], paging, b"", account, resource)

    def _start_run(self, query: Query) -> Answer:
        self._runs_made += 1
        digest = hashlib.blake2b(f"{query.account.id}/{self._runs_made}".encode(), digest_size=6).digest()
        run_id = str(10**14 + int.from_bytes(digest) % (9 * 10**14))
        path = JOB_PATHS[self._runs_made % len(JOB_PATHS)]
        run = _Run(run_id, query, path, self._sim.now)
        if (options := self._take("stuck_report", query.account, query.resource)) is not None:
            polls = int(options.get("polls", 1))
            stuck = (("Job Running", 100),) * polls
            run.path = (*stuck, ("Job Completed", 100)) if "polls" in options else stuck
        self._runs[run_id] = run
        return Answer(
            msgspec.json.encode({"report_run_id": run_id}), headers=self._usage(query.account, query.resource)
        )

    def _run_status(self, run: _Run) -> Answer:
        account = run.query.account
        self._strike(account, "report_run")
        failure = self._take("failed_report", account, run.query.resource)
        kind = failure.get("kind", "failed") if failure is not None else None
        if kind == "unknown_yet":
            raise _missing(run.id)
        if kind == "expired":
            del self._runs[run.id]
            raise _missing(run.id)
        if kind in ("failed", "skipped"):
            run.path = (("Job Failed" if kind == "failed" else "Job Skipped", 0),)
        run.polls += 1
        status, percent = run.status
        began = int(run.created.timestamp())
        body: dict[str, Any] = {
            "id": run.id,
            "account_id": account.id,
            "time_ref": began,
            "async_status": status,
            "async_percent_completion": percent,
            "date_start": run.query.buckets[0][0].isoformat(),
            "date_stop": run.query.buckets[-1][1].isoformat(),
        }
        if status == "Job Completed":
            body["time_completed"] = began + run.polls
        if status in ("Job Running", "Job Started"):
            body["is_running"] = True
        if status == "Job Failed":
            body |= {"error_code": 2, "error_message": "An unexpected error has occurred."}
        return Answer(msgspec.json.encode(body), headers=self._usage(account, "report_run"))

    def _run_rows(self, call: Call, run: _Run) -> Answer:
        self._strike(run.query.account, run.query.resource)
        if run.status[0] != "Job Completed" or not run.polls:
            raise GraphError(
                2601,
                "Error accessing adreport job.",
                subcode=1815107,
                transient=True,
                title="Loading Async Ads Report Failed",
                user_message="Sorry, the report could not be loaded. Please try again later.",
            )
        fields = list_param(call.params, "fields")
        strange = [name for name in fields if name not in run.query.fields and not name.startswith("date_")]
        if strange:
            raise GraphError(
                100,
                f"(#100) Cannot include {', '.join(strange)} in fields param because they weren't there while"
                " creating the report run.",
            )
        return self._insights_page(call, run.query)

    # ---- the rest
    def _batch(self, params: Mapping[str, str]) -> Answer:
        calls = json_param(params, "batch")
        if not isinstance(calls, list) or len(calls) > BATCH_LIMIT:
            raise GraphError(100, f"(#100) param batch must be an array of at most {BATCH_LIMIT} requests")
        out = []
        for call in calls:
            url = urlsplit(call["relative_url"])
            inner = {name: params[name] for name in ("access_token", "appsecret_proof") if name in params}
            inner |= dict(parse_qsl(url.query, keep_blank_values=True))
            inner |= dict(parse_qsl(call.get("body", ""), keep_blank_values=True))
            answer = self.answer(call.get("method", "GET"), url.path, inner)
            headers = [{"name": name, "value": value} for name, value in answer.headers.items()]
            out.append({"code": answer.status, "headers": headers, "body": answer.body.decode()})
        return Answer(msgspec.json.encode(out))

    def _usage(self, account: Account | None, what: str, regain_minutes: int = 0) -> dict[str, str]:
        """The usage headers; percentages grow with calls and never reach 100 but when throttled."""
        name = account.id if account else "app"
        calls = self._calls[name] = self._calls.get(name, 0) + 1
        percent = 100 if regain_minutes else calls // 50 % 90
        tier = "standard_access"
        usage = {"call_count": percent, "total_cputime": percent // 2, "total_time": percent // 2}
        headers = {"x-app-usage": _text(usage), "facebook-api-version": NEWEST}
        if account is None:
            return headers
        insights = "insights" in what or what == "report_run"
        case = {
            "type": "ads_insights" if insights else "ads_management",
            **usage,
            "estimated_time_to_regain_access": regain_minutes,
            "ads_api_access_tier": tier,
        }
        headers["x-business-use-case-usage"] = _text({account.id: [case]})
        headers["x-ad-account-usage"] = _text(
            {
                "acc_id_util_pct": float(percent),
                "reset_time_duration": regain_minutes * 60,
                "ads_api_access_tier": tier,
            }
        )
        if insights:
            headers["x-fb-ads-insights-throttle"] = _text(
                {"app_id_util_pct": percent, "acc_id_util_pct": percent, "ads_api_access_tier": tier}
            )
        return headers


# --------------------------------------------------------------------------------------------------- helpers
def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _split(path: str) -> tuple[str, list[str]]:
    parts = [part for part in path.split("/") if part]
    if parts and re.fullmatch(r"v\d+\.\d+", parts[0]):
        return parts[0], parts[1:]
    return NEWEST, parts


def _missing(name: str) -> GraphError:
    return GraphError(
        100,
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation",
        subcode=33,
        kind="GraphMethodException",
    )


def _throttled(code: int, wait_seconds: int) -> GraphError:
    minutes = -(-wait_seconds // 60)
    if code == 4:
        return GraphError(
            4,
            "(#4) Application request limit reached",
            subcode=1504022,
            transient=True,
            title="Too many API requests",
            user_message="There have been too many calls from this app. Wait a bit and try again.",
            regain_minutes=minutes,
        )
    if code == 17:
        return GraphError(17, "(#17) User request limit reached", subcode=2446079, regain_minutes=minutes)
    if code == 613:
        return GraphError(613, "(#613) Calls to this api have exceeded the rate limit.", subcode=1487742,
                          regain_minutes=minutes)  # fmt: skip
    return GraphError(
        code,
        f"(#{code}) There have been too many calls from this ad-account. Wait a bit and try again. For more"
        " info, please refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting.",
        subcode=2446079,
        regain_minutes=minutes,
    )


def _writer(kind: str, now: datetime) -> Callable[[Any], dict[str, Any]]:
    if kind == "AdAccount":
        return lambda account: objects.ad_account(account, now)
    if kind == "User":
        return dict
    return dict(objects.EDGES.values())[kind]


def _below(kind: str, value: Any) -> tuple[str, str] | None:
    return None if kind == "AdAccount" else (kind.lower(), value.id)


def list_fields(text: str) -> dict[str, dict[str, Any]]:
    """`a,b{c,d}` as {"a": {}, "b": {"c": {}, "d": {}}}. Raises GraphError 2500 for unbalanced braces."""
    stack: list[dict[str, Any]] = [{}]
    last: dict[str, Any] = stack[0]
    for piece in re.findall(r"[\w.]+|[{}]", text):
        if piece == "{":
            stack.append(last)
        elif piece == "}":
            stack.pop()
        else:
            last = stack[-1].setdefault(piece, {})
        if not stack:
            break
    if len(stack) != 1:
        raise GraphError(2500, "Syntax error: braces in the fields parameter do not match")
    return stack[0]


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    if not text.isdigit() or not int(text):
        raise GraphError(100, "(#100) param limit must be a positive integer")
    return int(text)


def _passes(one: Any, edge: str, wanted: tuple[Filter, ...], statuses: tuple[str, ...]) -> bool:
    own = _KIND[edge]
    named = False
    for each in wanted:
        kind, _, name = each.field.rpartition(".")
        if name == "effective_status" and kind in ("", own):
            named = True
        if not each.holds(_value(one, own, kind or own, name)):
            return False
    if statuses:
        return one.effective_status in statuses
    return named or one.effective_status not in ("ARCHIVED", "DELETED")


def _value(one: Any, own: str, kind: str, name: str) -> str:
    """The value that a filter looks at."""
    if kind == own:
        match name:
            case "updated_time" | "created_time":
                return str(getattr(one, name.replace("_time", "_at")).timestamp())
            case "id" | "name" | "effective_status":
                return str(getattr(one, name))
    elif name == "id" and kind in ("campaign", "adset"):
        parent = getattr(one, {"campaign": "campaign_id", "adset": "ad_group_id"}[kind], None)
        if parent is not None:
            return str(parent)
    raise BadQuery(f"(#100) Filtering field {kind}.{name} with this operation is not supported")


def _entity_cursor(offset: int) -> str:
    return "QVFI" + base64.urlsafe_b64encode(f"{offset:09d}".encode()).decode().rstrip("=")


def _insights_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=") + "ZDZD"


def _entity_offset(cursor: str | None) -> int:
    return _decoded(cursor, "QVFI", "")


def _insights_offset(cursor: str | None) -> int:
    return _decoded(cursor, "", "ZDZD")


def _decoded(cursor: str | None, head: str, tail: str) -> int:
    if not cursor:
        return 0
    inner = cursor.removeprefix(head).removesuffix(tail)
    try:
        return int(base64.urlsafe_b64decode(inner + "=" * (-len(inner) % 4)))
    except ValueError as error:
        raise GraphError(100, "(#100) Invalid cursors values: cannot be parsed") from error


# --------------------------------------------------------------------------------------------------- HTTP
def routes(sim: Any) -> list[Route]:
    """The API below `/graph`; `sim` is the server's state."""
    graph = Graph(sim)

    async def serve(request: Request) -> Response:
        params = dict(request.query_params)
        if request.method == "POST":
            form = (await request.body()).decode()
            params |= dict(parse_qsl(form, keep_blank_values=True))
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            params.setdefault("access_token", bearer)
        path = request.path_params["path"]
        account, resource = graph.identify(path, params)

        def take(name: str) -> dict[str, Any] | None:
            options: dict[str, Any] | None = sim.faults.take(
                name, platform=PLATFORM, account=account, resource=resource
            )
            return options

        if (options := take("slow")) is not None:
            await asyncio.sleep(float(options.get("seconds", 1)))
        if (options := take("html_body")) is not None:
            html = "<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>"
            return Response(html, int(options.get("status", 200)), media_type="text/html")
        answer = graph.answer(request.method, path, params)
        body = answer.body
        if (options := take("truncated_body")) is not None:
            body = body[: int(len(body) * float(options.get("share", 0.5)))]
        return Response(body, answer.status, answer.headers, media_type="application/json; charset=UTF-8")

    return [Route("/graph/{path:path}", serve, methods=["GET", "POST"])]
