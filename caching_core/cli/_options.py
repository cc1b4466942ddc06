"""The arguments and options that commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

_WHICH = "Which cache"

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key.", show_default=False)]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        "-d",
        help="Folder of the cache; else CACHING_DIRECTORY, else a folder of the user's state.",
        rich_help_panel=_WHICH,
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace of the keys.", rich_help_panel=_WHICH, show_default=False)
]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Tenant.", rich_help_panel=_WHICH, show_default=False)]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings, a .json or .toml file.", rich_help_panel=_WHICH, show_default=False),
]
Ttl = Annotated[
    str | None, typer.Option("--ttl", metavar="SECONDS", help="Lifetime in seconds; none: for ever.", show_default="the configured one")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
