"""Inward: what a building management system talks to; each room owns its protocol on top of its library."""
