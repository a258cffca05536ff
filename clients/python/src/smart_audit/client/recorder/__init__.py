"""Recording in the background: a program goes on at once, and its events arrive.

`queue` holds what was recorded a moment ago, `spool` keeps it on disk, `sender` sends it in order,
`counters` tells what became of it, and `recorder` is what a program sees.
"""

from smart_audit.client.recorder.counters import Counters
from smart_audit.client.recorder.queue import Drop
from smart_audit.client.recorder.recorder import Recorder

__all__ = ["Counters", "Drop", "Recorder"]
