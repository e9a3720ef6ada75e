"""Where arrays meet xarray."""
