"""Mathematics and formats of a transparency log.

Pure functions over bytes: no I/O, no clock, no randomness, no other part of the product.

Merkle tree    hashing, compact, append, proofs     RFC 6962, RFC 9162
Tiles          tiles, tilereader                    C2SP tlog-tiles
Tree head      note, checkpoint                     C2SP signed-note, tlog-checkpoint
Event leaf     canonical, disclosure, leaf          RFC 8785, RFC 9901

Every error is a ValueError: ProofError, NoteError, CheckpointError, LeafError, and plain
ValueError for arguments that no tree has.
"""
