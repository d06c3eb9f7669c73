"""A file and everything it uses, read and parsed: which blocks, networks and tables there are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from archdsl import resources
from archdsl.language import syntax as s
from archdsl.language.cache import parsed
from archdsl.language.diagnostics import ArchError, Diagnostic, Label, error, in_order
from archdsl.language.limits import Limits
from archdsl.language.similar import nearest
from archdsl.language.source import Source, Span

Item = TypeVar("Item", s.Block, s.Network | s.Variant, s.Let)


@dataclass(frozen=True)
class Program:
    """The parsed files, the one that was asked for first."""

    files: tuple[s.File, ...]
    blocks: dict[str, s.Block]
    networks: dict[str, s.Network | s.Variant]
    published: tuple[s.Published, ...]

    @property
    def main(self) -> s.File:
        return self.files[0]

    @property
    def digest(self) -> str:
        """SHA-256 over the text of all files: the same program has the same digest on every machine."""
        whole = hashlib.sha256()
        for file in self.files:
            whole.update(file.source.text.encode())
        return whole.hexdigest()

    def file_of(self, node: s.Node) -> s.File:
        """The file in which a node stands."""
        return next(file for file in self.files if file.source is node.span.source)


def read_program(path: Path, name: str, limits: Limits) -> Program:
    """Read and parse `path` (which the user calls `name`) and what it uses; raises `ArchError`."""
    return link(parsed(read_source(path, name, limits), limits), path, limits)


def link(main: s.File, path: Path, limits: Limits) -> Program:
    """Follow the `use` statements of a parsed file that lies, or would lie, at `path`."""
    files: dict[Path, s.File] = {}
    diagnostics: list[Diagnostic] = []
    _follow(main, path.resolve(), _root(path.resolve()), limits, files, (), diagnostics)
    ordered = tuple(files.values())
    blocks = _table([block for file in ordered for block in file.blocks], diagnostics)
    networks = _table([network for file in ordered for network in file.networks], diagnostics)
    for file in ordered:
        _table(list(file.lets), diagnostics)
        for owner in (*file.blocks, *file.networks):
            if not isinstance(owner, s.Variant):
                _refuse_double_parameters(owner, diagnostics)
    if diagnostics:
        raise ArchError(in_order(diagnostics))
    published = tuple(table for file in ordered for table in file.published)
    return Program(ordered, blocks, networks, published)


def read_source(path: Path, name: str, limits: Limits, span: Span | None = None) -> Source:
    """The text of a file; `span` is the `use` that asked for it."""
    if path.is_dir():
        raise error("not-a-file", f"`{name}` is a directory", span, help="name a file: `archdsl check DIR/*.arch`")
    try:
        if path.stat().st_size > 4 * limits.file_size:  # no character takes more than four bytes
            message = f"`{name}` has {path.stat().st_size:,} bytes; the limit is {limits.file_size:,} characters"
            raise error("file-too-large", message, span, help="raise it with `--limit file-size=...`")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        guess = nearest(path.name, (sibling.name for sibling in path.parent.glob("*.arch")))
        help = f"did you mean `{guess}`?" if guess else None
        raise error(
            "use-not-found" if span else "file-not-found", f"there is no file `{name}`", span, help=help
        ) from None
    except UnicodeDecodeError as problem:
        message = f"`{name}` is not text: byte {problem.start} is not UTF-8"
        raise error("not-text", message, span) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise error("file-not-found", f"`{name}` cannot be read: {reason}", span) from None
    if "\0" in text:
        raise error("not-text", f"`{name}` is not text: it contains NUL bytes", span)
    return Source(name, text)


def _root(path: Path) -> Path:
    """The folder that `use` may not leave: the library's for its own specs, else the file's."""
    library = resources.folder("specs").resolve()
    return library if path.is_relative_to(library) else path.parent


def _follow(
    file: s.File, path: Path, root: Path, limits: Limits, files: dict[Path, s.File], trail: tuple[Path, ...],
    diagnostics: list[Diagnostic],
) -> None:  # fmt: skip
    """Enter a file and all it uses; what is wrong with one `use` does not hide what is wrong with the next."""
    files[path] = file
    for use in file.uses:
        try:
            used = _used(use, file, path, root, limits, files, trail)
        except ArchError as failure:
            diagnostics += failure.diagnostics
            continue
        if used is not None:
            _follow(used[0], used[1], root, limits, files, (*trail, path), diagnostics)


def _used(
    use: s.Use, file: s.File, path: Path, root: Path, limits: Limits, files: dict[Path, s.File], trail: tuple[Path, ...]
) -> tuple[s.File, Path] | None:
    """The file that a `use` names; None if it is already read."""
    target = _target(use, path, root)
    if target in (*trail, path):
        chain = " -> ".join(p.name for p in (*trail, path, target))
        raise error("use-cycle", f"`{use.path}` uses itself: {chain}", use.span)
    if len(trail) >= limits.nesting:
        raise error("limit-nesting", f"files use files more than {limits.nesting} deep", use.span)
    if target in files:
        return None
    name = str(Path(file.source.name).parent / use.path)
    return parsed(read_source(target, name, limits, use.span), limits), target


def _target(use: s.Use, path: Path, root: Path) -> Path:
    if Path(use.path).is_absolute() or "\0" in use.path:
        raise error("use-outside-folder", "`use` takes a path relative to this file", use.span)
    target = (path.parent / use.path).resolve()
    if not target.is_relative_to(root):
        message = f"`{use.path}` lies outside the folder of the file that is compiled"
        raise error("use-outside-folder", message, use.span, notes=(f"the folder is `{root.name}`",))
    return target


def _refuse_double_parameters(owner: s.Block | s.Network, diagnostics: list[Diagnostic]) -> None:
    seen: dict[str, s.Parameter] = {}
    for parameter in owner.parameters:
        first = seen.setdefault(parameter.name, parameter)
        if first is not parameter:
            message = f"`{owner.name}` declares the parameter `{parameter.name}` twice"
            label = Label(first.span, "first declared here")
            diagnostics.append(Diagnostic("duplicate-definition", message, parameter.span, labels=(label,)))


def _table(items: list[Item], diagnostics: list[Diagnostic]) -> dict[str, Item]:
    """Items by name; a second definition of a name is reported with the first."""
    table: dict[str, Item] = {}
    for item in items:
        if item.name not in table:
            table[item.name] = item
            continue
        first = Label(table[item.name].name_span, "first defined here")
        message = f"`{item.name}` is defined twice"
        diagnostics.append(Diagnostic("duplicate-definition", message, item.name_span, labels=(first,)))
    return table
