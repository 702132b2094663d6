"""Where the archive is: objects below a folder or a bucket, encrypted, each there whole or not at all.

    <url>/<source>/bodies/<2 digits>/<address>       a body; its address is a keyed hash of what is in it
    <url>/<source>/packages/<run_seq>.<id>.<state>   what a load package was read from: see tape.py
    <url>/tombstones/<id>                            pseudonyms of the erased: see erasing.py

An object is some pieces of up to 4 MB, each compressed with zstd and encrypted with AES-SIV (RFC 5297) under
a key derived from [privacy] key. Each piece is bound to the object's name, its place in it, and whether it is
the last, so nothing can be cut off, exchanged or moved unseen. AES-SIV needs no nonce: what is equal is
stored once, and whoever has no key can't tell what a body is, not even by trying.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import fsspec
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from fsspec.implementations.local import LocalFileSystem

from loaders._core.crash import kill_point
from loaders._core.errors import AdstarError, ConfigurationError
from loaders._core.privacy.values import Key, Ring

POINTS = ("archive.body_written", "archive.prepared", "archive.counted")
"""Where a test may have the process killed, beside those of crash.py."""
_MAGIC = b"adstar archive 1\n"
_PIECE = 4 << 20
_LENGTHS = struct.Struct(">IIB")  # of the ciphertext, of the plain piece, and 1 if it is the last
_CODEC = pa.Codec("zstd")


class ArchiveError(AdstarError):
    """The archive can't be written or read; the message names the object."""


class Store:
    """The objects of an archive.

    Args:
        url: a folder or an address that fsspec knows, such as ``s3://bucket/archive``.
        kms_key_id: with which key of AWS's S3 shall encrypt as well; none: its own.

    Raises:
        ConfigurationError: there can be no archive at this address.
    """

    def __init__(self, url: str, ring: Ring, kms_key_id: str = "") -> None:
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if url.startswith(("s3://", "s3a://")):
            encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
            options["s3_additional_kwargs"] = encrypted if kms_key_id else {"ServerSideEncryption": "AES256"}
        try:
            self._files, self._root = fsspec.core.url_to_fs(url.rstrip("/"), **options)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"archive.url is {url!r}, where there can be no archive ({error}); write the path of a folder"
                " or s3://bucket/prefix"
            ) from None
        self.url = url.rstrip("/")
        self._ring = ring
        self._is_local = isinstance(self._files, LocalFileSystem)

    def keep(self, source: str, body: IO[bytes]) -> tuple[str, int]:
        """Keep a body, once, whatever it is the answer to; its address and length in bytes."""
        digest, size = self._ring.current.archive_hash(), 0
        body.seek(0)
        while piece := body.read(_PIECE):
            digest.update(piece)
            size += len(piece)
        address = f"{self._ring.current.id}-{digest.hexdigest()[:40]}"
        path = _body(source, address)
        if not self.exists(path):
            body.seek(0)
            self._write(path, iter(lambda: body.read(_PIECE), b""))
            kill_point("archive.body_written")
        return address, size

    @property
    def key(self) -> Key:
        """What is written from now on is encrypted with this one."""
        return self._ring.current

    def keep_bytes(self, source: str, body: bytes) -> str:
        """Keep a body that is in memory; its address."""
        return self.keep(source, io.BytesIO(body))[0]

    def body(self, source: str, address: str) -> Iterator[bytes]:
        """The pieces of a body.

        Raises:
            ArchiveError: it is not there, or not as it was written.
        """
        return self.read(_body(source, address))

    def write(self, path: str, content: bytes) -> None:
        """Write an object, in place of what was there."""
        self._write(path, iter([content] if content else []))

    def read(self, path: str) -> Iterator[bytes]:
        """The pieces of an object; errors as ``body``."""
        with self._telling("read", path), self._files.open(self._at(path), "rb") as file:
            head = file.read(len(_MAGIC) + 8)
            key_id = head[len(_MAGIC) :].decode("ascii", "replace")
            if not head.startswith(_MAGIC):
                raise ArchiveError(f"{self._at(path)} is damaged: it is no object of an archive")
            key, index, is_last = self._ring.key_of(f"{key_id}:"), 0, 0
            while not is_last:
                lengths = file.read(_LENGTHS.size)
                try:
                    sealed, plain, is_last = _LENGTHS.unpack(lengths)
                    about = [path.encode(), struct.pack(">Q", index), lengths]
                    packed = key.archive_open(file.read(sealed), about)
                except (struct.error, InvalidTag, ValueError):
                    raise ArchiveError(
                        f"{self._at(path)} is damaged, in its piece {index + 1}: restore it from a copy"
                        " of the archive; without it the packages that were read from it can't be made again"
                    ) from None
                yield _CODEC.decompress(packed, decompressed_size=plain, asbytes=True)
                index += 1

    def exists(self, path: str) -> bool:
        """Is this object there?"""
        with self._telling("look for", path):
            return bool(self._files.exists(self._at(path)))

    def names(self, folder: str) -> list[str]:
        """The names of the objects in a folder, in order; none if there is no such folder."""
        return sorted(name for name in map(_name, self._listed(folder, detail=False)) if name)

    def stamps(self, folder: str) -> dict[str, int]:
        """As ``names``, and of each what is another number when it has been written anew."""
        listed = self._listed(folder, detail=True)
        return {name: hash(repr(each)) for each in listed if (name := _name(each["name"]))}

    def sources(self) -> list[str]:
        """The sources that there are answers of."""
        return [name for name in self.names("") if name != "tombstones"]

    def addresses(self, source: str) -> list[str]:
        """Where the bodies of a source are."""
        folder = f"{source}/bodies"
        return [name for part in self.names(folder) for name in self.names(f"{folder}/{part}")]

    def remove(self, path: str) -> None:
        """Remove an object; one that is gone already is no error."""
        with self._telling("remove", path), suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def remove_body(self, source: str, address: str) -> None:
        """Remove a body."""
        self.remove(_body(source, address))

    def _listed(self, folder: str, *, detail: bool) -> list[Any]:
        with self._telling("list", folder):
            try:
                return list(self._files.ls(self._at(folder), detail=detail))
            except FileNotFoundError:
                return []

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _write(self, path: str, pieces: Iterable[bytes]) -> None:
        final = self._at(path)
        with self._telling("write", path):
            folder = os.path.dirname(final) if self._is_local else None
            if folder:
                os.makedirs(folder, exist_ok=True, mode=0o700)
            # In the folder that it is renamed in, so that it is there whole or not at all; S3 is like that.
            handle, part = tempfile.mkstemp(prefix=".part-", dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    for block in self._sealed(path, pieces):
                        file.write(block)
                    file.flush()
                    os.fsync(file.fileno())
                if self._is_local:
                    Path(part).replace(final)
                else:
                    self._files.put_file(part, final)
            finally:
                Path(part).unlink(missing_ok=True)

    def _sealed(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        key = self._ring.current
        yield _MAGIC + key.id.encode()
        each = iter(pieces)
        piece: bytes | None = next(each, b"")
        index = 0
        while piece is not None:
            following = next(each, None)
            packed = _CODEC.compress(piece, asbytes=True)
            lengths = _LENGTHS.pack(len(packed) + 16, len(piece), following is None)
            yield lengths + key.archive_seal(packed, [path.encode(), struct.pack(">Q", index), lengths])
            piece, index = following, index + 1

    @contextmanager
    def _telling(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise ArchiveError(
                f"{self._at(path)} is missing from the archive; restore it from a copy, and see whether a"
                " rule of the bucket removes objects"
            ) from None
        except (AdstarError, GeneratorExit):
            raise
        except Exception as error:  # whatever the file system's own library calls it
            raise ArchiveError(
                f"can't {verb} {self._at(path)} ({type(error).__name__}: {error}); see that the place of"
                " archive.url is there, has room, and that these credentials may use it"
            ) from None


def _name(path: str) -> str:
    """Its own name within its folder; empty for the folder itself, and for what is still being written."""
    name = path.rstrip("/").rpartition("/")[2]
    return "" if name.startswith(".") else name


def _body(source: str, address: str) -> str:
    return f"{source}/bodies/{address.rpartition('-')[2][:2]}/{address}"
