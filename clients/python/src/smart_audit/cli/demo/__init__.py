"""`smart-audit demo`: the product in one run, against a real stack."""
