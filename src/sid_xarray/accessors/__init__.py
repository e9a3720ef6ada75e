"""Names only: what users type after ``.sid``."""
