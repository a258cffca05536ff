"""The comments of the protos. Descriptors at run time have none, a compiler's image has."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from protos.generate import write_image

OURS = "smart_audit/"
# Characters of a summary, which a menu shows.
SHORT = 70
# A full stop ends a sentence when a space and a capital follow it, or nothing at all.
SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)[.](?=\s+[A-Z`\[(]|\s*$)", re.DOTALL)


class Comments:
    """What the protos say of each thing, by its full name."""

    def __init__(self, image: FileDescriptorSet) -> None:
        self._texts = {
            _name_at(file, location.path): _paragraphs(location.leading_comments)
            for file in image.file
            if file.name.startswith(OURS)
            for location in file.source_code_info.location
            if location.leading_comments
        }

    def of(self, full_name: str) -> str:
        """The comment, as Markdown. Raises: KeyError when there is none."""
        return self._texts[full_name]

    def parts_of(self, full_name: str) -> tuple[str, str]:
        """A short first sentence without its full stop, and what is left to say.

        Of a long first sentence it is the beginning, and all is left to say.
        """
        text = self.of(full_name)
        end = SENTENCE.search(text)
        first = text[: end.start()] if end else text
        if len(first) <= SHORT:
            return first, text[len(first) + 1 :].strip()
        return re.split("[,;:] ", first, maxsplit=1)[0], text


def read_comments() -> Comments:
    """Compile the protos for their comments."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "protos.binpb"
        write_image(image, revision=None)
        return Comments(FileDescriptorSet.FromString(image.read_bytes()))


def _name_at(file: FileDescriptorProto, path: Sequence[int]) -> str:
    """The full name of what stands at a path of `SourceCodeInfo`: field numbers and places."""
    names, at = [file.package], file
    numbers = iter(path)
    for number in numbers:
        field: Any = at.DESCRIPTOR.fields_by_number[number]
        value = getattr(at, field.name)
        if not field.is_repeated:
            break
        at = value[next(numbers)]
        if not hasattr(at, "name"):
            break
        names.append(at.name)
    return ".".join(names)


def _paragraphs(comment: str) -> str:
    """Lines joined to paragraphs; the empty lines between these stay."""
    lines = [line.strip() for line in comment.strip().splitlines()]
    return re.sub(r"(?<!\n)\n(?!\n)", " ", "\n".join(lines))
