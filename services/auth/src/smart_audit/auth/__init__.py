"""Who you are: accounts, sessions, and the tokens that prove them."""
