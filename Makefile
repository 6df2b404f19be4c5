# SPDX-License-Identifier: Apache-2.0
# The logic is in `xtask`; these are the commands of the README.

.PHONY: demo test setup vm

# A linker and the headers that the first crates need; `xtask`, once it runs, finds the rest.
cargo = $(or $(shell command -v cargo),$(error there is no cargo: install Rust from your distribution or by rustup))

demo:
	@$(cargo) xtask demo

test:
	@$(cargo) xtask test

setup:
	@$(cargo) xtask setup

vm:
	@$(cargo) xtask vm
