"""The site is built without a warning, and every link in it leads somewhere; nothing in it comes from another host."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

import executor_sdk
from tests.docs.printed import ROOT

#: Elements that a browser loads by itself, and where they name what.
LOADED: Final = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        named = {name: value for name, value in attrs if value is not None}
        self.anchors.update(named[name] for name in ("id", "name") if name in named)
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if LOADED.get(tag) in named:
            self.loaded.append(named[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages of the site, freshly built as `scripts/docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    active = {"VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    built = subprocess.run(
        [ROOT / "scripts" / "docs", folder], env=environment | active, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return {file.resolve(): Page(file) for file in folder.glob("*.html")}


def test_every_page_is_built(site: dict[Path, Page]) -> None:
    """One for each file of Markdown."""
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {file.stem for file in site}


def test_every_link_leads_to_a_page_and_a_place(site: dict[Path, Page]) -> None:
    """Those that stay in the site; others are not looked up, because tests use no network."""
    dead = [
        f"{file.name}: {link}"
        for file, page in site.items()
        for link in page.links
        if not urlsplit(link).scheme and not _leads(file, link, site)
    ]

    assert dead == []


def test_nothing_is_loaded_from_another_host(site: dict[Path, Page]) -> None:
    """No font, no script, no picture: a reader is told to nobody."""
    loaded = {address for page in site.values() for address in page.loaded}

    assert loaded
    assert [address for address in loaded if urlsplit(address).netloc] == []


def _leads(file: Path, link: str, site: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    return target in site and unquote(parts.fragment) in site[target].anchors


def test_the_reference_has_every_name_of_the_public_face(site: dict[Path, Page]) -> None:
    """Whoever adds one documents it."""
    (page,) = (page for file, page in site.items() if file.stem == "reference")
    said = (ROOT / "docs" / "reference.md").read_text()
    documented = {anchor.rpartition(".")[2] for anchor in page.anchors}

    assert [
        name for name in executor_sdk.__all__ if name not in documented and f"`executor_sdk.{name}`" not in said
    ] == []
