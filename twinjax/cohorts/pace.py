"""How fast a cohort is solved, and when it will be done."""

from __future__ import annotations

import math
import threading
import time


class Pace:
    """How fast patients are solved. Threads may note at the same time.

    **Parameters**: `asked`, how many there are; `before`, how many an earlier session solved.
    """

    def __init__(self, asked: int, before: int = 0) -> None:
        self.asked, self.before, self.done = asked, before, 0
        self._began, self._lock = time.perf_counter(), threading.Lock()

    def note(self, patients: int) -> None:
        """So many more are solved."""
        with self._lock:
            self.done += patients

    @property
    def seconds(self) -> float:
        """Since the first began."""
        return time.perf_counter() - self._began

    @property
    def rate(self) -> float:
        """Patients a second."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def remaining(self) -> float:
        """Seconds that the rest will take at this rate; nan before there is one."""
        return (self.asked - self.before - self.done) / self.rate if self.done else math.nan
