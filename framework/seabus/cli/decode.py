# SPDX-License-Identifier: Apache-2.0
"""``seabus decode``: what the bits say - syndromes, error records, kernel logs."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from seabus.arch.cper import decode_record, describe, remarks
from seabus.arch.esr import Syndrome, decode_esr
from seabus.arch.malformed import MalformedRecord
from seabus.cli import decode_log
from seabus.cli.record_input import FORMS, read_record
from seabus.errors import UsageError
from seabus.machine.console import printable
from seabus.report.console import Console

_ESR_EPILOG: Final = """\
examples:
  seabus decode esr 0x92000410          what QEMU injects for a page that was lost
  seabus decode esr --el 2 0x93c08007   as ESR_EL2 holds it
"""
#: What a kernel prints before each line of a record: the file is its log.
_LOGGED: Final = b"[Hardware Error]"
_CPER_EPILOG: Final = """\
examples:
  seabus decode cper record.cper                  what a run injected
  seabus decode cper - < /sys/firmware/acpi/tables/data/BERT
  xxd record.cper | seabus decode cper -          dumps of xxd and hexdump -C are understood
  dmesg | seabus decode cper -                    a kernel's log is, too: as `seabus decode dmesg`
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "decode",
        help="decode a syndrome, an error record or a kernel log",
        description="Decode formats of the architecture, field by field, each with its source.",
    )
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)

    esr = kinds.add_parser(
        "esr",
        help="ESR_ELx",
        description="Decode values of ESR_EL1, ESR_EL2 or ESR_EL3.",
        epilog=_ESR_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    esr.add_argument("values", nargs="+", metavar="VALUE", help="hexadecimal with 0x, or decimal")
    esr.add_argument("--el", type=int, choices=(1, 2, 3), help="whose register it is, if that is known")
    esr.add_argument("--json", action="store_true", help="a list of objects")
    esr.set_defaults(main=_esr)

    cper = kinds.add_parser(
        "cper",
        help="a CPER record or a generic error status block",
        description="Decode an error record: a CPER, or a status block as a GHES holds it.",
        epilog=_CPER_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cper.add_argument("file", metavar="FILE", help="- is standard input")
    cper.add_argument("--format", choices=FORMS, help="how it is written [found out]")
    cper.add_argument("--all", action="store_true", help="also fields the record does not declare valid")
    cper.add_argument("--json", action="store_true", help="one object")
    cper.set_defaults(main=_cper)

    decode_log.add_parser(kinds)


def _esr(arguments: argparse.Namespace) -> int:
    found = [decode_esr(_number(text), el=arguments.el) for text in arguments.values]
    if arguments.json:
        print(json.dumps([_syndrome_as_json(one) for one in found], indent=1))
        return 0
    console = Console()
    for syndrome in found:
        _show_syndrome(syndrome, console)
    return 0


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{text!r} is no number", hint="such as 0x92000410") from None
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} does not fit into 64 bits")
    return value


def _syndrome_as_json(syndrome: Syndrome) -> dict[str, Any]:
    return {
        "esr": f"{syndrome.esr.raw:#x}",
        "summary": syndrome.summary(),
        "fields": [
            {
                "name": field.name,
                "high": field.high,
                "low": field.low,
                "value": field.value,
                "meaning": field.meaning,
                "feature": field.feature,
                "source": field.source,
            }
            for field in syndrome.fields
        ],
        "violations": list(syndrome.violations),
    }


def _show_syndrome(syndrome: Syndrome, console: Console) -> None:
    heading = Text.assemble((f"{syndrome.esr.raw:#010x}", "bold"), f"  {syndrome.summary()}")
    console.print(heading, soft_wrap=True)
    table = _table("bits", "field", "value", "meaning")
    source = ""
    for field in syndrome.fields:
        if field.source != source:
            source = field.source
            table.add_row("", "", "", Text(source, style="dim"))
        bits = str(field.low) if field.high == field.low else f"{field.high}:{field.low}"
        meaning = f"{field.meaning} ({field.feature})" if field.feature else field.meaning
        table.add_row(bits, field.name, f"{field.value:#x}", meaning)
    console.print(table)
    for violation in syndrome.violations:
        console.print(Text(f"violates the architecture: {violation}", style="yellow"), soft_wrap=True)
    console.print()


def _cper(arguments: argparse.Namespace) -> int:
    data = read_record(arguments.file, arguments.format)
    if arguments.format is None and _LOGGED in data:
        return decode_log.show([data], as_json=arguments.json)
    try:
        record = decode_record(data)
    except MalformedRecord as error:
        raise UsageError(f"no error record: {error}", hint="--format says how the file is written") from error
    rows = [row for row in describe(record) if row.valid or arguments.all]
    found = remarks(record)
    if arguments.json:
        print(json.dumps({"rows": [row.as_dict() for row in rows], "remarks": list(found)}, indent=1))
        return 0
    console = Console()
    table = _table("byte", "bits", "field", "value", "meaning")
    where: tuple[str, str] | None = None
    for row in rows:
        if (row.path, row.source) != where:
            where = (row.path, row.source)
            table.add_row("", "", Text(row.path or "record", style="bold"), "", Text(row.source, style="dim"))
        name = Text(row.name, style="" if row.valid else "dim")
        told = (Text(printable(text)) for text in (row.text, row.meaning))
        table.add_row(str(row.offset), row.bits, name, *told)
    console.print(table)
    for remark in found:
        console.print(Text(f"remark: {remark}", style="yellow"), soft_wrap=True)
    return 0


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, header_style="dim", overflow="fold")
    return table
