"""Fits compiled by numba, curve by curve; imported only where numba is installed."""
