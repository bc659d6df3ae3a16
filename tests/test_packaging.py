"""The package holds what the checkout holds, and nothing names this machine or a registry."""

from __future__ import annotations

import fnmatch
import importlib
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ROOMS = ("cli", "fluid", "proofs_checks", "stochastic", "theory")

# Written in pieces, so that this file does not match itself.
ADDRESSES = re.compile(
    "|".join(
        (
            r"pypi\." + r"(org|python)",
            r"python" + r"hosted\.",
            r"registry\.npm" + r"js",
            r"deb\." + r"debian\.",
            r"(extra-)?index-" + r"url\s*=",
            r"--(extra-)?index-" + r"url[= ]\S*//",
            r"find-" + r"links\s*=",
        )
    )
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.])/(work|" + r"root|home/\w+|opt/(py|wh)\w+|tmp/\w+|Users/\w+)/"
)


@pytest.fixture(scope="module")
def setuptools_table() -> dict[str, Any]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    table: dict[str, Any] = project["tool"]["setuptools"]
    return table


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Text of every tracked file by its path."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a checkout: no .git")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = [CHECKOUT / name for name in listed.split("\0") if name]
    return {
        str(path.relative_to(CHECKOUT)): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file()
    }


def _import_name(folder: Path) -> str:
    return ".".join(("kurtz", *folder.relative_to(CHECKOUT).parts))


def _packages() -> set[str]:
    """Import names of the folders in the rooms that hold an ``__init__.py``."""
    return {
        _import_name(init.parent)
        for room in ROOMS
        for init in (CHECKOUT / room).rglob("__init__.py")
    }


def test_every_package_is_listed(setuptools_table: dict[str, Any]) -> None:
    listed = setuptools_table["packages"]
    assert listed == sorted(listed)
    assert set(listed) == _packages()


def test_every_room_is_mapped_to_its_folder(setuptools_table: dict[str, Any]) -> None:
    assert setuptools_table["package-dir"] == {f"kurtz.{room}": room for room in ROOMS}


def test_every_module_lies_in_a_package() -> None:
    packages = _packages()
    strays = [
        str(path)
        for room in ROOMS
        for path in (CHECKOUT / room).rglob("*.py")
        if _import_name(path.parent) not in packages
    ]
    assert strays == []


def test_every_data_file_is_package_data(setuptools_table: dict[str, Any]) -> None:
    patterns = setuptools_table["package-data"]
    packages = _packages()
    left_out = []
    for room in ROOMS:
        for path in (CHECKOUT / room).rglob("*"):
            if path.suffix not in {".csv", ".toml", ".typed"}:
                continue
            package = path.parent
            while _import_name(package) not in packages:
                package = package.parent
            relative = path.relative_to(package).as_posix()
            wanted = patterns.get(_import_name(package), [])
            if not any(fnmatch.fnmatchcase(relative, pattern) for pattern in wanted):
                left_out.append(str(path.relative_to(CHECKOUT)))
    assert left_out == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_that_it_is_typed(room: str) -> None:
    assert (CHECKOUT / room / "py.typed").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_the_installed_room_is_the_checkout(room: str) -> None:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a checkout: no .git")
    installed = importlib.import_module(f"kurtz.{room}").__file__
    assert installed is not None
    assert Path(installed).resolve() == CHECKOUT / room / "__init__.py"


def test_the_lock_pins_and_hashes_everything_and_names_no_address() -> None:
    text = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    assert "//" not in text
    assert re.search(r"^\s*(#|-[^-]|--(?!hash))", text, flags=re.MULTILINE) is None
    requirements = text.replace("\\\n", " ").splitlines()
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement)


@pytest.mark.parametrize("pattern", [ADDRESSES, MACHINE_PATHS], ids=["address", "path"])
def test_no_tracked_file_names_a_registry_or_this_machine(
    tracked: dict[str, str], pattern: re.Pattern[str]
) -> None:
    found = {
        path: match.group()
        for path, text in tracked.items()
        if (match := pattern.search(text)) is not None
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "index-" + "url = x",
        "https://files.python" + "hosted.org/packages",
        "--index-" + "url https://mirror",
    ],
)
def test_the_address_pattern_finds_what_it_is_for(text: str) -> None:
    assert ADDRESSES.search(text)


@pytest.mark.parametrize(
    ("text", "names_machine"),
    [
        ("see /" + "work/main", True),
        ("/" + "tmp/x/y", True),
        ("https://example.org/work/", False),
        ("../shared/work/plan", False),
    ],
)
def test_the_path_pattern_finds_what_it_is_for(text: str, names_machine: bool) -> None:
    assert bool(MACHINE_PATHS.search(text)) is names_machine
