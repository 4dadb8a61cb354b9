# SPDX-License-Identifier: Apache-2.0
"""``seabus encode``: syndromes and error records from names."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tomllib
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import Severity, StatusBlock, memory_error_record
from seabus.arch.esr import EXCEPTION_CLASSES, BadEsrField, encode_esr
from seabus.cli.record_input import MOST_BYTES, open_input
from seabus.cli.record_toml import SECTIONS, block_from
from seabus.errors import UsageError

_EPILOG: Final = """\
examples:
  seabus encode esr 0x24 DFSC=0x10 FnV=1 EA=0
  seabus encode cper --address 0x40001000 --severity recoverable -o record.cper
  seabus encode cper --from record.toml --format base64
"""
_FORMATS: Final = ("binary", "hex", "base64")

_TOML: Final = f"""\
# A description; names of fields, and words for their values, as `seabus decode cper` prints them.
severity = "recoverable"    # of the block, and of each entry that has none of its own
[[entry]]
section = "memory"          # or {", ".join(name for name in SECTIONS if name != "memory")}
fru_text = "seabus"
[entry.body]
physical_address = 0x40001000
error_type = "multi-bit ECC"
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = commands.add_parser(
        "encode",
        help="encode a syndrome or an error record",
        description="Encode formats of the architecture from names.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)

    esr = kinds.add_parser("esr", help="ESR_ELx from exception class and fields")
    esr.add_argument("ec", metavar="EC", help="exception class, a number such as 0x24")
    esr.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="as `seabus decode esr` names them")
    esr.add_argument("--el", type=int, choices=(1, 2, 3), help="whose register it is")
    esr.add_argument("--json", action="store_true", help="one object")
    esr.set_defaults(main=_esr)

    cper = kinds.add_parser(
        "cper",
        help="a generic error status block",
        description="A generic error status block: of a memory error, by options, or of anything, from TOML.",
        epilog=_TOML,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cper.add_argument("--from", dest="toml", metavar="FILE", help="a TOML description; - is standard input")
    cper.add_argument("--address", type=_number, help="of a memory error, physical, of the level it is for")
    cper.add_argument(
        "--severity",
        choices=[one.name.lower() for one in Severity],
        default="recoverable",
        help="[recoverable]",
    )
    cper.add_argument("--fru-id", type=uuid.UUID, help="a GUID by which the record is known again [random]")
    cper.add_argument("--fru-text", default="", help="up to 20 characters")
    cper.add_argument("--format", choices=_FORMATS, help="[binary to a file, hex to a terminal]")
    cper.add_argument("-o", "--output", type=Path, metavar="FILE", help="[standard output]")
    cper.add_argument("--json", action="store_true", help="one object, with the record in --format [hex]")
    cper.set_defaults(main=_cper)


def _esr(arguments: argparse.Namespace) -> int:
    ec = _number(arguments.ec)
    if ec not in EXCEPTION_CLASSES:
        raise UsageError(f"{arguments.ec} is no exception class", hint="0 to 0x3f, see the Arm ARM, ESR_EL1")
    fields = {}
    for word in arguments.fields:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not FIELD=VALUE", hint="such as DFSC=0x10")
        if name == "el":
            raise UsageError("el is no field of the register", hint="--el says whose register it is")
        fields[name] = _number(text)
    try:
        esr = encode_esr(ec, el=arguments.el, **fields)
    except BadEsrField as error:
        raise UsageError(str(error)) from error
    print(json.dumps({"esr": f"{esr.raw:#010x}"}) if arguments.json else f"{esr.raw:#010x}")
    return 0


def _cper(arguments: argparse.Namespace) -> int:
    if (arguments.toml is None) == (arguments.address is None):
        raise UsageError("say what to encode", hint="either --address, or --from FILE")
    block = _from_toml(arguments.toml) if arguments.toml else _from_options(arguments)
    try:
        data = block.encode()
    except ValueError as error:
        raise UsageError(f"the record cannot be encoded: {error}") from error
    to_terminal = arguments.output is None and (arguments.json or sys.stdout.isatty())
    form = arguments.format or ("hex" if to_terminal else "binary")
    text = {"hex": data.hex, "base64": lambda: base64.b64encode(data).decode()}.get(form)
    written = f"{text()}\n".encode() if text else data
    if arguments.output:
        arguments.output.write_bytes(written)
    if arguments.json:
        print(json.dumps(_told(arguments, form, len(data), text() if text else None)))
    elif not arguments.output:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
    return 0


def _told(arguments: argparse.Namespace, form: str, length: int, record: str | None) -> dict[str, Any]:
    """Of a record: itself, or the file that it is in.

    :raises UsageError: it is binary, and goes to no file.
    """
    if arguments.output:
        return {"file": str(arguments.output), "format": form, "bytes": length}
    if record is None:
        raise UsageError("an object cannot hold a binary record", hint="--format hex or base64, or -o FILE")
    return {"record": record, "format": form, "bytes": length}


def _from_options(arguments: argparse.Namespace) -> StatusBlock:
    return memory_error_record(
        HostPhysical(arguments.address),
        severity=Severity[arguments.severity.upper()],
        fru_id=arguments.fru_id or uuid.uuid4(),
        fru_text=arguments.fru_text,
    )


def _from_toml(name: str) -> StatusBlock:
    with ExitStack() as stack:
        text = open_input(name, stack).read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise UsageError(f"{name} is larger than {MOST_BYTES} bytes")
    try:
        document = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: {error}") from error
    return block_from(document)


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{text!r} is no number", hint="such as 0x10") from None
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} does not fit into 64 bits")
    return value
