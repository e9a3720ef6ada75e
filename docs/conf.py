"""Sphinx configuration."""

import sid_xarray

project = "sid-xarray"
copyright = "2026, the sid-xarray developers"
author = "the sid-xarray developers"
release = version = sid_xarray.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 2
nb_execution_mode = "off"
autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"
exclude_patterns = ["_build", "changes", "conftest.py"]
suppress_warnings = ["myst.header"]

html_theme = "pydata_sphinx_theme"
html_title = "sid-xarray"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}


def setup(app):
    """Make the role that docstrings use for papers."""
    from docutils import nodes

    def doi(name, rawtext, text, lineno, inliner, options=None, content=()):
        return [nodes.reference(rawtext, f"doi:{text}", refuri=f"https://doi.org/{text}")], []

    app.add_role("doi", doi)
