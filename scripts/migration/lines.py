"""Lines and bytes over descriptors."""

import os
import selectors
import time


def write_all(number, data):
    view = memoryview(data)
    while view:
        view = view[os.write(number, view):]


class Lines:
    """Reads a descriptor line by line."""

    def __init__(self, number):
        self.number = number
        self.pending = b""

    def next(self, seconds):
        """The next line; None: the end, or nothing came in time."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.number, selectors.EVENT_READ)
            while b"\n" not in self.pending:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    return None
                try:
                    more = os.read(self.number, 4096)
                except OSError:
                    more = b""
                if not more:
                    return None
                self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace")


class Pace:
    """Keeps to a number of bytes per second; None: as quickly as it goes."""

    def __init__(self, limit):
        self.limit = limit
        # Bytes to send at once: an eighth of a second's.
        self.piece = max(1 << 12, min(1 << 20, limit >> 3)) if limit else 1 << 20
        self.begin = time.monotonic()
        self.bytes = 0

    def sent(self, count):
        """Waits until more bytes are due."""
        self.bytes += count
        if self.limit:
            ahead = self.bytes / self.limit - (time.monotonic() - self.begin)
            if ahead > 0:
                time.sleep(ahead)
