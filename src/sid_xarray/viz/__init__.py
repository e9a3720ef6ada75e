"""Pictures of arrays. Light: plotting libraries are imported when something is drawn."""
