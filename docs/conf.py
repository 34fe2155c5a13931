"""Sphinx configuration."""

project = "crmnet"
author = "the crmnet authors"
copyright = "2026, the crmnet authors. MIT licence"  # furo prints it in the foot of every page
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "crmnet"
html_static_path = ["_static"]
html_css_files = ["crmnet.css"]
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
suppress_warnings = ["ref.python"]
