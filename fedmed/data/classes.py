"""Which class a folder or a label in a table stands for: by its name, or as `--classes` says."""

from __future__ import annotations

from fedmed.errors import UserError
from fedmed.task import CLASSES

LEFT_OUT = -1
_FORM = f"--classes takes NAME=CLASS,..., CLASS one of {', '.join(CLASSES)} or nothing to leave out"


class ClassNames:
    """Class names in any case, and others that `text` maps: `bacterial=PNEUMONIA,lateral=`.

    Raises:
        UserError: the text is not of that form.
    """

    def __init__(self, text: str | None = None) -> None:
        self._labels = {name.casefold(): label for label, name in enumerate(CLASSES)}
        given: dict[str, int] = {}
        for pair in text.split(",") if text else []:
            name, equals, title = (part.strip() for part in pair.rpartition("="))
            if not name or not equals or (title and title.upper() not in CLASSES):
                raise UserError(f"--classes: {pair.strip()!r} is not understood; {_FORM}.")
            label = CLASSES.index(title.upper()) if title else LEFT_OUT
            if given.setdefault(name.casefold(), label) != label:
                raise UserError(f"--classes: {name!r} is given two classes; give it one.")
        self._labels |= given

    def label(self, name: str) -> int | None:
        """The class's number, LEFT_OUT, or None for a name that is not known."""
        return self._labels.get(name.strip().casefold())

    def titles(self, label: int) -> list[str]:
        """The names that stand for a class, as they are compared."""
        return [name for name, its in self._labels.items() if its == label]


def unknown(name: str) -> str:
    """What to say of a class name that is not known."""
    return (
        f"is no class known here ({', '.join(CLASSES)}); --classes '{name}=PNEUMONIA' says which "
        f"it is, --classes '{name}=' leaves it out"
    )
