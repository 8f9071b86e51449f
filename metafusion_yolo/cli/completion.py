"""Completion scripts for shells, made from the modes and their options: `metafusion completion bash`."""

from collections.abc import Sequence

from metafusion_yolo.cli.help import SPECIAL
from metafusion_yolo.cli.modes import MODES, TASKS
from metafusion_yolo.cli.parsing import host_arguments
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest

SHELLS = ("bash", "zsh", "fish")
BASH = """_metafusion() {{
  local line="" known i IFS=$'\\n'
  for ((i = 1; i < COMP_CWORD; i++)); do line="$line${{COMP_WORDS[i]}} "; done
  for i in {tasks}; do line="${{line#$i }}"; done
  case "$line" in
{cases}
  *) known="{first}" ;;
  esac
  COMPREPLY=($(IFS=" "; compgen -W "$known" -- "${{COMP_WORDS[COMP_CWORD]}}" | sed 's/[^=]$/& /'))
  return 0
}}
complete -o default -o nospace -F _metafusion metafusion"""


def completion(words: Sequence[str]) -> str:
    """Return the completion script of a shell, the only word.

    Raises:
        UserValueError: If it is none of :data:`SHELLS`.
    """
    if len(words) != 1 or words[0] not in SHELLS:
        hint = nearest(words[0], SHELLS) if words else "give bash, zsh or fish"
        raise UserValueError(f"no completion for '{' '.join(words)}', {hint}")
    if words[0] == "fish":
        return _fish()
    return _bash() if words[0] == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{_bash()}"


def _following() -> dict[str, list[str]]:
    """Return the words that can follow a mode, `key=` each, or a group."""
    host = host_arguments()
    words = {name: [f"{k}=" for k in (*mode.options, *(host if mode.host else ()))] for name, mode in MODES.items()}
    return words | {"data": [name[5:] for name in MODES if name.startswith("data ")], "completion": [*SHELLS]}


def _first() -> str:
    """Return the words that can stand first."""
    return " ".join(sorted({name.partition(" ")[0] for name in MODES} | {*TASKS, *SPECIAL}))


def _bash() -> str:
    following = sorted(_following().items(), reverse=True)  # "data check" before "data"
    cases = [f'  "{name} "*) known="{" ".join(words)}" ;;' for name, words in following]
    return BASH.format(cases="\n".join(cases), first=_first(), tasks=" ".join(TASKS))


def _fish() -> str:
    lines = [f"complete -c metafusion -f -n __fish_use_subcommand -a '{_first()}'"]
    for name, words in _following().items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
        seen += "" if name in MODES else f"; and not __fish_seen_subcommand_from {' '.join(words)}"
        lines.append(f"complete -c metafusion{'' if name in MODES else ' -f'} -n '{seen}' -a '{' '.join(words)}'")
    return "\n".join(lines)
