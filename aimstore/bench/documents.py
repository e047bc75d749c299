"""JSON documents of benchmarks, results and shapes: each has a format and a version, which are checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aimstore.errors import ConfigError, StorageError


@dataclass(frozen=True)
class Format:
    """A kind of document.

    Attributes:
        name: in the document.
        version: that is written and read.
        command: that writes it.
    """

    name: str
    version: int
    command: str

    def to_json(self, content: Mapping[str, Any]) -> str:
        """The document of this content."""
        document = {"format": self.name, "version": self.version, **content}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def read(self, path: Path) -> str:
        """The text of a file.

        Raises:
            ConfigError: it is no text.
            StorageError: the file cannot be read.
        """
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path} was not written by `{self.command}`") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from error

    @contextmanager
    def parse(self, text: str, source: str) -> Iterator[dict[str, Any]]:
        """Lend the content of a document. Inside the block, errors that content of another form causes are damage.

        Raises:
            ConfigError: it is no such document, of another version, or damaged; the message names `source`.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{source} is not JSON: {error}") from None
        if not isinstance(content, dict) or content.pop("format", None) != self.name:
            raise ConfigError(f"{source} was not written by `{self.command}`")
        if (version := content.pop("version", None)) != self.version:
            raise ConfigError(
                f"{source} has version {version!r}; this aimstore reads version {self.version}: "
                "use the aimstore that wrote it, or make it again"
            )
        try:
            yield content
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{source} is damaged: {error}") from None
