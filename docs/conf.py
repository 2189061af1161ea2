"""How the pages of this folder become a site: `scripts/docs` builds it, and every warning is an error."""

from __future__ import annotations

from typing import Any

project = "Executor development kit"
author = "The executor-sdk authors"
project_copyright = author
html_title = project

extensions = [
    "myst_parser",  # the pages are Markdown
    "sphinx.ext.autodoc",  # the reference comes from the docstrings
    "sphinx.ext.napoleon",  # which say Args: and Raises:
]
exclude_patterns = ["_build", "examples"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3

#: What stands in single backticks in a docstring is code.
default_role = "code"
#: Parts of files are included up to a mark; the blank lines before it are no part of them.
highlight_options = {"default": {"stripall": True}, "python": {"stripall": True}}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
add_module_names = False

#: Plain fonts of the reader's own system, no script and no style from any other host.
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False


def setup(app: Any) -> None:
    """Read docstrings as they are written here; before napoleon, which indents what stands below `Args:`."""
    app.connect("autodoc-process-docstring", mark_code, priority=400)


def mark_code(*told: Any) -> None:
    """What stands indented below a blank line is code."""
    lines: list[str] = told[-1]
    before = ["", *lines[:-1]]
    for index in reversed(range(2, len(lines))):
        is_indented = lines[index].startswith("    ")
        if is_indented and not before[index] and not before[index - 1].startswith(" "):
            lines[index:index] = [".. code-block:: python", ""]
