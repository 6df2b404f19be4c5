# SPDX-License-Identifier: Apache-2.0
"""A server of mail (aiosmtpd) on a free port of this machine, which writes each letter that it takes as a line of JSON.

`smtp_server.py FOLDER MODE`: MODE is `none`, `tls` or `starttls`. With TLS it has the certificate and the key of FOLDER and lets in
only who has the user and the password of `FOLDER/login`. `FOLDER/refuse` has an answer with which it refuses letters.
Its port is in `FOLDER/port`, the letters are in `FOLDER/letters`.
"""

import asyncio
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, mode = pathlib.Path(sys.argv[1]), sys.argv[2]


class Letters:
    """Keeps what comes."""

    async def handle_DATA(self, server, session, envelope):
        refuse = folder / "refuse"
        if refuse.exists():
            return refuse.read_text()
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode(),
            "tls": session.ssl is not None or mode == "tls",
            "user": session.auth_data,
        }
        with (folder / "letters").open("a") as letters:
            letters.write(json.dumps(letter) + "\n")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    """Who has the one login there is."""
    user, password = (folder / "login").read_text().split("\n")[:2]
    right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (user, password)
    return AuthResult(success=right, auth_data=user if right else None)


def protocol():
    """One connection."""
    if mode == "none":
        return SMTP(Letters())
    context = certificate() if mode == "starttls" else None
    # A connection that is TLS from its beginning needs no `STARTTLS` before a password is taken.
    return SMTP(
        Letters(),
        tls_context=context,
        require_starttls=mode == "starttls",
        auth_required=True,
        auth_require_tls=mode == "starttls",
        authenticator=authenticate,
    )


def certificate():
    """What it is known by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


async def serve():
    """Until it is killed."""
    context = certificate() if mode == "tls" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
    port = folder / "port.new"
    port.write_text(str(server.sockets[0].getsockname()[1]))
    port.rename(folder / "port")
    await server.serve_forever()


asyncio.run(serve())
