# SPDX-License-Identifier: Apache-2.0
"""SSH key pairs in OpenSSH's form, for hosts and users that we make ourselves."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An Ed25519 key.

    :param private: the text of a private key file.
    :param public: ``ssh-ed25519 AAAA…``, without a comment.
    """

    private: str
    public: str


def new_key_pair() -> KeyPair:
    """A key that nobody had before."""
    key = Ed25519PrivateKey.generate()
    return KeyPair(
        private=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ).decode(),
        public=key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode(),
    )
