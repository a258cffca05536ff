"""Registers `buf/validate/validate.proto` with google.protobuf, for the generated stubs.

The wheel of protovalidate carries this file's descriptor, but no google.protobuf module for it.
Taking the descriptor from there keeps the rules' vocabulary and their evaluator at one version.
"""

import protovalidate
from google.protobuf import (
    descriptor_pb2,  # noqa: F401  (these four are the file's own imports)
    descriptor_pool,
    duration_pb2,  # noqa: F401
    field_mask_pb2,  # noqa: F401
    timestamp_pb2,  # noqa: F401
)

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(
    protovalidate.ViolationPb.desc().file.proto.to_binary()
)
