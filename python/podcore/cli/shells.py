"""Scripts that let bash, zsh and fish complete the command lines of podcore."""

from collections.abc import Iterable, Iterator, Sequence

from podcore.cli.completion import Argument, Command, Option

# What podcore itself is asked for the names of things.
_NAMES = {
    "pod": "pod ps --format '{{.Name}}'",
    "container": "ps --all --format '{{.PodName}}/{{.Name}}'",
    "volume": "volume ls --quiet",
}

_BASH = r"""# Completes podcore in bash; made by `podcore completion bash`.
# Load it with: source <(podcore completion bash)

# Sets what there is for a command: the words that may follow, its flags, those of them that take a
# value with what that is (NAME:KIND), and what its arguments are (the last one with a + repeats).
_podcore_command() {
    next='' flags='' values='' kinds=''
    case $1 in
@TABLE@
    esac
}

# Asks podcore, with the directories that were given, for the names of things.
_podcore_names() {
    local kind=$1
    shift
    case $kind in
        pod) "$@" @POD@ ;;
        container) "$@" @CONTAINER@ ;;
        volume) "$@" @VOLUME@ ;;
    esac 2>/dev/null
}

_podcore_words() {
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_podcore() {
    local cur=${COMP_WORDS[COMP_CWORD]} command='' flag='' kind='' word i n=0
    local next flags values kinds
    local chosen
    chosen=("${COMP_WORDS[0]}")
    COMPREPLY=()
    _podcore_command ''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == '=' ]]; then
            continue # bash takes --flag=value for three words
        elif [[ -n $flag ]]; then
            case $flag in
                --root | --runroot | --runtime | --cgroup-parent) chosen+=("$flag" "$word") ;;
            esac
            flag=''
        elif [[ $word == -* ]]; then
            [[ " $values " == *" $word:"* ]] && flag=$word
        elif [[ " $next " == *" $word "* ]]; then
            command=${command:+$command }$word
            _podcore_command "$command"
        else
            ((n++))
        fi
    done
    [[ $cur == '=' ]] && cur=''
    if [[ -n $flag ]]; then
        kind=${values#*"$flag:"}
        kind=${kind%% *}
    elif [[ $cur == -* ]]; then
        _podcore_words "$flags"
        return
    elif [[ -n $next ]]; then
        ((n == 0)) && _podcore_words "$next"
        return 0
    else
        while [[ -n $kinds ]]; do
            kind=${kinds%% *}
            ((n-- == 0)) && break
            if [[ $kind == *+ ]]; then
                break
            fi
            kind=''
            [[ $kinds == *' '* ]] && kinds=${kinds#* } || kinds=''
        done
        kind=${kind%+}
    fi
    case $kind in
        pod | container | volume) _podcore_words "$(_podcore_names "$kind" "${chosen[@]}")" ;;
        file | copy)
            COMPREPLY=($(compgen -f -- "$cur"))
            if [[ $kind == copy && $cur != [./]* ]]; then
                word=$(_podcore_names container "${chosen[@]}")
                COMPREPLY+=($(compgen -W "$word" -S : -- "$cur"))
            fi
            type compopt &>/dev/null && compopt -o nospace -o filenames 2>/dev/null
            ;;
        directory)
            COMPREPLY=($(compgen -d -- "$cur"))
            type compopt &>/dev/null && compopt -o filenames 2>/dev/null
            ;;
        '='*) _podcore_words "$(tr , ' ' <<<"${kind#=}")" ;;
    esac
    return 0
}

complete -F _podcore podcore"""

_ZSH = """#compdef podcore
# Completes podcore in zsh; made by `podcore completion zsh`.
# Load it with: source <(podcore completion zsh), after compinit.
autoload -U +X bashcompinit && bashcompinit

"""

_FISH = r"""# Completes podcore in fish; made by `podcore completion fish`.
# Load it with: podcore completion fish | source

# The words of the command so far, without its flags and arguments.
function __podcore_command
    set -l nouns @NOUNS@
    set -l command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word @GLOBAL@
            set skip 1
        else if not string match -q -- '-*' $word
            set -a command $word
            contains -- $command[1] $nouns; and test (count $command) = 1; or break
        end
    end
    echo "$command"
end

function __podcore_at
    test (__podcore_command) = "$argv"
end

# Asks podcore, with the directories that were given, for the names of things.
function __podcore_names
    set -l chosen podcore
    set -l before ''
    for word in (commandline -opc)
        contains -- $before @GLOBAL@; and set -a chosen $before $word
        set before $word
    end
    switch $argv[1]
        case pod
            $chosen @POD@
        case container
            $chosen @CONTAINER@
        case volume
            $chosen @VOLUME@
    end 2>/dev/null
end

complete -c podcore -f
"""


def script(shell: str, commands: Sequence[Command]) -> str:
    """Returns the script for a shell.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
        commands: what there is to be completed.
    """
    if shell == "fish":
        return _with_names(_FISH, *_fish_lists(commands)) + "\n".join(_fish(commands))
    bash = _with_names(_BASH, ("TABLE", "\n".join(_table(commands))))
    if shell == "bash":
        return bash
    return _ZSH + bash.split("\n", 3)[3]


def _with_names(text: str, *more: tuple[str, str]) -> str:
    for name, value in (*((kind.upper(), call) for kind, call in _NAMES.items()), *more):
        text = text.replace(f"@{name}@", value)
    return text


def _table(commands: Iterable[Command]) -> Iterator[str]:
    for command in commands:
        words = " ".join(word for word, _ in command.words)
        flags = " ".join(name for option in command.options for name in option.names)
        values = " ".join(
            f"{name}:{_value(option)}"
            for option in command.options
            if option.kind is not None
            for name in option.names
        )
        kinds = " ".join(_argument(argument) for argument in command.arguments)
        yield f"        '{' '.join(command.path)}')"
        yield f"            next='{words}'"
        yield f"            flags='{flags}'"
        yield f"            values='{values}'"
        yield f"            kinds='{kinds}'"
        yield "            ;;"


def _value(option: Option) -> str:
    if option.choices:
        return "=" + ",".join(option.choices)
    return option.kind or "-"


def _argument(argument: Argument) -> str:
    kind = "=" + ",".join(argument.choices) if argument.choices else argument.kind or "-"
    return f"{kind}+" if argument.repeats else kind


def _fish_lists(commands: Sequence[Command]) -> list[tuple[str, str]]:
    top = commands[0]
    nouns = " ".join(command.path[0] for command in commands if command.words and command.path)
    with_value = [
        name for option in top.options if option.kind is not None for name in option.names
    ]
    return [("NOUNS", nouns), ("GLOBAL", " ".join(with_value))]


def _fish(commands: Sequence[Command]) -> Iterator[str]:
    everywhere = commands[0].options
    for option in everywhere:
        yield _fish_option("complete -c podcore", option)
    for command in commands:
        at = f"complete -c podcore -n '__podcore_at {' '.join(command.path)}'"
        for word, text in command.words:
            yield f"{at} -a {word} -d {_quoted(text)}"
        for option in command.options:
            if option not in everywhere:
                yield _fish_option(at, option)
        # fish can't tell the first argument from the next: all kinds of a command are offered.
        for argument in dict.fromkeys((one.kind, one.choices) for one in command.arguments):
            if value := _fish_value(*argument):
                yield f"{at}{value.replace(' -x', '').replace(' -r', '')}"


def _fish_option(at: str, option: Option) -> str:
    names = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    )
    value = _fish_value(option.kind, option.choices)
    return f"{at} {names}{value} -d {_quoted(option.text)}"


def _fish_value(kind: str | None, choices: tuple[str, ...]) -> str:
    if kind is None:
        return ""
    if choices:
        return f" -x -a {_quoted(' '.join(choices))}"
    if kind in _NAMES:
        return f" -x -a '(__podcore_names {kind})'"
    if kind == "directory":
        return " -x -a '(__fish_complete_directories)'"
    if kind == "copy":
        return """ -r -F -a "(__podcore_names container | string replace -r '\\$' :)\""""
    return " -r -F" if kind == "file" else " -x"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
