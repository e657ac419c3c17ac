"""Which versions of the libraries that decide a training's numbers run here, and which of them were ever seen on a GPU."""

from importlib.metadata import PackageNotFoundError, version

SEEN_ON_A_GPU = {
    "torch": ("2.11.0",),
    "triton": ("3.6.0",),
    "liger-kernel": ("0.8.5",),
    "transformers": ("5.17.0",),
    "peft": ("0.21.0",),
}
"""The versions that training/LOG.md has figures of from a GPU; requirements/README.md shows the same table."""


def versions_line() -> str:
    """One line: what is installed here, and what of it no GPU has run yet."""
    installed = {name: _installed(name) for name in SEEN_ON_A_GPU}
    here = ", ".join(f"{name} {found}" if found else f"no {name}" for name, found in installed.items())
    unseen = [name for name, found in installed.items() if found and not was_seen(name, found)]
    if not any(installed.values()):
        return f"None of {', '.join(installed)} is installed here: run it in the training environment."
    if not unseen:
        return f"Runs on {here}; {'all of it' if all(installed.values()) else 'what is there'} was seen on a GPU."
    named = ", ".join(f"{name} {installed[name]} ({' and '.join(SEEN_ON_A_GPU[name])} was)" for name in unseen)
    return f"Runs on {here}. Never seen on a GPU: {named}."


def was_seen(name: str, found: str) -> bool:
    """Whether a GPU has run this version; a build's mark (`+cu130`) does not count."""
    return found.split("+")[0] in SEEN_ON_A_GPU[name]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
