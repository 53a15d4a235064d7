"""The version of the package, for modules that `clif` itself also imports."""

__version__ = "0.1.0"
