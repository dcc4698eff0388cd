"""Inputs that no schema can describe, for schemathesis."""

from datetime import datetime

import schemathesis
from hypothesis import strategies

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]

# Records lie between 1970 and 9999, and what ends has to end in the future.
instants = strategies.datetimes(
    min_value=datetime(2030, 1, 1),
    max_value=datetime(2090, 1, 1),
)
offsets = strategies.sampled_from(["Z", "+00:00", "+05:30", "-08:00", "+14:00"])

schemathesis.openapi.format("time-zone", strategies.sampled_from(ZONES))
schemathesis.openapi.format(
    "date-time",
    strategies.builds(lambda instant, offset: instant.isoformat(timespec="milliseconds") + offset, instants, offsets),
)
