"""Beside the calls: sign the logs that have grown, and ask witnesses to cosign (C2SP tlog-witness).

No call ever waits for it. Each witness has a worker of its own, so that one that is slow, dead or
lying holds up nobody else.
"""
