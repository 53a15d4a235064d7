"""Options with another value in the first epochs, written as VALUE:EPOCHS, separated by commas."""

from clif.errors import InputError


def parse_stages(name: str, text: str) -> list[tuple[int, int]]:
    """The pairs (value, epochs) of an option: "1:12,2:6" is 1 for 12 epochs, then 2 for 6.

    Raises `InputError` that names the option for a text of another form.
    """
    wrong = InputError(f"{name} takes VALUE:EPOCHS, whole numbers such as 1:12,2:6; got {text!r}")
    try:
        words = text.split(",") if text.strip() else []
        stages = [(int(value), int(epochs)) for value, epochs in (word.split(":") for word in words)]
    except ValueError:
        raise wrong from None
    if any(number < 1 for stage in stages for number in stage):
        raise wrong
    return stages


def value_at(stages: list[tuple[int, int]], epoch: int, after: int) -> int:
    """The value in an epoch, counted from 0; `after` if the epoch is after all stages."""
    for value, epochs in stages:
        if epoch < epochs:
            return value
        epoch -= epochs
    return after
