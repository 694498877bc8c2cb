"""`run`: resolve all secrets, then become the program, or stay with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strongroom.cli import environment, process, session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError, SecretNotFoundError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.settings.config import Config

if TYPE_CHECKING:
    from strongroom.delivery.watching import Watch

NOT_EXECUTABLE, NOT_FOUND = 126, 127


def run(args: Arguments, out: Output) -> int:
    """Replace this process by the program, or with `--watch` stay with it."""
    if args.pristine and args.preserve_env:
        raise InvalidInputError("--pristine and --preserve-env exclude each other; give one")
    if args.on_change and not args.watch:
        raise InvalidInputError("--on-change is for --watch")
    config = session.settings(args)
    keys = environment.key_variables(config.key)
    if args.watch:
        return _supervise(args, config, keys, out)
    # Rotations tell from the source that what is read here ends with this process.
    with session.open_with(config, "run") as secrets:
        filled = environment.merge(_sources(args, secrets))
    return _become(args.command, _variables(args, keys, filled, out.warn), out)


def _variables(args: Arguments, keys: set[str], filled: dict[str, str], warn: Callable[[str], None]) -> dict[str, str]:
    """Return the program's whole environment."""
    base = environment.base(os.environ, () if args.keep_key else keys, pristine=args.pristine)
    if args.keep_key and args.pristine:
        base |= {key: os.environ[key] for key in keys if key in os.environ}
    changed = sorted(name for name, text in filled.items() if base.get(name, text) != text)
    if args.preserve_env:
        filled = filled | {name: base[name] for name in changed}
    elif changed:
        warn(f"the store's value replaces the environment's: {', '.join(changed)} (--preserve-env keeps it)")
    return base | filled


def _supervise(args: Arguments, config: Config, keys: set[str], out: Output) -> int:
    from strongroom.cli import supervising
    from strongroom.delivery.watching import Watch

    on_change = supervising.reaction(args.on_change)
    warned: set[str] = set()

    def warn_once(text: str) -> None:
        if text not in warned:
            out.warn(text)
        warned.add(text)

    with session.open_with(config, "run") as secrets:
        supervising.hold_signals()
        watch = Watch(secrets)

        def resolve() -> dict[str, str]:
            return _variables(args, keys, environment.merge(_sources(args, watch)), warn_once)

        def start(command: Sequence[str], variables: Mapping[str, str]) -> int:
            with _explained(command[0]):
                return supervising.start(command, variables)

        return supervising.Supervisor(args.command, start, resolve, watch, on_change, out).run()


def _sources(args: Arguments, secrets: SecretsManager | Watch) -> list[tuple[str, dict[str, str]]]:
    """Return each secret that is asked for, and its variables."""
    prefix = args.prefix or ""
    names = [prefix + name for name in args.only.split(",") if name] if args.only is not None else None
    if names is None and (args.prefix is not None or not args.env):
        names = secrets.list_secrets(prefix)
    sources = []
    for name in names or ():
        variable = environment.variable_of(name, prefix)
        if f"{variable}={name}" not in args.env:
            asked = args.only is not None
            sources.append((name, environment.variables_of(name, variable, _data(secrets, name), asked=asked)))
    return sources + [_named(secrets, text) for text in args.env]


def _named(secrets: SecretsManager | Watch, text: str) -> tuple[str, dict[str, str]]:
    variable, equals, rest = text.partition("=")
    name, _, field = rest.partition(":")
    if not (variable and equals and name):
        raise InvalidInputError("--env takes VARIABLE=SECRET or VARIABLE=SECRET:FIELD")
    data = _data(secrets, name)
    if not field:
        return name, environment.variables_of(name, variable, data, asked=True)
    if field not in data:
        raise SecretNotFoundError(f"the secret {name!r} has no field {field!r}; nothing was started", name=name)
    return name, environment.variables_of(name, variable, {"value": data[field]}, asked=True)


def _data(secrets: SecretsManager | Watch, name: str) -> dict[str, Any]:
    data = secrets.get_data(name)
    if data is None:
        raise SecretNotFoundError(f"there is no secret {name!r} (or it has expired); nothing was started", name=name)
    return data


def _become(command: list[str], variables: dict[str, str], out: Output) -> int:
    # The module `signal` makes enumerations of all signals first, which takes a hundredth of `strongroom run`.
    from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]

    out.flush()
    process.soften()
    # Python ignores these two, and a program inherits what is ignored.
    for number in (SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)
    with _explained(command[0]):
        os.execvpe(command[0], command, variables)  # noqa: S606
    return NOT_EXECUTABLE


@contextmanager
def _explained(program: str) -> Iterator[None]:
    """Translate why the program cannot be started."""
    try:
        yield
        return
    except FileNotFoundError:
        problem, code = "there is no such program; check its name and PATH", NOT_FOUND
    except OSError as error:
        from errno import E2BIG

        problem, code = f"it cannot be executed: {error.strerror}", NOT_EXECUTABLE
        if error.errno == E2BIG:
            problem += "; a variable holds up to 128 KiB: leave larger secrets out (--only) or `strongroom render` them"
    except ValueError:
        problem, code = "its name or arguments hold a NUL", NOT_EXECUTABLE
    failure = StrongroomError(f"{program}: {problem}")
    failure.exit_code = code
    raise failure


COMMANDS = {
    "run": Command(
        run,
        "COMMAND...",
        (
            Option("--only", "these secrets only", "NAME,NAME"),
            Option("--prefix", "the secrets below this prefix, which is left out of the variables' names", "PREFIX"),
            Option("--env", "this secret in this variable", "VARIABLE=SECRET[:FIELD]", many=True),
            Option("--preserve-env", "a variable that is set already keeps its value"),
            Option("--pristine", "start from an empty environment, except for PATH, HOME, LANG and such"),
            Option("--watch", "stay with COMMAND, and restart it when one of its secrets changes"),
            Option("--on-change", "with --watch: restart (default), or signal:NAME to send that", "REACTION"),
            Option("--keep-key", "pass the master key's variable on, for a program that uses strongroom itself"),
        ),
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 12, 126, 127),
        rest=True,
        description="""\
Reads secrets, then becomes COMMAND with them in its environment: the same process, so signals and the exit code
are COMMAND's own. If anything is wrong with any secret, nothing is started.

Without --only, --prefix or --env every secret of the store is passed. A secret fills the variable of its own name
where that is one (POSTGRES_PASSWORD); another name is put in capitals, with _ for / - and . (auth-service/db/password
fills AUTH_SERVICE_DB_PASSWORD, or with --prefix auth-service/ DB_PASSWORD). A secret with several fields fills one
variable for each, NAME_FIELD. With --prefix, the names of --only are those below it.

The store's value wins over one in the environment, with a warning. Two secrets for the same variable are an error. The
master key (SECRETS_MASTER_KEY or the variable of --key, STRONGROOM_PASSPHRASE) is not passed on.

Whoever writes a secret must not run code here. So a secret never fills a variable of program loaders, shells,
interpreters or git (PATH, LD_*, BASH_ENV, PYTHON*, NODE_*, GIT_*, MAKEFLAGS). One whose name says that its value is a
path, options, a program or settings (KUBECONFIG, HTTPS_PROXY, PIP_*) it fills only if you type the name, in --env or
--only. Names that end in a credential (GIT_TOKEN, NPM_TOKEN, PGPASSWORD) are always right.""",
        about="""\
With --watch:
  The exit code is COMMAND's own, or 128 + n when signal n ended it. Every signal but those of job control is passed
  on. A restart is SIGTERM, after 10 s SIGKILL, then a start with the new values. A COMMAND that fails within 5 s of
  that is started again after 0.5, 1, 2, 4 and 8 s. While a secret is missing or the store cannot be read, COMMAND goes
  on as it is. Only SIGKILL of strongroom itself leaves it behind.

Who can see them:
  The environment of a process can be read by the same user and root (/proc/PID/environ), and its children inherit
  it. A program that can use the library or `strongroom get` need not have secrets there at all.""",
        examples="""\
strongroom run -- python app.py                                    all secrets
strongroom run --only POSTGRES_PASSWORD,API_TOKEN -- ./server      two of them
strongroom run --prefix auth-service/ -- ./server                  those of one service
strongroom run --env PGPASSWORD=POSTGRES_PASSWORD -- psql          another variable's name
strongroom run --watch -- ./server                                 restart it after each change
strongroom run --watch --on-change signal:HUP -- ./server          or tell it
strongroom run --pristine -- env                                   see what a program would get""",
    ),
}
