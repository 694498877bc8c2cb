"""`scan`: where the store's own values lie that should lie nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from strongroom.cli import session
from strongroom.cli.arguments import Arguments, Command, Option
from strongroom.cli.output import Output, counted
from strongroom.settings.config import path_of

if TYPE_CHECKING:
    from strongroom.scan.matcher import Finding, Matcher, Trouble

FOUND = 1


def scan(args: Arguments, out: Output) -> int:
    """Look for every value, and list name, version, form and place; never the value."""
    # The matcher's package is optional, and the page of help is not.
    from strongroom.scan import matcher, needles, tree

    config = session.settings(args)
    with session.open_with(config) as secrets:
        wanted = needles.collect(secrets)
    if wanted.skipped:
        names = ", ".join(dict.fromkeys(wanted.skipped))
        out.say(
            f"Values not looked for, as they would be found by chance: {len(wanted.skipped)} (shorter than 6 bytes,"
            f" digits only, or a common word): {names}"
        )
    unread: list[str] = []

    def trouble(place: str, why: str) -> None:
        unread.append(place)
        out.warn(f"{place} was not looked through to its end: {why}")

    looked = matcher.Matcher(wanted)
    found = list(_search(args, looked, tree.own_files(path_of(config.store)), trouble))
    _show(found, out)
    looked_through, values = counted(looked.scanned, "byte"), counted(wanted.secrets, "secret")
    out.say(f"Looked through {looked_through} for the values of {values}: {len(found)} found.")
    return FOUND if found or unread else 0


def _search(args: Arguments, looked: Matcher, own: set[str], trouble: Trouble) -> Iterator[Finding]:
    from strongroom.scan import image, tree

    if args.staged or args.git_history:
        yield from _in_git(args, looked, trouble)
    for path in args.image:
        yield from looked.search(image.places(path, trouble), trouble)
    paths = args.paths or ([] if args.staged or args.git_history or args.image else ["."])
    yield from looked.search(tree.places(paths, own, trouble), trouble)


def _in_git(args: Arguments, looked: Matcher, trouble: Trouble) -> Iterator[Finding]:
    from strongroom.scan import git, repository

    with repository.private(".") as opened:
        if args.staged:
            yield from looked.search(git.staged(opened), trouble)
        if args.git_history:
            found = [
                (each, finding)
                for each, _, place in git.history(opened)
                for finding in looked.search_one(place, trouble)
            ]
            places = git.where(opened, {each for each, finding in found if finding.called.startswith("blob ")})
            yield from (finding._replace(called=places.get(each, finding.called)) for each, finding in found)


def _show(found: list[Finding], out: Output) -> None:
    if out.json:
        out.document([
            {"name": label.name, "version": label.version, "form": label.form, "place": called, "line": line,
             "times": times} for label, called, line, times in found
        ])  # fmt: skip
    elif found:
        heads = ("NAME", "VERSION", "FORM", "PLACE", "TIMES")
        out.rows(heads, [(label.name, label.version, label.form, f"{called}:{line}", times)
                         for label, called, line, times in found])  # fmt: skip


COMMANDS = {
    "scan": Command(
        scan,
        "[PATHS...]",
        (
            Option(
                "--git-history", "every object of the git repository here: all commits, and what no branch leads to"
            ),
            Option("--staged", "what `git add` has put up for the next commit, and nothing else: for a hook"),
            Option("--image", "the layers of an image that `docker save` wrote", "TAR", many=True),
        ),
        exits=(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12),
        description="""\
Looks for every version of every secret that can be read: as it is, and as base64 (at any offset), URL-quoted, in hex
and as JSON escapes it. Prints the name, the version, the form and the place (path:line, with the commit in a history);
never the value. Exits with 1 when something was found, or could not be read; with 0 when all is clean.

Without PATHS or an option it looks through the working directory. Files that git ignores, logs and packed files (.gz)
are looked through too; the store's own files and the directories .git are not. Of a value of several lines the longest
is looked for. Values of less than 6 bytes, digits only and common words are left out, with a remark.

Each value that is looked for is read from the store, so each is on record (GET).

The repository may be anybody's: of its settings, hooks, filters and programs nothing is used, nothing is fetched, and
git gets no variable of yours. Objects that it borrows from other repositories (alternates) are looked through too.""",
        about="""\
As a hook of git:
  pre-commit (https://pre-commit.com) knows the hook `strongroom-scan` of this repository. Without it, put the line
  `exec strongroom scan --staged` into .git/hooks/pre-commit.""",
        examples="""\
strongroom scan                           the working directory
strongroom scan logs /etc/app             these directories
strongroom scan --git-history             everything that was ever committed
strongroom scan --staged                  what is about to be committed
strongroom scan --image app.tar --json    an image, for a program""",
    ),
}
