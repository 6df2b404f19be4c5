# SPDX-License-Identifier: Apache-2.0
"""Pushes a file by oras, the client of registries, pulls it again, and lists the tags: `oras_client.py TARGET FILE FOLDER`."""

import sys

import oras.client

target, file, folder = sys.argv[1:]
client = oras.client.OrasClient(insecure=True)
client.push(target=target, files=[file], disable_path_validation=True)
print(*client.pull(target=target, outdir=folder))
print(*client.get_tags(target.rsplit(":", 1)[0]))
