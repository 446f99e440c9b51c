"""The reference: every public name of the package, with its docstring."""

from __future__ import annotations

import importlib
import inspect
import types

import cryokit

# In the order in which a micrograph meets them; what users import stands in their `__all__`.
PACKAGES = (
    *("cryokit", "cryokit.micrograph", "cryokit.coordinates", "cryokit.imaging", "cryokit.simulate"),
    *("cryokit.datasets", "cryokit.segmentation", "cryokit.pickers", "cryokit.networks", "cryokit.evaluate"),
    *("cryokit.plot", "cryokit.errors"),
)


def pages() -> dict[str, str]:
    """Return the pages of the reference by name, ``index`` among them, as Markdown."""
    rows = []
    result = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        names = public_names(module)
        result[package] = _page(package, names)
        rows.append(f"| [`{package}`]({package}.md) | {_summary(module)} |")
    entries = "\n".join(PACKAGES)
    result["index"] = (
        "# Reference\n\n"
        f"The public names of cryokit {cryokit.__version__}. Everything else may change without notice.\n\n"
        "| package | what it is for |\n| --- | --- |\n" + "\n".join(rows) + "\n\n"
        f"```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    )
    return result


def public_names(module: types.ModuleType) -> list[str]:
    """Return the names of a module that are meant for users, in alphabetical order, without those of its modules."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            name
            for name, thing in vars(module).items()
            if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
        ]
    return sorted((name for name in listed if _belongs(getattr(module, name), module)), key=str.lower)


def _belongs(thing: object, module: types.ModuleType) -> bool:
    """Return whether something is described on the page of a module: errors are on a page of their own."""
    error = getattr(thing, "__module__", None) == "cryokit.errors"
    return not inspect.ismodule(thing) and (not error or module.__name__ == "cryokit.errors")


def _page(package: str, names: list[str]) -> str:
    module = importlib.import_module(package)
    lines = [f"# {package}", "", "```{eval-rst}", f".. automodule:: {package}", "   :no-members:", "```", ""]
    lines += ["| name | |", "| --- | --- |"]
    lines += [f"| {{py:obj}}`~{package}.{name}` | {_summary(getattr(module, name))} |" for name in names]
    lines += ["", "```{eval-rst}"]
    for name in names:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            lines += [f".. autoclass:: {package}.{name}", "   :members:", ""]
        elif inspect.isroutine(thing):
            lines += [f".. autofunction:: {package}.{name}", ""]
        else:
            lines += [f".. py:data:: {package}.{name}", ""]
    return "\n".join([*lines, "```", ""])


def _summary(thing: object) -> str:
    """Return the first line of a docstring; of a value, which has none of its own, the kind of thing it is."""
    if not (inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isroutine(thing)):
        return f"a value of the type {type(thing).__name__}"
    text = (inspect.getdoc(thing) or "").partition("\n")[0]
    return text.replace("``", "`").replace("|", "\\|")
