"""The shipped library of networks: what a name on the command line means."""

from __future__ import annotations

import re
from pathlib import Path

from archdsl import resources
from archdsl.language.diagnostics import error
from archdsl.language.similar import nearest

NETWORK = re.compile(r"^network[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


def find(file: str, network: str | None) -> tuple[Path, str, str | None]:
    """Path, name to show, and network of a file argument: a path, else a name of the library.

    A family's name means its file, a network's name the network; raises `ArchError` for neither.
    """
    path = Path(file)
    if path.suffix == ".arch" or "/" in file or path.exists():
        return path, file, network
    specs = resources.folder("specs")
    if (specs / f"{file}.arch").is_file():
        return specs / f"{file}.arch", f"{file}.arch", network
    names = {name: spec for spec in shipped() for name in networks_in(spec)}
    if file in names:
        spec = names[file]
        return spec, spec.relative_to(specs).as_posix(), network or file
    guess = nearest(file, [*names, *(spec.stem for spec in shipped())])
    help = f"did you mean `{guess}`?" if guess else "`archdsl list` shows the library"
    raise error("file-not-found", f"there is no file `{file}`, nor a network of that name in the library", help=help)


def shipped() -> list[Path]:
    """The spec files of the library, in order of their names."""
    return sorted(resources.folder("specs").rglob("*.arch"))


def networks_in(spec: Path) -> list[str]:
    """Names of the networks that a spec declares, without parsing it."""
    return NETWORK.findall(spec.read_text("utf-8"))
