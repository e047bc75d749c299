"""`Text`: a text as an object of its own."""

from __future__ import annotations

from dataclasses import dataclass

from aimstore.objects.stored import FieldsCodec, StoredObject, checked_text


@dataclass(frozen=True)
class Text(StoredObject):
    """A text. A plain str can be tracked as well; one sequence, of kind "text", may hold both.

    Attributes:
        text: the str.

    Raises:
        TypeError: `text` is not a str.
        EncodingError: `text` has a lone surrogate, which UTF-8 cannot hold.
    """

    text: str

    def __post_init__(self) -> None:
        self._set(text=checked_text(self.text, "the text"))

    def __str__(self) -> str:
        return self.text


codec = FieldsCodec(Text, text=str)
