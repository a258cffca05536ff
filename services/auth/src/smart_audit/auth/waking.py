"""Work beside the calls: it waits to be woken, and looks again by itself every two seconds."""

import asyncio

POLL_S = 2.0


class Woken:
    """Who takes from a queue that calls put something into."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Tell it that something may have been committed."""
        self._woken.set()

    async def _pause(self) -> bool:
        """Wait to be woken, or for two seconds; gives whether it was woken.

        The look without a call finds what a process left that died between commit and work. What
        is committed from here on wakes the next pause: nothing is passed over.
        """
        try:
            # Not wait_for: before Python 3.12 it lost the cancellation of a service that stops in
            # the moment in which it is woken.
            async with asyncio.timeout(POLL_S):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True
