"""A witness (C2SP tlog-witness): it cosigns checkpoints that extend what it saw before.

Whoever runs a log could show one history to some and another to others. Who asks for a witness's
cosignature is safe from that, as long as the witness does its one duty: never to cosign two
states of a log of which the later does not extend the earlier. It stands on `smart_audit.tlog`
alone and knows nothing of the services.
"""
