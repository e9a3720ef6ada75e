"""Arrays in, arrays out; the core axis is the last one. No xarray, no dask, no options."""
