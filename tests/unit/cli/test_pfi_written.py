"""Files that people write: what is wrong in them is told with its place, and none of them can hurt."""

import io
import sys
from pathlib import Path

import pytest

from pathfinder.cli.pfi import written
from pathfinder.cli.pfi.failures import Failed

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {k: 1, l: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(tmp_path: Path, text: str, name: str = "x.yaml") -> str:
    """What is said of a file with this text, without the directory it is in."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(Failed) as failure:
        written.documents(str(path))
    return "\n".join([str(failure.value), *failure.value.details]).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "x.yaml:6: it has more than 100000 parts, with its aliases"),
        (MERGED, "it has more than 100000 parts, with its aliases"),
        ("a: &a [1, *a]", "x.yaml:1: an alias stands within what it stands for"),
        ("a: &a {b: *a}", "x.yaml:1: an alias stands within what it stands for"),
        ("[" * 200 + "]" * 200, "x.yaml:1: it is nested more than 64 deep"),
        ('{"a":' * 100_000, "it is nested more than 64 deep"),
        ("a:\n" + "".join(" " * depth + "- \n" for depth in range(1, 99)), "it is nested more than 64 deep"),
        ("x" * (written.MOST_BYTES + 1), "is too large: no more than 1 MiB"),
        ("a: 1\na: 2", "x.yaml:1: a: is written twice"),
        ("a:\n- b: {c: 1,\n  c: 2}", "x.yaml:2: a[0].b.c: is written twice"),
        ("a: .inf", "x.yaml:1: a: is not a finite number"),
        ("a:\n  1: x", "x.yaml:1: a: the key 1 is no text"),
        ("a:\n  on: x", "the key True is no text; write it in quotes"),
        ("a: !!binary aGk=", "a: a bytes cannot be written here"),
        ("a: !!python/object/apply:os.system [ls]", "x.yaml:1: it is not YAML"),
        ("a: *b", "x.yaml:1: it is not YAML: found undefined alias 'b'"),
        ("a: [", "x.yaml:1: it is not YAML"),
        ("a: \x00", "is not YAML"),
        ('{"a":\t1,\n"b": }', "x.yaml:2: it is not JSON"),
        ("a: " + "9" * 5000, "is not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    """Well before it takes memory or time."""
    assert words in refused(tmp_path, text)


def test_aliases_that_people_mean_are_followed(tmp_path: Path) -> None:
    """Once, twice, and merged; moments are text, as in JSON."""
    (tmp_path / "x.yaml").write_text("a: &a {x: 1}\nb: [*a, *a]\nc:\n  <<: *a\n  y: 2026-11-28\n---\n---\nd: 1e3\n")

    first, second = written.documents(str(tmp_path / "x.yaml"))
    assert first.content == {"a": {"x": 1}, "b": [{"x": 1}] * 2, "c": {"x": 1, "y": "2026-11-28"}}
    assert (second.content, second.line(), second.line("d")) == ({"d": "1e3"}, 8, 8)


def test_fields_are_found_by_their_lines(tmp_path: Path) -> None:
    """Keys may hold dots; of what is not there, the line of what it would be in."""
    (tmp_path / "x.json").write_text('{"a": 1.5e1,\n"config": {"user.x.y": 1,\n"z": [1,\n2]}}')

    (document,) = written.documents(str(tmp_path / "x.json"))
    assert document.content["a"] == 15.0
    fields = ("a", "config.user.x.y", "config.z[1]", "config.nothing", "nothing")
    assert [document.line(field) for field in fields] == [1, 2, 4, 2, 1]


def test_directories_are_read_by_name_and_standard_input_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only files that say what they are; a directory without any is a mistake."""
    with pytest.raises(Failed, match="holds no file that ends in"):
        written.files([str(tmp_path)])
    for name in ("b.yml", "a.json", "c.yaml", "notes.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "d.yaml").mkdir()

    assert [Path(one).name for one in written.files([str(tmp_path), "-"])] == ["a.json", "b.yml", "c.yaml", "-"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a: 1"))
    assert [(one.file, one.content) for one in written.documents("-")] == [("standard input", {"a": 1})]
    with pytest.raises(Failed, match="cannot read nowhere"):
        written.documents("nowhere")
