"""``dlt pipeline NAME run --from-archive``: raw from the archive alone, by the code that reads the vendor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from loaders._core.archive.configured import cannot, settings_again, store_of
from loaders._core.archive.current import Tape
from loaders._core.archive.erasing import restore_tombstones
from loaders._core.archive.store import ArchiveError, Store
from loaders._core.archive.tape import Package, Player, Task, read_package
from loaders._core.declare import Account, Loader, Resource, Window
from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.lease import Lease
from loaders._core.ops import Run
from loaders._core.run import SourceRun
from loaders._core.warehouse import Target
from loaders._core.windows import Chunk


class Rebuild(SourceRun):
    """Lands the packages of a source's archive that the warehouse does not have, run by run, in their order.

    Clock, settings and numbers of the runs are those of then. Broken off, it goes on where it stopped. An
    error of any kind ends it: what was once read can be read again.
    """

    def __init__(self, loader: Loader, target: Target, **options: Any) -> None:
        self._declared = loader
        self._player: Player | None = None
        self._package: Package | None = None
        super().__init__(replace(loader, resources_of=None), loader.settings(), target, **options)

    def _tape(self) -> Tape:
        if self.loader.archived is None:
            raise UsageError(f"{self.loader.name} can't be made from the archive: {cannot(self.loader.name)}")
        store = store_of(self._target)
        if store is None:
            raise ConfigurationError(
                'there is no archive: put its place into .dlt/config.toml under\n  [archive]\n  url = "..."\n'
                "or into the environment (ARCHIVE__URL)"
            )
        self._store = store
        self._player = Player(store, self.loader.name)
        return self._player

    def _execute(self) -> None:
        assert self._player
        self.books.prepare()
        restore_tombstones(self._store, self._target)
        packages = self._missing(list(counted(self._store, self.loader.name, self.books.is_committed)))
        if not packages:
            self.notes.append("the warehouse has every package of the archive")
            self.result.message = self._message()
            return
        self.clock = self._player.clock
        with Lease(self._target, self.loader.name, above=packages[-1].run_seq) as lease:
            self.books.close_dead_runs()
            for run_id, group in groupby(packages, lambda package: package.run_id):
                self._rebuild(run_id, list(group), lease)
        if self._player.others:
            self.notes.append(
                f"{self._player.others:,} sets have another hash than then, because a person was erased from"
                " them or columns came in another order; their receipts have the hash of then"
            )
        self.result.message = self._message()

    def _missing(self, packages: list[Package]) -> list[Package]:
        """The packages that have not landed.

        Raises:
            UsageError: others have landed behind them, and rows of theirs would count no more.
        """
        landed = self.books.commits()
        left = list(packages)
        for run_seq, run_id in landed:
            if left and left[0].run_id == run_id:
                del left[0]
            elif any(package.run_id == run_id for package in packages) or not left:
                continue
            elif run_seq > left[0].run_seq:
                name = self.loader.name
                raise UsageError(
                    f"raw_{name} has rows of run_seq {run_seq}, which is not in the archive, and package"  # noqa: S608
                    f" {left[0].run_seq} of it must come before them; make room for all of it first:"
                    f" drop schema raw_{name} cascade; delete from ops.commits where pipeline = '{name}';"
                    f" delete from ops.columns where pipeline = '{name}'"
                )
        return left

    def _rebuild(self, run_id: str, packages: list[Package], lease: Lease) -> None:
        assert self._player
        first = packages[0]
        run = Run(run_id, first.pipeline, first.mode, first.since, first.until, first.api_version)
        self._player.load(first)
        self.settings = settings_again(self._declared, first.settings)
        self.loader = self._declared.made_for(self.settings)
        if any(run_id == begun for _, begun in self.books.commits()):
            self.books.resume(run)
        else:
            self.books.begin(run, self.clock.now())
        try:
            self._protect()
            with self.loader.connect(self.settings, self.clock) as api:
                names = self._names()
                landing = self._landing(names)
                for package in packages:
                    self._package = package
                    self._player.load(package)
                    accounts = {account.id: account for account in self.accounts(api)}
                    lease.wanted = package.run_seq
                    lease.advance()
                    self._land_chunk(
                        api, lease, run, Chunk(), accounts=accounts, landing=landing, names=names
                    )
        except BaseException as error:
            self._end(run, "failed", self._message(error))
            raise
        self._end(run, "ok", None)

    def _tasks(
        self, api: Any, chunk: Chunk, accounts: dict[str, Account]
    ) -> Iterator[tuple[Account, Window | None, list[Resource]]]:
        assert self._package
        for task in self._package.tasks:
            window = Window(task.since, task.until) if task.since and task.until else None
            resources = [self._resource(name) for name in task.resources]
            yield self._account(api, task, resources, accounts), window, resources

    def _resource(self, name: str) -> Resource:
        found = next((each for each in self.loader.resources if each.name == name), None)
        if found is None:
            raise ArchiveError(
                f"the archive has answers of {self.loader.name}.{name}, which the loader does not read any"
                " more; rebuild with the adstar that wrote them"
            )
        return found

    def _account(
        self, api: Any, task: Task, resources: list[Resource], accounts: dict[str, Account]
    ) -> Account:
        if not any(resource.per_account for resource in resources):
            return self.loader.root(api)
        if task.account not in accounts:
            raise ArchiveError(
                f"the list of accounts in the archive does not have {task.account}, whose rows it has: it is"
                " damaged, or the loader was changed since"
            )
        return accounts[task.account]

    def _fail(self, account: Account, window: Window | None, error: Exception, run: Run) -> None:
        raise ArchiveError(f"account {account.id}, read from the archive: {error}") from error


def counted(store: Store, pipeline: str, is_committed: Any) -> Iterator[Package]:
    """The packages that count, in the order of their numbers.

    One whose run was killed at its commit, and after which no run came that has settled it, counts if it is
    the newest: it had been read and loaded whole.
    """
    folder = f"{pipeline}/packages"
    names = [name for name in store.names(folder) if not name.endswith(".failed")]
    done = {name.removesuffix(".counted") for name in names if name.endswith(".counted")}
    for number, name in enumerate(names):
        if name.endswith(".prepared"):
            if name.removesuffix(".prepared") in done:
                continue  # killed between the two
            package = read_package(store, folder, name)
            if number == len(names) - 1 or is_committed(package.run_seq, package.load_id):
                yield package
        else:
            yield read_package(store, folder, name)
