"""Completion scripts for shells, made from the modes and their options: `metafusion completion bash`."""

from __future__ import annotations

from collections.abc import Sequence

from metafusion_yolo.cli.help import SPECIAL
from metafusion_yolo.cli.modes import MODES
from metafusion_yolo.cli.parsing import host_arguments
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest

BASH = """_metafusion() {{
  local line="${{COMP_WORDS[*]:1:COMP_CWORD-1}}" word="${{COMP_WORDS[COMP_CWORD]}}" known
  line="${{line#detect }} "
  case "$line" in
{cases}
  *) known="{first}" ;;
  esac
  COMPREPLY=($(compgen -W "$known" -- "$word"))
  [[ ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}}
complete -o default -F _metafusion metafusion"""


def completion(words: Sequence[str]) -> str:
    """Return the script of a shell.

    Args:
        words: The name of the shell alone.

    Raises:
        UserValueError: For another shell.
    """
    shells = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    if len(words) != 1 or words[0] not in shells:
        hint = nearest(words[0], shells) if words else "give bash, zsh or fish"
        raise UserValueError(f"no completion for '{' '.join(words)}', {hint}")
    return shells[words[0]]()


def _arguments() -> dict[str, list[str]]:
    """Return the arguments of every mode, `key=` each."""
    host = host_arguments()
    return {name: [f"{k}=" for k in (*mode.options, *(host if mode.host else ()))] for name, mode in MODES.items()}


def _first() -> list[str]:
    """Return the words that can stand first."""
    return sorted({name.partition(" ")[0] for name in MODES} | {"detect", *SPECIAL})


def _bash() -> str:
    cases = [f'  "{name} "*) known="{" ".join(keys)}" ;;' for name, keys in _arguments().items()]
    cases += [f'  "data "*) known="{" ".join(name[5:] for name in MODES if name.startswith("data "))}" ;;']
    return BASH.format(cases="\n".join(cases), first=" ".join(_first()))


def _zsh() -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"


def _fish() -> str:
    lines = [f"complete -c metafusion -n __fish_use_subcommand -a '{' '.join(_first())}'"]
    for name, keys in _arguments().items():
        seen = " ".join(f"; and __fish_seen_subcommand_from {word}" for word in name.split())[6:]
        lines.append(f"complete -c metafusion -n '{seen}' -a '{' '.join(keys)}'")
    return "\n".join(lines)
