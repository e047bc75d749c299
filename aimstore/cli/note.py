"""`aimstore runs note`: add, change and delete the notes of a run."""

from __future__ import annotations

import click

from aimstore.cli.options import example, json_option, open_catalog, repo_option, resolve_run, traceback_option
from aimstore.cli.output import print_json


@click.command(
    epilog=example(
        "aimstore runs note 1b9dea88 'diverged after epoch 3'",
        "aimstore runs note 1b9dea88 --edit 2 'diverged after epoch 4'",
        "aimstore runs note 1b9dea88 --delete 2",
    )
)
@click.argument("run_hash", metavar="HASH")
@click.argument("text", metavar="[TEXT]", required=False)
@click.option("--edit", metavar="ID", type=int, help="Replace the text of this note instead of adding a note.")
@click.option("--delete", metavar="ID", type=int, help="Delete this note.")
@repo_option
@json_option
@traceback_option
def note(
    run_hash: str, text: str | None, edit: int | None, delete: int | None, repo: str | None, as_json: bool
) -> None:
    """Add, change or delete a note of a run.

    `aimstore runs show` lists the notes with their ids. HASH may be a prefix that matches only one run.
    """
    if edit is not None and delete is not None:
        raise click.UsageError("--edit and --delete exclude each other")
    if (delete is None) == (text is None):
        raise click.UsageError(
            "--delete takes no TEXT" if text is not None else "TEXT is missing: what is the note to say?"
        )
    catalog = open_catalog(repo)
    run = catalog.facade().get_run(resolve_run(catalog, run_hash))
    try:
        if delete is not None:
            run.delete_note(delete)
        elif edit is not None:
            run.update_note(edit, text or "")
        else:
            edit = run.add_note(text or "")
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from error
    done = {"run": run.hash, "note": edit if delete is None else delete, "deleted": delete is not None}
    if as_json:
        print_json(done)
    else:
        click.echo(f"{'deleted' if delete is not None else 'saved'} note {done['note']} of run {run.hash}")
