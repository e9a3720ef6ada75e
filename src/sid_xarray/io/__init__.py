"""Files: doors for xarray's backends, NSID, and what they share."""
