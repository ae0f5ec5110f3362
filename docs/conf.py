"""How the documentation is built; `make docs` does it."""

from docutils import nodes

import gemclust

project = "gemclust"
author = "The gemclust developers"
copyright = "the gemclust developers"
version = release = gemclust.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # A copy of MathJax in the site: mathematics is rendered without a network.
    "sphinx-mathjax-offline",
]

exclude_patterns = ["_build", "_templates", "examples"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# The public names and no others.
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "gemclust"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["gemclust.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "show_prev_next": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them.
html_sidebars = {
    name: []
    for name in (
        "getting_started",
        "choosing",
        "coming_from",
        "extending",
        "changelog",
        "contributing",
    )
}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("gemclust",),
    "reference_url": {"gemclust": None},
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_", "__repr__"),
    # What a call of pyplot returns is no result.
    "ignore_repr_types": r"matplotlib\.|<class 'list'>",
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_signature": False,
    # Its page takes scripts from elsewhere.
    "write_computation_times": False,
    # The same pictures each time, and no example that quietly fails.
    "abort_on_example_error": True,
    "nested_sections": False,
}


def without_last_blank_line(app, document):
    """Examples in Markdown end in a blank line, which doctest needs and nobody else."""
    for block in document.findall(nodes.literal_block):
        if block.rawsource == block.astext():
            block.rawsource = block.rawsource.rstrip("\n")
            block[:] = [nodes.Text(block.rawsource)]


def setup(app):
    app.connect("doctree-read", without_last_blank_line)
