"""Composition root: loads a site's files, builds every object, and owns the one TaskGroup."""

from gateway.app.daemon import Daemon, control_path
from gateway.app.load import Site, load_site

__all__ = ["Daemon", "Site", "control_path", "load_site"]
