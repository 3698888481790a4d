"""`sural pack`: the tools of those who write and review clinical packs. Like `cli.py`, the work is in other modules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

pack_app = typer.Typer(help="Check, compare and read clinical packs.", no_args_is_help=True)
FolderArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="A pack folder [default: shipped packs]"),
]
FormOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--questionnaire",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="A Questionnaire that does not come with Sural; may be repeated",
    ),
]


@pack_app.command()
def check(
    folder: FolderArgument = None,
    questionnaire: FormOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Say what is wrong with a pack, and which rules no case exercises. Exit code 1 if there is an error."""
    from deploy.local.pack_check import check_packs

    if not check_packs(folder, questionnaire or [], as_json=as_json):
        raise typer.Exit(1)


@pack_app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A pack folder, name@version, or `released`")],
    after: Annotated[str, typer.Argument(metavar="B", help="The pack to compare it with, the same way")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILES",
            exists=True,
            help="QuestionnaireResponse files, or folders of them [default: examples/]",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="BASE", help="FHIR base of a system whose stored responses to use")
    ] = None,
    questionnaire: FormOption = None,
) -> None:
    """Compare two packs: what they say, and what they make of the same patients."""
    from deploy.local.pack_diff import print_diff

    print_diff(before, after, files or [], url, questionnaire or [])


@pack_app.command()
def show(
    folder: FolderArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", file_okay=False, help="Write the pages there instead")
    ] = None,
    questionnaire: FormOption = None,
) -> None:
    """Show a pack as readable pages (Markdown)."""
    from deploy.local.pack_show import show_pack

    show_pack(folder, out, questionnaire or [])
