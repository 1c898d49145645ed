"""How programs of the tests tell each other something by files, and wait for what has to happen."""

import os
import time


class Folder:
    """The folder of one test.

    details: called where something does not happen in time; its text helps to see why.
    """

    def __init__(self, path, seconds=30.0, details=lambda: ""):
        self.path, self.seconds, self.details = path, seconds, details

    def read(self, name):
        """The text of a file; nothing if there is none."""
        try:
            with open(os.path.join(self.path, name), errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def write(self, name, text):
        """Whole or not at all."""
        path = os.path.join(self.path, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def wait(self, name):
        """Until a file is there. The test that makes it has a limit of its own."""
        while not os.path.exists(os.path.join(self.path, name)):
            time.sleep(0.005)

    def wait_for(self, question, what, seconds=None):
        """The first answer that is true."""
        limit = seconds or self.seconds
        deadline = time.monotonic() + limit
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {limit} s: {what}\n{self.details()}")
            time.sleep(0.01)
