"""Histories, done again: planned, run, or written down as a script. Nothing in a history is ever executed as code."""
