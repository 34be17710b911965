"""Composition root: loads a site's files, builds every object, and owns the one TaskGroup."""
