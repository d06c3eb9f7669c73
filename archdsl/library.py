"""The shipped library of networks: what a name on the command line means."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from archdsl import resources
from archdsl.language.diagnostics import error
from archdsl.language.similar import nearest

NETWORK = re.compile(r"^network[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


def find(file: str, network: str | None) -> tuple[Path, str, str | None]:
    """Path, name to show, and network of a file argument: a path, else a name of the library.

    A family's name means its file (`resnet`), a network's name the network (`resnet50`); those in a folder are
    reached through it (`torchvision/resnet50`), or without it where no other has the name (`unet`). Raises `ArchError`
    for neither.
    """
    path = Path(file)
    if path.is_file():
        return path, file, network
    listed = {f"{family(spec)}.arch": spec for spec in shipped()}
    if file in listed:  # as `archdsl list` names it
        return listed[file], file, network
    if path.suffix == ".arch":
        return path, file, network
    declared = {spec: networks_in(spec) for spec in shipped()}
    families = {family(spec): spec for spec, names in declared.items() if names}  # not those of blocks alone
    networks = {f"{folder(spec)}{name}": (spec, name) for spec, names in declared.items() for name in names}
    # those of another folder only where no whole name is meant
    meant = file if file in families or file in networks else _only(file, families) or _only(file, networks)
    if meant in families:
        return families[meant], f"{meant}.arch", network
    if meant in networks:
        spec, name = networks[meant]
        return spec, f"{family(spec)}.arch", network or name
    if path.exists():
        return path, file, network  # a directory, say; reading it explains itself
    guesses = _ending(file, networks) or [guess for guess in [nearest(file, [*families, *networks])] if guess]
    shown = " or ".join(f"`{guess}`" for guess in guesses)
    help = f"did you mean {shown}?" if shown else "`archdsl list` shows the library"
    raise error("file-not-found", f"there is no file `{file}`, nor a network of that name in the library", help=help)


def _only(name: str, known: Collection[str]) -> str | None:
    """The only one that is the name after some folder."""
    found = _ending(name, known)
    return found[0] if len(found) == 1 else None


def _ending(name: str, known: Collection[str]) -> list[str]:
    return [each for each in known if each.endswith(f"/{name}")]


def shipped() -> list[Path]:
    """The spec files of the library, in order of their names."""
    specs = resources.folder("specs")
    return sorted(specs.rglob("*.arch"), key=lambda spec: (len(spec.relative_to(specs).parts), spec))


def family(spec: Path) -> str:
    """A spec's name in the library: `googlenet`, `torchvision/googlenet`."""
    return spec.relative_to(resources.folder("specs")).with_suffix("").as_posix()


def folder(spec: Path) -> str:
    """What stands before the names of a spec's networks: nothing, or `torchvision/`."""
    name = family(spec)
    return name[: name.rfind("/") + 1]


def networks_in(spec: Path) -> list[str]:
    """Names of the networks that a spec declares, without parsing it."""
    return NETWORK.findall(spec.read_text("utf-8"))
