"""What is wrong with how a client is set up."""


class ConfigError(ValueError):
    """A setting, a profile or a file of them that cannot be used; the message says how to mend it.

    Never retried, and never about the service.
    """


class CredentialsMalformed(ConfigError):
    """What is given to log in with is neither a token nor a key."""
