"""The version of the package, for modules that `clif` itself imports too."""

__version__ = "0.1.0"
