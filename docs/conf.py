"""How Sphinx builds the pages of this folder: `make docs`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import bridge  # noqa: E402 - from this checkout

project = "jwt-policy-bridge"
project_copyright = "the authors of jwt-policy-bridge"
release = version = bridge.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"jwt-policy-bridge {release}"
html_show_sourcelink = False

# A name in single backticks of a docstring is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_heading_anchors = 3
