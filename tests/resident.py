"""dbt for tests, loaded once: a process imports it and parses the project, each command is a fork of that.

Started anew, dbt takes three seconds of CPU before its first statement and ten more to parse the project, and
tests give it some eighty commands. What is about the command itself (kills, the demo, settings) starts `dbt`.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import gc
import hashlib
import json
import os
import pprint
import select
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
SECONDS = 1800
# The parsed project is one for all databases; this stands in it for the name of whichever it is used for.
ANY_DATABASE = "any_database_of_tests"
ANYWHERE = {"DATABASE": ANY_DATABASE, "PORT": "1", "PASSWORD": "any"}
KEEP = "keep what is parsed"
READ_LATE = {"{verify_all: true}", "site_events_by: spark"}
# They look at no data: tests/dbt/test_people_star.py runs each of them once, no build does again.
NO_UNIT_TESTS = ["--exclude-resource-type", "unit_test"]
PARSED_FOR = ("DBT_PROJECT_DIR", "ADSTAR_TARGET", "ADSTAR_SCHEMA_PREFIX")


def dbt(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a dbt command to its end: its exit code, and what it printed."""
    server = _started()
    assert server.stdin
    assert server.stdout
    with NamedTemporaryFile() as output:
        request = {"arguments": arguments, "environment": dict(environment), "output": output.name}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = ""
        try:
            if select.select([server.stdout], [], [], SECONDS)[0]:
                answer = server.stdout.readline()
        finally:
            if not answer:  # the next command must not get the answer to this one
                _end(server)
                _started.cache_clear()
        output.seek(0)
        told = output.read().decode(errors="replace")
    assert answer, f"the process that runs dbt for tests has ended, or dbt has not in {SECONDS} s: {told}"
    return int(answer), told


def completed(arguments: Iterable[str], selector: str) -> list[str]:
    """A command on the nodes of `selector`, if it names none itself; a build leaves out unit tests."""
    given = list(arguments)
    named = {"--select", "--exclude", "source"} & set(given)
    return [
        *given,
        *([] if named else ["--selector", selector]),
        *(NO_UNIT_TESTS if "build" in given else []),
    ]


def parse(environment: Mapping[str, str], target: str = "") -> None:
    """Leave in DBT_TARGET_PATH what `dbt parse` does, so that a `dbt` started there parses only what differs.

    That is for one with the same `--target`.
    """
    code, told = dbt([KEEP, target], environment)
    assert code == 0, told


@functools.cache
def _started() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.resident"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    server.kill()
    server.communicate()


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what dbt has to say while it parses is no answer
    _hush()
    manifests: dict[tuple[str | None, ...], Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        arguments, environment = request["arguments"], request["environment"]
        # Read where SQL is rendered; of others the parsed project might depend, too.
        assert "--vars" not in arguments or READ_LATE & set(arguments)
        key = tuple(map(environment.get, PARSED_FOR))
        if key not in manifests:
            manifests[key] = _parsed(key, environment)
            gc.collect()
            gc.freeze()  # or each command walks through all of it again and again
        child = os.fork()
        if not child:
            _command(manifests[key], arguments, environment, request["output"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers)


def _hush() -> None:
    """What nobody will see isn't put into words: a seventh of dbt's time goes into that of debugging."""
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event

    def heard(self: Any, event: Any, level: Any = None, *more: Any, **named: Any) -> None:
        if (level or event.level_tag()) != EventLevel.DEBUG:
            fire(self, event, level, *more, **named)

    EventManager.fire_event = heard


def _parsed(key: tuple[str | None, ...], environment: Mapping[str, str]) -> Any:
    """The project, parsed once for all processes that share the tests: the next finds what dbt has kept."""
    from dbt_common.clients.jinja import template_cache

    folder = Path(environment["ADSTAR_TESTS_PARSED"]) / hashlib.sha256(repr(key).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.clear()
    os.environ.update({**environment, "DBT_TARGET_PATH": str(folder)})
    for part, text in ANYWHERE.items():  # parsing asks no warehouse, and all is parsed again for another one
        os.environ |= {f"ADSTAR_{engine}_{part}": text for engine in ("POSTGRES", "REDSHIFT")}
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        manifest = _runner(None).invoke(["parse", "--quiet"]).result
    for macro in manifest.macros.values():
        template_cache.get_node_template(macro)
    return manifest


def _command(manifest: Any, arguments: list[str], environment: dict[str, str], output: str) -> NoReturn:
    code = 2
    try:
        file = os.open(output, os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ.clear()
        os.environ.update(environment)
        _move(manifest, environment)
        if arguments[0] == KEEP:
            _keep(manifest, Path(environment["DBT_TARGET_PATH"]), target=arguments[1])
            os._exit(0)
        ended = _runner(manifest).invoke(arguments)
        if ended.exception:
            print(ended.exception)
        code = 2 if ended.exception else 0 if ended.success else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _move(manifest: Any, environment: Mapping[str, str]) -> None:
    """Make of the parsed project that of this database, as it would have been parsed for it."""
    database = environment[f"ADSTAR_{environment['ADSTAR_TARGET'].upper()}_DATABASE"]
    for each in [*manifest.nodes.values(), *manifest.sources.values()]:
        if each.database == ANY_DATABASE:
            each.database = database
            each.relation_name = each.relation_name and each.relation_name.replace(ANY_DATABASE, database)
    manifest.build_flat_graph()


def _keep(manifest: Any, folder: Path, *, target: str) -> None:
    """Write what dbt keeps of a parsed project, with hashes that tell it that this is for its profile."""
    from dbt.artifacts.resources import FileHash
    from dbt.config.runtime import load_profile
    from dbt.parser.manifest import extended_mashumaro_encoder
    from dbt.version import __version__
    from dbt_common.context import set_invocation_context

    set_invocation_context(os.environ)
    profile = load_profile(os.environ["DBT_PROJECT_DIR"], {})
    connection = pprint.pformat(sorted(profile.credentials.connection_info()))
    manifest.state_check.profile_hash = FileHash.from_contents(connection)
    manifest.state_check.vars_hash = FileHash.from_contents("\x00".join(["{}", "", target, __version__]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "partial_parse.msgpack").write_bytes(manifest.to_msgpack(extended_mashumaro_encoder))
    manifest.write(str(folder / "manifest.json"))


def _runner(manifest: Any) -> Any:
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest)


if __name__ == "__main__":
    _serve()
