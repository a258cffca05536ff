"""`smart-audit log`: what the log proves, and whether it does."""
