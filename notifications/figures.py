"""How figures are written: the same on every screen, sheet, letter and page."""

RATE_FROM = 10  # of fewer households a rate says little: 1 of 1 is no 100.0 %


def rate(done: int, task: int) -> str:
    """The share that is done, `57.3%`; of few households the counts, `1/1`. May pass 100 %."""
    if task < RATE_FROM:
        return f"{done}/{task}"
    return f"{100 * done / task:.1f}%"


def chance(probability: float) -> str:
    """A probability as people may read it: whole percents, and never certainty from rounding."""
    if 0 < probability < 0.01:
        return "<1%"
    if 0.99 < probability < 1:
        return ">99%"
    return f"{probability:.0%}"
