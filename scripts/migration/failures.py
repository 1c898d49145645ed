"""How a migration can end other than well."""


class Failed(Exception):
    """The migration did not come about; the tree goes on here."""

    def __init__(self, sentence, status=1):
        super().__init__(sentence)
        self.status = status


class Undecided(Exception):
    """The other host was told to go, and its answer is unknown."""
