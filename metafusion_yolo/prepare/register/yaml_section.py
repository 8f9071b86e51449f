"""Replace one section of a YAML file and keep the rest of its text, including comments."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import replacing


def write_section(file: str | Path, key: str, section: Mapping[Any, Any], comment: str = "") -> None:
    """Write a section at the top level of a YAML file, in place of one of that name or at the end.

    The file is replaced atomically; a link stays a link.

    Args:
        file: The YAML file, a mapping.
        key: Name of the section.
        section: Its content, of plain values.
        comment: One line after the name.

    Raises:
        ValueError: If the section cannot be added to the text, such as a mapping in braces; nothing is written.
        FileNotFoundError: If there is no such file.
    """
    path = Path(file).resolve()
    with path.open(encoding="utf-8", newline="") as stream:  # keeps the line ends
        before = stream.read()
    after = replaced(before, key, section, comment)
    try:
        unharmed = yaml.safe_load(after) == {**yaml.safe_load(before), key: section}
    except yaml.YAMLError:
        unharmed = False
    if not unharmed:
        text = yaml.safe_dump({key: section}, default_flow_style=True, width=10**6).strip()
        raise UserValueError(f"'{file}' cannot be changed automatically; add this by hand: {text[1:-1]}")
    with replacing(path) as part:
        part.write_text(after, encoding="utf-8", newline="")
        shutil.copymode(path, part)


def replaced(text: str, key: str, section: Mapping[Any, Any], comment: str = "") -> str:
    r"""Return a YAML text with a section of its top level replaced, or added at the end.

    Examples:
        >>> replaced("a: [1] # one\nb: 2\n", "b", {"c": [1, 2]}, "new")
        'a: [1] # one\nb: # new\n  c: [1, 2]\n'
    """
    body = yaml.safe_dump({key: section}, default_flow_style=None, sort_keys=False, width=100, allow_unicode=True)
    body = body.replace(f"{key}:", f"{key}: # {comment}", 1) if comment else body
    newline = "\r\n" if "\r\n" in text else "\n"
    body = body.replace("\n", newline)
    start, end = _extent(text, key)
    if start < end:
        return text[:start] + body + text[end:]
    gap = newline if text and not text.endswith("\n") else ""
    return f"{text}{gap}{newline}{body}"


def _extent(text: str, key: str) -> tuple[int, int]:
    """Return start and end of a section of the top level, in whole lines; the end of the text twice without it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for name, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key:
            # For the parser a block ends where the next one starts; comments between belong to the next one.
            lines = text[name.start_mark.index : value.end_mark.index].splitlines(keepends=True)
            while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
                lines.pop()
            end = name.start_mark.index + sum(map(len, lines))
            if not lines[-1].endswith("\n"):  # the rest of a line, such as a comment
                end = text.find("\n", end) + 1 or len(text)
            return name.start_mark.index, end
    return len(text), len(text)
