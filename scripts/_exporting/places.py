"""Where an export goes: a folder of this machine, or a prefix in a bucket of S3. Used by scripts/_export.py.

Both show a file only when it is whole, never change one, and replace a manifest only if it is still the one
that the export has begun with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from loaders._core.errors import AdstarError, ConfigurationError

NEW = ""
"""The version of a file that is not there yet."""


class PlaceError(AdstarError):
    """The place can't be read or written. The manifests that it has still lead to whole exports."""


class Overtaken(AdstarError):
    """Another export of the same mart has published in the meantime."""


class Sink:
    """A file that is being written, with its length in bytes and its SHA-256."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        """Nothing is written yet."""
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Add bytes."""
        self._hash.update(data)
        self.bytes += memoryview(data).nbytes
        return self._file.write(data)

    def flush(self) -> None:
        """Nothing: the place flushes once it is whole."""

    @property
    def sha256(self) -> str:
        """Of what has been written so far, in hexadecimal digits."""
        return self._hash.hexdigest()


class Place(Protocol):
    """Files by their paths, which have slashes. Each method may raise a PlaceError."""

    url: str

    def list(self, folder: str) -> dict[str, int]:
        """All files below a folder, whole or not: path from that folder on, and size in bytes."""

    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small file and its version; None if there is none."""

    def write(self, path: str, body: bytes, replacing: str | None = None) -> None:
        """Write a small file at once; an Overtaken if its version is not ``replacing`` (None: any)."""

    def create(self, path: str) -> Any:
        """A context manager that gives a Sink. The file is there once the block has ended well."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is gone already is no error."""


def open_place(url: str, kms_key_id: str = "") -> Place:
    """The place of an address: ``s3://bucket/prefix``, ``file:///folder``, or the path of a folder.

    Args:
        kms_key_id: with which key of AWS' S3 shall encrypt; none: as the bucket says.

    Raises:
        ConfigurationError: it is of another kind, or names no bucket.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        if not parts.netloc:
            raise ConfigurationError(f"{url} names no bucket; write s3://bucket/prefix")
        return Bucket(parts.netloc, parts.path.strip("/"), kms_key_id)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Folder(Path(unquote(parts.path)))
    if "://" in url or not url:
        raise ConfigurationError(
            f"{url!r} is no place for an export; ADSTAR_EXPORT_URL (or --to) is the path of a folder or"
            " s3://bucket/prefix"
        )
    return Folder(Path(url))


class Folder:
    """A folder of this machine, or one that is mounted; it must know locks and renaming."""

    def __init__(self, root: Path) -> None:
        """It need not exist yet."""
        self._root = root.absolute()
        self.url = str(self._root)

    def list(self, folder: str) -> dict[str, int]:
        """As ``Place.list``."""
        below = self._root / folder
        with self._telling("list", folder):
            return {
                path.relative_to(below).as_posix(): path.stat().st_size
                for path in below.rglob("*")
                if path.is_file() and path.name != ".lock"
            }

    def read(self, path: str) -> tuple[bytes, str] | None:
        """As ``Place.read``; the version is a hash."""
        with self._telling("read", path):
            try:
                body = (self._root / path).read_bytes()
            except FileNotFoundError:
                return None
        return body, hashlib.sha256(body).hexdigest()

    def write(self, path: str, body: bytes, replacing: str | None = None) -> None:
        """As ``Place.write``."""
        if replacing is None:
            return self._write(path, body)
        with self._telling("write", path):
            lock = (self._root / path).parent / ".lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                found = self.read(path)
                if (found[1] if found else NEW) != replacing:
                    raise Overtaken(f"{path} is not the one any more that this export has begun with")
                self._write(path, body)

    def _write(self, path: str, body: bytes) -> None:
        with self.create(path) as sink:
            sink.write(body)

    @contextmanager
    def create(self, path: str) -> Iterator[Sink]:
        """As ``Place.create``; it survives a power cut, too."""
        final = self._root / path
        unfinished = final.with_name(f".{final.name}.part")
        with self._telling("write", path):
            final.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                yield Sink(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(final)
            folder = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self, paths: Iterable[str]) -> None:
        """As ``Place.remove``; folders that are empty then go, too."""
        for path in paths:
            with self._telling("remove", path):
                gone = self._root / path
                gone.unlink(missing_ok=True)
                for folder in gone.parents:
                    if folder == self._root or any(folder.iterdir()):
                        break
                    folder.rmdir()

    @contextmanager
    def _telling(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PlaceError(_told(verb, f"{self._root}/{path}", error.strerror or str(error))) from None


class Bucket:
    """A prefix in a bucket. Credentials and region come from AWS' own chain, as boto3 knows it."""

    def __init__(self, bucket: str, prefix: str, kms_key_id: str = "") -> None:
        """Nothing is asked for yet."""
        # Slow to import, and a folder needs none of it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._answered: type[Exception] = ClientError
        self._errors = (BotoCoreError, ClientError, OSError)
        self._encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
        config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
        with self._telling("open", ""):
            self._client = boto3.client("s3", config=config)

    def list(self, folder: str) -> dict[str, int]:
        """As ``Place.list``."""
        below = f"{self._prefix}{folder}/"
        with self._telling("list", folder):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
            return {
                found["Key"].removeprefix(below): found["Size"]
                for page in pages
                for found in page.get("Contents", ())
            }

    def read(self, path: str) -> tuple[bytes, str] | None:
        """As ``Place.read``; the version is the ETag."""
        with self._telling("read", path):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)
            except self._client.exceptions.NoSuchKey:
                return None
            return answer["Body"].read(), answer["ETag"]

    def write(self, path: str, body: bytes, replacing: str | None = None) -> None:
        """As ``Place.write``, by S3's conditional writes.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        condition: dict[str, str] = {}
        if replacing is not None:
            condition = {"IfMatch": replacing} if replacing else {"IfNoneMatch": "*"}
        with self._telling("write", path):
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + path, Body=body, **condition, **self._encrypted
                )
            except self._client.exceptions.ClientError as error:
                if condition and error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412):
                    if error.response["Error"].get("Code") == "NoSuchBucket":
                        raise
                    raise Overtaken(
                        f"{path} is not the one any more that this export has begun with"
                    ) from None
                raise

    @contextmanager
    def create(self, path: str) -> Iterator[Sink]:
        """As ``Place.create``. It is kept on disk until it is whole, so that parts can be sent again."""
        with self._telling("write", path), tempfile.TemporaryFile() as file:
            yield Sink(file)
            file.seek(0)
            self._client.upload_fileobj(
                file, self._bucket, self._prefix + path, ExtraArgs=self._encrypted or None
            )

    def remove(self, paths: Iterable[str]) -> None:
        """As ``Place.remove``."""
        keys = [{"Key": self._prefix + path} for path in paths]
        for first in range(0, len(keys), 1000):
            with self._telling("remove", keys[first]["Key"]):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": keys[first : first + 1000], "Quiet": True}
                )
                for failed in answer.get("Errors", ()):
                    raise PlaceError(_told("remove", failed["Key"], failed.get("Message", "")))

    @contextmanager
    def _telling(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise PlaceError(_told(verb, f"{self.url}/{path}".rstrip("/"), str(error))) from None


def _told(verb: str, path: str, why: str) -> str:
    return (
        f"can't {verb} {path}: {why}. What was published before is untouched. See that the place of"
        " ADSTAR_EXPORT_URL exists, has room and may be written, then run scripts/export again: it goes on"
        " with what is missing"
    )
