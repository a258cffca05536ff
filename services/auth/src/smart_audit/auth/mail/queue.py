"""How mail waits in the database."""

# What queued messages are sealed for: they hold secrets.
PURPOSE = "queued mail"
