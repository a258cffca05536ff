"""The server kit: what any of the services needs and none of them is about."""
