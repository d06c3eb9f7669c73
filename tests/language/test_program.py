"""Files that use files: what is found, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl


def write(folder: Path, **files: str) -> Path:
    """Files by stem; returns the path of `main`."""
    for name, text in files.items():
        (folder / f"{name}.arch").write_text(text)
    return folder / "main.arch"


def codes(path: Path) -> list[str]:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.load(path)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


NET = "network n { input x: [4, 8, 8]; cr }\n"


def test_blocks_lets_and_networks_of_used_files(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'use "common.arch"\n{NET}network m = base(k = 3)',
        common='use "deep.arch"\nlet width = 6\nblock cr { conv(width, 1); deep }\n'
        "network base(k = 1) { input x: [4]; linear(k) }",
        deep="block deep { relu }",
    )
    assert [layer.path for layer in archdsl.load(main).checked.layers] == ["0.0", "0.1.0"]
    assert archdsl.load(main, "m").checked.outputs[0].type.shape == (3,)


def test_a_file_used_twice_is_read_once(tmp_path: Path) -> None:
    main = write(
        tmp_path, main=f'use "a.arch"\nuse "b.arch"\n{NET}', a='use "b.arch"\nblock a { cr }', b="block cr { relu }"
    )
    assert len(archdsl.load(main).checked.layers) == 1


def test_what_a_used_file_defines_twice(tmp_path: Path) -> None:
    assert codes(write(tmp_path, main=f'use "a.arch"\nblock cr {{ relu }}\n{NET}', a="block cr { tanh }")) == [
        "duplicate-definition"
    ]


def test_missing_outside_and_circular_files(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outside.arch").write_text("block cr { relu }")
    (inner / "link.arch").symlink_to(tmp_path / "outside.arch")
    main = write(
        inner,
        main='use "none.arch"\nuse "../outside.arch"\nuse "link.arch"\nuse "/etc/hostname"\nuse "a.arch"\n' + NET,
        a='use "main.arch"',
    )
    assert codes(main) == ["use-not-found", *["use-outside-folder"] * 3, "use-cycle"]


def test_mistakes_in_a_used_file_are_shown_there(tmp_path: Path) -> None:
    main = write(tmp_path, main=f'use "a.arch"\n{NET}', a="block cr {\n conv(3, 33)\n}")
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.load(main)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.source.name.endswith("a.arch")
    assert diagnostic.span.line == 2
    assert [frame.name for frame in diagnostic.stack] == ["n", "0"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "no-network"),
        (b"# only a comment\n", "no-network"),
        (b"\x00\x01", "not-text"),
        (b"network n { input x: [3] \xff }", "not-text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not-text"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "main.arch"
    path.write_bytes(data)
    assert codes(path) == [code]


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["not-a-file"]
    assert codes(tmp_path / "none.arch") == ["file-not-found"]
    assert codes(Path("gogglenet")) == ["file-not-found"]
