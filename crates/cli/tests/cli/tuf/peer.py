# SPDX-License-Identifier: Apache-2.0
"""python-tuf as a peer: reads roots of others, and makes some of its own.

verify FILE...   walks from the first root over the others; prints the newest as JSON, or why it is refused
canonical COUNT  prints so many values as JSON, each with its canonical form in hexadecimal
keys FILE...     for each PEM file with a public key, prints its key id
make FOLDER      makes roots with keys of every kind, and some that must be refused
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

EXPIRES = datetime(2040, 1, 1, tzinfo=timezone.utc)


def verify(files):
    try:
        first, *others = [Path(file).read_bytes() for file in files]
        trusted = TrustedMetadataSet(first, EnvelopeType.METADATA)
        for other in others:
            trusted.update_root(other)
    except (RepositoryError, DownloadError) as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)
    root = trusted.root
    roles = {name: [role.threshold, sorted(role.keyids)] for name, role in root.roles.items()}
    print(json.dumps({"version": root.version, "roles": roles, "schemes": sorted(key.scheme for key in root.keys.values())}))


def canonical(count):
    random = Random(1)
    letters = [*range(0x00, 0x80), 0xE9, 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF]

    def text():
        return "".join(chr(random.choice(letters)) for _ in range(random.randrange(9)))

    def value(depth):
        match random.randrange(6 if depth < 5 else 4):
            case 0:
                return random.choice([None, True, False])
            case 1:
                return random.choice([0, -1, -(2**63), 2**64 - 1, random.randrange(-(2**63), 2**64)])
            case 2 | 3:
                return text()
            case 4:
                return [value(depth + 1) for _ in range(random.randrange(5))]
            case _:
                return {text(): value(depth + 1) for _ in range(random.randrange(5))}

    for _ in range(count):
        any_value = value(0)
        print(json.dumps(any_value), encode_canonical(any_value).encode().hex(), sep="\t")


def keys(files):
    for file in files:
        print(SSlibKey.from_crypto(load_pem_public_key(Path(file).read_bytes())).keyid)


def written(path, root, signers):
    metadata = Metadata(root)
    for signer in signers:
        metadata.sign(signer, append=True)
    path.write_bytes(metadata.to_bytes())


def make(folder):
    folder = Path(folder)
    kinds = [CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa, lambda: CryptoSigner.generate_rsa(size=2048)]
    old, new = [[kind() for kind in kinds] for _ in range(2)]
    root = Root(version=1, expires=EXPIRES)
    root.unrecognized_fields["x-made-by"] = 'python-tuf, with "quotes" and\nlines é'
    for signer in old:
        root.add_key(signer.public_key, "root")
    for role in ["targets", "snapshot", "timestamp"]:
        root.add_key(old[0].public_key, role)
    root.roles["root"].threshold = 2
    written(folder / "1.root.json", root, old[:2])
    written(folder / "one-signature.json", root, old[:1])
    root.version = 2
    for mine, theirs in zip(old, new):
        root.revoke_key(mine.public_key.keyid, "root")
        root.add_key(theirs.public_key, "root")
    written(folder / "2.root.json", root, old[1:] + new[:2])
    written(folder / "new-keys-only.json", root, new)
    written(folder / "old-keys-only.json", root, old)
    root.version = 3
    written(folder / "3.root.json", root, new[1:])
    opaque = CryptoSigner.generate_ed25519()
    again = SSlibKey("0" * 64, "ed25519", "ed25519", dict(opaque.public_key.keyval))
    twice = Root(version=1, expires=EXPIRES)
    for key in [opaque.public_key, again]:
        for role in twice.roles:
            twice.add_key(key, role)
    twice.roles["root"].threshold = 2
    written(folder / "one-key-twice.json", twice, [opaque, CryptoSigner(opaque._private_key, again)])


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    match task:
        case "verify":
            verify(arguments)
        case "canonical":
            canonical(int(arguments[0]))
        case "keys":
            keys(arguments)
        case "make":
            make(arguments[0])
