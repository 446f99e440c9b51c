"""Settings of Sphinx for the site; `cryokit site` copies this folder and adds the generated pages."""

import cryokit

project = "cryokit"
author = copyright = "the cryokit developers"
version = release = cryokit.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "cryokit.cli.site.page_parts",
]
exclude_patterns = ["extra"]

# The lessons come with their outputs.
nb_execution_mode = "off"
nb_merge_streams = True
nb_output_stderr = "remove"
nb_ipywidgets_js = {}
nb_render_markdown_format = "gfm"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = ["toc.empty_glob", "toc.not_included", "myst.header"]

autodoc_member_order = "groupwise"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # "x, y : float" describes two parameters at once
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_preprocess_types = False
default_role = "py:obj"

# Nothing comes from outside: MathJax lies among the static files, the fonts and icons in the theme.
mathjax_path = "mathjax/tex-svg-full.js"

html_theme = "sphinx_book_theme"
html_title = "cryokit"
html_static_path = ["_static"]
html_extra_path = ["extra"]
html_css_files = ["site.css"]
html_js_files = ["without_server.js"]
html_logo = html_favicon = "_static/logo.svg"
html_last_updated_fmt = None
html_show_sphinx = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"lessons/*": [], "[!l]*": ["page-toc"]},
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
