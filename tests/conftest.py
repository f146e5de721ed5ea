"""What any test may ask for by name."""

from browser import browser

__all__ = ["browser"]
