# SPDX-License-Identifier: Apache-2.0
"""One line of a kernel log, freed from what a console, ``dmesg`` or a journal puts around it.

>>> line = parse_log_line("<3>[   12.345678][  T123] Memory failure: 0x1: unhandlable page.\\r\\n")
>>> line.level, line.time_ns, line.caller, line.message
(3, 12345678000, 'T123', 'Memory failure: 0x1: unhandlable page.')
"""

import re
from dataclasses import dataclass

__all__ = ["MAX_LINE", "LogLine", "kernel_message", "parse_log_line"]

#: Characters of a line that are looked at. The kernel's own limit is PRINTK_MESSAGE_MAX (2048) with the
#: prefix included. Source: Linux kernel/printk/internal.h.
MAX_LINE = 4096

# ECMA-48 control sequences, as a firmware or a shell on the same console sends them.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|[@-Z\\^_=>78])")
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")}

# /dev/kmsg: "level,sequence,microseconds,flags[,caller=T1];message". Source: Linux
# Documentation/ABI/testing/dev-kmsg.
_KMSG = re.compile(
    r"(?P<priority>\d{1,5}),(?P<sequence>\d{1,20}),(?P<us>\d{1,20}),(?P<flags>[^;]{0,64});(?P<message>.*)"
)
_CALLER = re.compile(r"caller=([TC]\d{1,10})")
_JOURNAL = " kernel: "
_JOURNAL_HEAD = 64  # "Nov 23 06:15:03 a-host-name", or short-monotonic's "[   12.345678] a-host-name"

# Names of dmesg --decode. Source: util-linux sys-utils/dmesg.c.
_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
_PREFIX = re.compile(
    r"""
    (?: <(?P<priority>\d{1,3})> )?                                   # printk level, dmesg -r
    (?: [a-z0-9]{3,8} [ ]{0,8} : (?P<name>[a-z]{3,6}) [ ]{0,8} : [ ]? )?   # dmesg -x: "kern  :err   : "
    (?: \d{4}-\d\d-\d\dT[\d:]{8}[,.]\d{1,9}(?:Z|[+-]\d\d:?\d\d)? [ ]   # dmesg --time-format iso
      | \[ [A-Z][a-z]{2} [ ] [A-Z][a-z]{2} [ ]{1,2} \d{1,2} [ ] [\d:]{8} [ ] \d{4} \]  # dmesg -T
      | \[ [A-Z][a-z]{2} [ ]? \d{1,2} [ ] \d\d:\d\d \]                 # dmesg -H, now and then
      | \[ [ ]{0,16} [+] \d{1,12} \. \d{3,9} \] )?                   # and else
    (?: \s{0,64} \[ \s{0,16} (?P<seconds>\d{1,12}) \. (?P<fraction>\d{3,9})   # printk.time
        (?: [ ]{0,16} < [ ]{0,16} \d{1,12} \. \d{3,9} > )? \] )?       # dmesg -d
    (?: \s{0,64} \[ \s{0,16} (?P<caller>[TC]\d{1,10}) \] )?          # CONFIG_PRINTK_CALLER
    \s?
    """,
    re.VERBOSE,
)
# On a console a prompt may stand before it, which has no line end: "localhost login: [   45.123456] …".
_BEHIND_A_PROMPT = re.compile(
    r"(?:(?<=[:)#$>\]])|(?<=[:)#$>\]] ))\[ {0,16}\d{1,12}\.\d{6}\](?:\[ {0,16}[TC]\d{1,10}\])? "
)
_PROMPT = 128
_TIME = re.compile(r"\[ {0,16}(?P<seconds>\d{1,12})\.(?P<fraction>\d{3,9})\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A kernel's message and what was said of it.

    ``level`` is the printk level, 0 (emergency) to 7 (debug), ``facility`` syslog's, 0 for the kernel itself;
    ``time_ns`` nanoseconds on the kernel's clock (its text has microseconds); ``caller`` the task ``T<tid>``
    or the CPU ``C<number>`` that printed; ``sequence`` the record's number. What a line did not say is
    ``None``.
    """

    message: str
    level: int | None = None
    facility: int | None = None
    time_ns: int | None = None
    caller: str | None = None
    sequence: int | None = None


def parse_log_line(line: str) -> LogLine:
    """Take a line apart, however it was obtained.

    Understood are a bare message, ``dmesg`` with ``-r``, ``-x``, ``-T``, ``-H``, ``-d`` or ISO times,
    ``/dev/kmsg``, a console's, be it behind a prompt, and a journal's text; terminal escapes, other control
    characters and line ends are dropped, and so is what exceeds :data:`MAX_LINE`. It never fails: a line that
    is none of these is a message.
    """
    text = _clean(line)
    if kmsg := _KMSG.fullmatch(text):
        caller = _CALLER.search(kmsg["flags"])
        priority = int(kmsg["priority"])
        return LogLine(
            message=kmsg["message"],
            level=priority & 7,
            facility=priority >> 3,
            time_ns=int(kmsg["us"]) * 1000,
            caller=caller[1] if caller else None,
            sequence=int(kmsg["sequence"]),
        )
    at = text.find(_JOURNAL, 0, _JOURNAL_HEAD + len(_JOURNAL))
    head, text = (text[:at], text[at + len(_JOURNAL) :]) if at >= 0 else ("", text)
    match = _PREFIX.match(text)
    if (match is None or match.end() <= 1) and (later := _BEHIND_A_PROMPT.search(text, 0, _PROMPT)):
        text = text[later.start() :]
        match = _PREFIX.match(text)
    if match is None:
        return LogLine(message=text)
    level = facility = None
    if match["priority"]:
        level, facility = int(match["priority"]) & 7, int(match["priority"]) >> 3
    elif match["name"] in _LEVELS:
        level = _LEVELS.index(match["name"])
    time = match if match["seconds"] else _TIME.search(head)
    return LogLine(
        message=text[match.end() :],
        level=level,
        facility=facility,
        time_ns=_nanoseconds(time["seconds"], time["fraction"]) if time else None,
        caller=match["caller"],
    )


def kernel_message(line: str) -> str:
    """Return the kernel's message in a line, without level, time, caller and line end."""
    return parse_log_line(line).message


def _nanoseconds(seconds: str, fraction: str) -> int:
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def _clean(line: str) -> str:
    line = line[:MAX_LINE].rstrip()
    if not line.isprintable():
        line = _ESCAPES.sub("", line).translate(_CONTROLS).rstrip()
    return line
