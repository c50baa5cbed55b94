"""Errors that a user can act on: one sentence that says what was asked, what was found and what to do."""


class MechkitError(Exception):
    """Anything that is wrong with what mechkit was given, rather than with mechkit; the command line prints its text alone."""


class DataError(MechkitError):
    """A file or a row that cannot be used; names file, line and reason where there are any."""


class ModelError(MechkitError):
    """A model, tokenizer or adapter that is missing or cannot do what was asked."""


class NoRoom(ModelError):
    """A model that does not fit into the memory of the device it was to be loaded on."""


class DirectionError(MechkitError):
    """A direction that is undefined, or used on something other than what it was made for."""


class UnknownName(MechkitError):
    """A name that no registry, preset or configuration knows."""


class NotMeasured(MechkitError):
    """A measurement that came out empty, NaN or infinite where a number was due."""
