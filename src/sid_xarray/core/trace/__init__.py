"""Plain xarray code, recorded: one table of operations, and what stands for an array while they are recorded."""
