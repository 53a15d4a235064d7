"""The site's configuration: `make docs` builds it into build/docs without network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent / "src")]

import clif  # noqa: E402

project = "clif"
author = copyright = "the clif contributors"
version = release = clif.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "commands",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # the outputs are those that the notebooks hold
exclude_patterns = ["extensions", "figures"]
nitpick_ignore_regex = [
    ("py:.*", r"(?!clif\.).*"),  # what other packages document is not looked up, for want of network
    (
        "py:class",
        r"clif\..*\.(_\w+|SequenceLayer|Rounded|Kind|Network|NeuronFactory|Model|Opener|Operation|Mix|Learner)",
    ),  # private bases, names of types
    ("py:class", r"clif\.(neurons\.(learnt_tau|firing|functional_state|sequence)|ops\.equations)\.\w+"),
]

myst_heading_anchors = 4

autodoc_member_order = "groupwise"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
smartquotes = False
highlight_language = "text"

html_theme = "furo"
html_title = f"clif {version}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
