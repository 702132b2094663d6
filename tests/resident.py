"""dbt for tests, loaded once: a process imports it and parses the project, each command is a fork of that.

Started anew, dbt takes six seconds of CPU before its first statement, and tests give it some thirty commands.
What is about the command itself (kills, the demo, settings) starts `dbt`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
SECONDS = 1800


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
    manifests: dict[tuple[str | None, ...], Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        arguments, environment = request["arguments"], request["environment"]
        # What the parsed project depends on beside its files: the profile (a folder for each) and variables.
        place = environment["DBT_TARGET_PATH"]
        variables = arguments[arguments.index("--vars") + 1] if "--vars" in arguments else None
        if (place, variables) not in manifests:
            parse = ["parse", "--quiet", *(["--vars", variables] if variables else [])]
            os.environ.clear()
            os.environ.update(environment)
            manifests[place, variables] = _runner(None).invoke(parse).result
            gc.collect()
            gc.freeze()  # or each command walks through all of it again and again
        child = os.fork()
        if not child:
            _command(manifests[place, variables], arguments, environment, request["output"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers)


def _command(manifest: Any, arguments: list[str], environment: dict[str, str], output: str) -> NoReturn:
    code = 2
    try:
        file = os.open(output, os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ.clear()
        os.environ.update(environment)
        ended = _runner(manifest).invoke(arguments)
        if ended.exception:
            print(ended.exception)
        code = 2 if ended.exception else 0 if ended.success else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _runner(manifest: Any) -> Any:
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest)


if __name__ == "__main__":
    _serve()
