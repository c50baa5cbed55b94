"""Imports every extension, which registers it."""
