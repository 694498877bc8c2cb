"""`run`: resolve all secrets, then become the program."""

from __future__ import annotations

import os
from typing import Any

from strongroom.cli import environment, process, session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output
from strongroom.errors import InvalidInputError, SecretNotFoundError, StrongroomError
from strongroom.manager import SecretsManager

NOT_EXECUTABLE, NOT_FOUND = 126, 127


def run(args: Arguments, out: Output) -> int:
    """Replace this process by the program."""
    if args.pristine and args.preserve_env:
        raise InvalidInputError("--pristine and --preserve-env exclude each other; give one")
    config = session.settings(args)
    with session.open_with(config) as secrets:
        filled = environment.merge(_sources(args, secrets))
    keys = environment.key_variables(config.key)
    base = environment.base(os.environ, () if args.keep_key else keys, pristine=args.pristine)
    if args.keep_key and args.pristine:
        base |= {key: os.environ[key] for key in keys if key in os.environ}
    changed = sorted(name for name, text in filled.items() if base.get(name, text) != text)
    if args.preserve_env:
        filled = filled | {name: base[name] for name in changed}
    elif changed:
        out.warn(f"the store's value replaces the environment's: {', '.join(changed)} (--preserve-env keeps it)")
    return _become(args.command, base | filled, out)


def _sources(args: Arguments, secrets: SecretsManager) -> list[tuple[str, dict[str, str]]]:
    """Return each secret that is asked for, and its variables."""
    prefix = args.prefix or ""
    names = [prefix + name for name in args.only.split(",") if name] if args.only is not None else None
    if names is None and (args.prefix is not None or not args.env):
        names = secrets.list_secrets(prefix)
    sources = []
    for name in names or ():
        variable = environment.variable_of(name, prefix)
        sources.append((name, environment.variables_of(name, variable, _data(secrets, name))))
    return sources + [_named(secrets, text) for text in args.env]


def _named(secrets: SecretsManager, text: str) -> tuple[str, dict[str, str]]:
    variable, equals, rest = text.partition("=")
    name, _, field = rest.partition(":")
    if not (variable and equals and name):
        raise InvalidInputError("--env takes VARIABLE=SECRET or VARIABLE=SECRET:FIELD")
    data = _data(secrets, name)
    if not field:
        return name, environment.variables_of(name, variable, data)
    if field not in data:
        raise SecretNotFoundError(f"the secret {name!r} has no field {field!r}; nothing was started", name=name)
    return name, environment.variables_of(name, variable, {"value": data[field]})


def _data(secrets: SecretsManager, name: str) -> dict[str, Any]:
    data = secrets.get_data(name)
    if data is None:
        raise SecretNotFoundError(f"there is no secret {name!r} (or it has expired); nothing was started", name=name)
    return data


def _become(command: list[str], variables: dict[str, str], out: Output) -> int:
    import signal

    out.flush()
    process.soften()
    # Python ignores these two, and a program inherits what is ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, variables)  # noqa: S606
    except FileNotFoundError:
        problem, code = "there is no such program; check its name and PATH", NOT_FOUND
    except OSError as error:
        problem, code = f"it cannot be executed: {error.strerror}", NOT_EXECUTABLE
    except ValueError:
        problem, code = "its name or arguments hold a NUL", NOT_EXECUTABLE
    failure = StrongroomError(f"{command[0]}: {problem}")
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
            Option("--keep-key", "pass the master key's variable on, for a program that uses strongroom itself"),
        ),
        exits=(0, 2, 3, 4, 5, 6, 8, 9, 10, 126, 127),
        rest=True,
        description="""\
Reads secrets, then becomes COMMAND with them in its environment: the same process, so signals and the exit code
are COMMAND's own. If anything is wrong with any secret, nothing is started.

Without --only, --prefix or --env every secret of the store is passed. A secret fills the variable of its own name
where that is one (POSTGRES_PASSWORD); another name is put in capitals, with _ for / - and . (auth-service/db/password
fills AUTH_SERVICE_DB_PASSWORD, or with --prefix auth-service/ DB_PASSWORD). A secret with several fields fills one
variable for each, NAME_FIELD. With --prefix, the names of --only are those below it.

The store's value wins over one in the environment, with a warning. Two secrets for the same variable are an error, as
is a variable that steers how programs run: PATH, HOME, LD_*, PYTHON*, GIT_* and others. The master key
(SECRETS_MASTER_KEY or the variable of --key, STRONGROOM_PASSPHRASE) is not passed on.""",
        about="""\
Who can see them:
  The environment of a process can be read by the same user and root (/proc/PID/environ), and its children inherit
  it. A program that can use the library or `strongroom get` need not have secrets there at all.""",
        examples="""\
strongroom run -- python app.py                                    all secrets
strongroom run --only POSTGRES_PASSWORD,API_TOKEN -- ./server      two of them
strongroom run --prefix auth-service/ -- ./server                  those of one service
strongroom run --env PGPASSWORD=POSTGRES_PASSWORD -- psql          another variable's name
strongroom run --pristine -- env                                   see what a program would get""",
    ),
}
