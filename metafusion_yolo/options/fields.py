"""What a field of the options says of an argument, and the checks that follow from it."""

import os
from collections.abc import Iterable
from dataclasses import Field, field, fields
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from metafusion_yolo.support.errors import UserTypeError, UserValueError
from metafusion_yolo.support.words import nearest

REQUIRED = "required"
Self = TypeVar("Self", bound="Checked")
STANDS_FOR: dict[type, Any] = {int: Integral, float: Real, str: (str, os.PathLike)}
WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a name or path",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    object: "an image",
}


def option(default: Any, meaning: str, **more: Any) -> Any:
    """Describe an argument.

    Args:
        default: Its default; `REQUIRED` if the command must be given it.
        meaning: What it is, in a line.
        **more: `choices`, the words it accepts; `least`, `most`, `below`, its range; `name`, if the command calls it
            otherwise; `shown`, the default that the help shows; `also`, further types that it accepts; `never`, types
            that it rejects although it accepts objects.
    """
    return field(default=default, metadata={"meaning": meaning, **more})


class Option(NamedTuple):
    """An argument as its field describes it."""

    name: str
    default: Any
    meaning: str
    kinds: tuple[type, ...]
    more: dict[str, Any]

    @classmethod
    def of(cls, item: Field[Any], hint: Any) -> "Option":
        """Read a field whose type is `hint`."""
        more = dict(item.metadata)
        kinds = tuple(get_origin(kind) or kind for kind in (get_args(hint) if _is_union(hint) else (hint,)))
        kinds = tuple(kind for kind in kinds if kind is not Any) + tuple(more.get("also", ()))
        return cls(more.get("name", item.name), item.default, more["meaning"], kinds, more)

    @property
    def shown(self) -> str:
        """The default as the help shows it."""
        return str(self.more.get("shown", "-" if self.default is None else self.default))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it accepts; none if any will do."""
        return tuple(self.more.get("choices", ()))

    def check(self, value: Any) -> None:
        """Check a value.

        Raises:
            UserTypeError: If its type is wrong.
            UserValueError: If it is not among the choices, or out of the range.
        """
        said = f"'{self.name}={value}' is invalid"
        if value is None and self.default is None:
            return
        if self.choices:
            if value not in self.choices:
                raise UserValueError(f"{said}, {nearest(value, self.choices)}")
            return
        never = isinstance(value, self.more.get("never", ()))
        if never or (self.kinds and not any(_is(value, kind) for kind in self.kinds)):
            words = dict.fromkeys(WORDS[kind] for kind in self.kinds if kind in WORDS)
            raise UserTypeError(f"{said}, expected {' or '.join(words)}")
        if isinstance(value, Real) and not isinstance(value, bool):
            self._check_range(value, said)

    def _check_range(self, value: Any, said: str) -> None:
        least, most, below = (self.more.get(key) for key in ("least", "most", "below"))
        low = least is not None and not (value >= least or value == self.more.get("or_else"))
        if low or (most is not None and not value <= most) or (below is not None and not value < below):
            upper = f" and at most {most}" if most is not None else f" and below {below}" if below is not None else ""
            other = f", or {self.more['or_else']}" if "or_else" in self.more else ""
            raise UserValueError(f"{said}, expected at least {least}{upper}{other}: {self.meaning}")


def _is_union(hint: Any) -> bool:
    return len(get_args(hint)) > 1 and get_origin(hint) not in (list, tuple, dict)


def _is(value: Any, kind: type) -> bool:
    """Return whether a value can stand for a type: a path for text, a whole number for a number, a bool for none."""
    if isinstance(value, bool):
        return kind in (bool, object)
    return isinstance(value, STANDS_FOR.get(kind, kind))


def options_of(*concerns: type) -> dict[str, Option]:
    """Return the arguments of some dataclasses by the name that the command gives them."""
    found = [Option.of(f, get_type_hints(concern)[f.name]) for concern in concerns for f in fields(concern)]
    return {one.name: one for one in found}


class Checked:
    """A dataclass that checks its fields when it is made."""

    @classmethod
    def of(cls: type[Self], given: dict[str, Any]) -> Self:
        """Take its fields, by the names that the command gives them, out of other arguments, which are left."""
        names = {item.metadata.get("name", item.name): item.name for item in fields(cls)}  # type: ignore[arg-type]
        return cls(**{field: given.pop(name) for name, field in names.items() if name in given})

    def __post_init__(self) -> None:
        """Check the values; see :meth:`Option.check` for what is raised."""
        hints = get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            Option.of(item, hints[item.name]).check(getattr(self, item.name))


def reference(modes: Iterable[tuple[str, dict[str, Option]]]) -> str:
    """Return the reference page in Markdown: a list a mode; what an earlier mode has too is named only."""
    text = """\
# Arguments

Defaults are in brackets. Modes with a model take those of Ultralytics too (`yolo cfg`), all that write files its
`project`, `name` and `exist_ok`. `python -m metafusion_yolo.cli.reference` writes this page.
"""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for mode, options in modes:
        also: dict[str, list[str]] = {}
        rows = ""
        for name, one in options.items():
            if name in {"project", "name", "exist_ok"}:
                continue
            shown = f"`{name}`{'' if one.shown == '-' else f' ({one.shown})'}"
            earlier, default = seen.setdefault((name, one.meaning), (mode, one.shown))
            if earlier == mode:
                rows += f"* {shown}: {one.meaning}\n"
            else:
                also.setdefault(earlier, []).append(f"`{name}`" if one.shown == default else shown)
        refer = "; ".join(f"[{m}](#{m.replace(' ', '-')}): {', '.join(names)}" for m, names in also.items())
        text += f"\n## {mode}\n\n{rows}" + (f"* as in {refer}\n" if refer else "")
    return text
