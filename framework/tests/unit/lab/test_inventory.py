# SPDX-License-Identifier: Apache-2.0
"""A lab file says what may be broken: whatever is wrong in it is told with file, line and the right word."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from seabus.errors import UsageError
from seabus.lab import inventory

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBWAcqazhEYt/SzKtOT6OV4/wiuJqC5jMFcO/OBku/9W"
ANOTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHAizip4mQ+0tW0rb9/OTTk3DGhyp/ip5Nm3eE/AzXEG"
GOOD = f"""\
[lab]
name = "rack-7"

[hosts.altra-1]
address = "altra-1.lab.example"
host-key = "{KEY} root@altra-1"
faults = ["einj", "hard-offline"]
power-cycle = ["pdu", "cycle", "7"]

[hosts.altra-2]
address = "altra-2.lab.example"
port = 2222
host-key = "{ANOTHER}"
"""


def key(*fields: str | bytes) -> str:
    """The base64 of an SSH key with these fields (RFC 4253, 6.6)."""
    data = [one.encode() if isinstance(one, str) else one for one in fields]
    return base64.b64encode(b"".join(len(one).to_bytes(4) + one for one in data)).decode()


def load(tmp_path: Path, text: str) -> inventory.Lab:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return inventory.load(path)


def test_a_lab(tmp_path: Path) -> None:
    lab = load(tmp_path, GOOD)
    assert (lab.name, lab.leases, list(lab.hosts)) == ("rack-7", "embedded", ["altra-1", "altra-2"])
    host = lab.host("altra-1")
    assert host.host_key == KEY  # without the comment
    assert host.faults == ("einj", "hard-offline")
    assert host.power_cycle == ("pdu", "cycle", "7")
    assert (host.port, lab.host("altra-2").port) == (22, 2222)
    assert lab.host("altra-2").faults == ()  # nothing is allowed that is not named


def test_an_identity_is_found_beside_the_lab_file(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("x")
    lab = load(tmp_path, GOOD.replace("port = 2222", 'port = 2222\nidentity = "id"'))
    assert lab.host("altra-2").identity == tmp_path / "id"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("faults =", "fauts =", 7, "did you mean `faults`"),
        ('"hard-offline"', '"hardoffline"', 7, "did you mean `hard-offline`"),
        ("port = 2222", "port = 70000", 12, "no TCP port"),
        ("port = 2222", 'port = "22"', 12, "no positive number"),
        ("port = 2222", 'identity = "nowhere"', 12, "there is no file"),
        ('["pdu", "cycle", "7"]', '"pdu cycle 7"', 8, "no list of strings"),
        ('name = "rack-7"', 'name = "x"\nleases = "labgird"', 3, "none of embedded, labgrid"),
        ('name = "rack-7"', 'name = "x"\nleases = "labgrid"', 1, "needs `coordinator`"),
        ("[hosts.altra-2]", "[host.altra-2]", 10, "did you mean `hosts`"),
        ('address = "altra-2.lab.example"\n', "", 10, "needs `address`"),
        ("[hosts.altra-2]", '[hosts."-x y"]', 10, "no name for a host"),
        (f'"{ANOTHER}"', '"ssh-ed25519 AAAA"', 13, "no public key"),
        (f'"{ANOTHER}"', '"ssh-ed25519 AAAA…"', 13, "no public key"),
        (f'"{ANOTHER}"', f'"{KEY}"', 13, "is that of altra-1, too"),
        ("port = 2222", 'identity = "~nobody-at-all/id"', 12, "there is no user ~nobody-at-all"),
        (f'"{ANOTHER}"', f'"ssh-rsa {KEY.split()[1]}"', 13, "no public key"),
        (f'"{ANOTHER}"', f'"ssh-ed25519 {key("ssh-ed25519", b"short")}"', 13, "a damaged ssh-ed25519 key"),
        (f'"{ANOTHER}"', f'"ssh-ed25519 {key("ssh-ed25519")}"', 13, "a damaged ssh-ed25519 key"),
        (f'"{ANOTHER}"', f'"ssh-rsa {key("ssh-rsa", b"", b"")}"', 13, "a damaged ssh-rsa key"),
        (f'"{ANOTHER}"', f'"ecdsa-sha2-nistp256 {key("ecdsa-sha2-nistp256")}"', 13, "a damaged ecdsa-"),
        (f'"{ANOTHER}"', f'"ssh-mldsa {key("ssh-mldsa", b"x" * 32)}"', 13, "not supported, ssh-mldsa"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert f"lab.toml:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_two_names_of_one_host(tmp_path: Path) -> None:
    """Two people would each have it."""
    same = GOOD.replace("altra-2.lab", "Altra-1.lab")
    load(tmp_path, same)  # another port may be another host, behind one address
    with pytest.raises(UsageError, match=r"lab.toml:11: .*address.* are those of altra-1, too"):
        load(tmp_path, same.replace("port = 2222", "port = 22"))


@pytest.mark.parametrize("text", ["", "[lab]\n", "[hosts]\n"])
def test_a_lab_without_hosts(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="names no host"):
        load(tmp_path, text)


def test_not_toml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not TOML: "):
        load(tmp_path, "[lab")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the lab file"):
        inventory.load(tmp_path / "nowhere")


def test_an_unknown_host_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD).host("altra1")
    assert caught.value.hint == "did you mean altra-1?"
