"""What stands between a patient and the data: monitors that read, pumps that give."""

from twinjax.devices.monitor import MONITORS, GlucoseMonitor
from twinjax.devices.pump import PUMPS, InsulinPump

__all__ = ["MONITORS", "PUMPS", "GlucoseMonitor", "InsulinPump"]
