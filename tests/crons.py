"""Cron lines and zones of which the hub, cron programs and Temporal must think alike."""

from __future__ import annotations

__all__ = ["CRONS", "ZONES"]

CRONS = (
    "* * * * *",
    "*/15 9-17 * * *",
    "5/20 * * * *",
    "10-20/5,40 * * * *",
    "0 8 * * mon-fri",
    "0 8 * * MON,Wed,fri",
    "0 8 * * 7",
    "0 8 * * 5-7",
    "0 8 * * 0-7",
    "0 8 * * 1-7/2",
    "0 8 * * */2",
    "0 8 * * sun-tue",
    "0 12 1,15 * *",
    "0 12 1,2-4,*/10 * *",
    "0 12 31 * *",
    "0 12 29 2 *",
    "0 12 1 jan-mar,OCT *",
    "0 12 1 */5 *",
    "00 08 * * *",
    " 0  8  *  *  * ",
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
)
ZONES = ("UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
