# SPDX-License-Identifier: Apache-2.0
"""Logging in to a lab host, which is known by its key; and what it means if that is not possible."""

from __future__ import annotations

import base64
import errno
from typing import Final

import paramiko

from seabus.errors import HostError, MachineError, SeabusError, UsageError
from seabus.lab.inventory import LabHost
from seabus.patience import scale

#: Seconds for each step of it.
CONNECT: Final = 20.0
#: To be connected, to be greeted, to be let in.
STEPS: Final = 3
#: What the network says of a host that is off, or about to come up.
_SILENT: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ETIMEDOUT})
#: What nobody should be talked down to (RFC 9142; `ssh -Q cipher` minus OpenSSH's own defaults). A host that
#: offers nothing else is refused before anything is sent to it.
_BROKEN: Final = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
    "kex": [
        "diffie-hellman-group1-sha1",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
    ],
    "keys": ["ssh-dss", "ssh-rsa"],
}


def log_in(host: LabHost) -> paramiko.SSHClient:
    """Connect, and know by its key that it is the host of the lab file; takes seconds.

    :raises HostError: it cannot be reached, has another key, or does not let us in.
    """
    identity = _identity(host) if host.identity else None
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    known = host.address if host.port == paramiko.config.SSH_PORT else f"[{host.address}]:{host.port}"
    kind, _, text = host.host_key.partition(" ")
    key = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
    client.get_host_keys().add(known, kind, key)
    where = f"lab host {host.name} ({host.user}@{host.address}:{host.port})"
    try:
        client.connect(
            host.address,
            port=host.port,
            username=host.user,
            pkey=identity,
            allow_agent=host.identity is None,
            look_for_keys=host.identity is None,
            timeout=CONNECT * scale(),
            banner_timeout=CONNECT * scale(),
            auth_timeout=CONNECT * scale(),
            disabled_algorithms=_BROKEN,
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        got = f"{error.key.get_name()} {error.key.get_base64()}"
        raise HostError(
            f"{where} has another key than the lab file says",
            hint="somebody else answers there, or it was installed anew: compare, then correct `host-key`",
            details={"its key": got},
        ) from error
    except paramiko.AuthenticationException as error:
        client.close()
        raise HostError(f"{where} does not let us in: {error}", hint="see `user` and `identity`") from error
    except paramiko.ssh_exception.IncompatiblePeer as error:
        client.close()
        raise HostError(
            f"{where} offers nothing that is safe: {error}",
            hint="somebody sits in between, or its sshd is old: see what `sshd -T` says there",
        ) from error
    except paramiko.SSHException as error:
        client.close()
        if "not found in known_hosts" in str(error):
            raise HostError(
                f"{where} has no key of the kind the lab file names ({kind})",
                hint="somebody else answers there, or it was installed anew: correct `host-key`",
            ) from error
        raise HostError(f"{where} does not speak SSH as it should: {error}") from error
    except UnicodeError as error:
        client.close()
        raise HostError(f"{where}: that is no host name: {error}", hint="correct `address`") from None
    except (OSError, EOFError) as error:
        client.close()
        raise HostError(f"{where} cannot be reached: {error}", hint="is it up, and its sshd?") from error
    return client


def _identity(host: LabHost) -> paramiko.PKey:
    """The key by which we are let in; what is wrong with it is nothing of the host's."""
    assert host.identity is not None
    try:
        return paramiko.PKey.from_path(host.identity)
    except Exception as error:  # it says what is wrong with a key in many ways
        raise UsageError(
            f"{host.identity} cannot be used as the identity for lab host {host.name}: {error!r}",
            hint="`identity` is the file of a private key, without a passphrase",
        ) from error


def is_silence(error: SeabusError) -> bool:
    """Whether a host that could not be commanded is one that does not answer: it is off, or hangs.

    One that answers with another key, or does not let us in, is up; and a fault of our own network says
    nothing about it.
    """
    cause = error.__cause__
    if isinstance(error, MachineError) or isinstance(cause, TimeoutError | EOFError):
        return True
    if isinstance(cause, paramiko.ssh_exception.NoValidConnectionsError):
        return all(isinstance(one, OSError) and one.errno in _SILENT for one in cause.errors.values())
    if isinstance(cause, OSError):
        return cause.errno in _SILENT
    return type(cause) is paramiko.SSHException and "banner" in str(cause)
