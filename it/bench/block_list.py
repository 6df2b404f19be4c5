#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a long block list costs a packet: `ddos-guard` beside Debian's `xdp-filter`, in nanoseconds.

Both have as many blocked IPv4 addresses and nothing else, and meet the same UDP datagrams through BPF_PROG_TEST_RUN. `blocked`
datagrams are from listed sources, `passed` ones are not. `warm` is one source again and again; `cold` is another source with each
run, so that what is looked up is not in the caches of the processor. All is loaded anew several times; samples of both, and of a
program that does nothing, are taken in turns, and what the latter costs is subtracted: medians are told. xdp-filter also looks
the destination up, as it always does.

    clang-19 -g -O2 -target bpf -mcpu=v3 -I crates/compile/include -c programs/ddos-guard/ddos-guard.bpf.c -o ddos-guard.bpf.o
    sudo it/bench/block_list.py --object ddos-guard.bpf.o [--entries 1000000] [--json]
"""
import argparse
import ctypes
import json
import random
import statistics
import struct
import subprocess
import tempfile

XDP_FILTER = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_ip.o"
EMPTY = '__attribute__((section("xdp"), used)) int empty(void *c) { return 2; }\n' \
        'char l[] __attribute__((section("license"), used)) = "GPL";\n'
DROP, PASS = 1, 2
PART = 10000


class Options(ctypes.Structure):
    """`struct bpf_test_run_opts` of libbpf."""

    _fields_ = [("sz", ctypes.c_size_t), ("data_in", ctypes.c_void_p), ("data_out", ctypes.c_void_p),
                ("data_size_in", ctypes.c_uint32), ("data_size_out", ctypes.c_uint32),
                ("ctx_in", ctypes.c_void_p), ("ctx_out", ctypes.c_void_p),
                ("ctx_size_in", ctypes.c_uint32), ("ctx_size_out", ctypes.c_uint32),
                ("retval", ctypes.c_uint32), ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32), ("batch_size", ctypes.c_uint32)]


def library():
    """libbpf, with the types of what is called."""
    bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointer = ctypes.c_void_p
    bpf.bpf_object__open_file.argtypes, bpf.bpf_object__open_file.restype = [ctypes.c_char_p, pointer], pointer
    bpf.bpf_object__find_map_by_name.argtypes = [pointer, ctypes.c_char_p]
    bpf.bpf_object__find_map_by_name.restype = pointer
    bpf.bpf_object__find_program_by_name.argtypes = [pointer, ctypes.c_char_p]
    bpf.bpf_object__find_program_by_name.restype = pointer
    bpf.bpf_object__next_map.argtypes, bpf.bpf_object__next_map.restype = [pointer, pointer], pointer
    bpf.bpf_map__set_pin_path.argtypes = [pointer, ctypes.c_char_p]
    bpf.bpf_map__set_max_entries.argtypes = [pointer, ctypes.c_uint32]
    bpf.bpf_object__close.argtypes = [pointer]
    bpf.bpf_object__load.argtypes = [pointer]
    bpf.bpf_map__fd.argtypes = bpf.bpf_program__fd.argtypes = [pointer]
    bpf.bpf_map_update_batch.argtypes = [ctypes.c_int, pointer, pointer, pointer, pointer]
    bpf.bpf_prog_test_run_opts.argtypes = [ctypes.c_int, pointer]
    return bpf


BPF = library()


def checked(result, what):
    """Ends where libbpf could not."""
    if result is None or (isinstance(result, int) and result < 0):
        raise SystemExit(f"{what}: errno {ctypes.get_errno()}")
    return result


class Loaded:
    """A program in the kernel."""

    def __init__(self, path, function, sizes):
        self.object = checked(BPF.bpf_object__open_file(path.encode(), None), path)
        # Maps that are to be pinned would be those of whoever ran it before.
        each = BPF.bpf_object__next_map(self.object, None)
        while each:
            BPF.bpf_map__set_pin_path(each, None)
            each = BPF.bpf_object__next_map(self.object, each)
        for name, entries in sizes.items():
            checked(BPF.bpf_map__set_max_entries(self.map(name), entries), name)
        checked(BPF.bpf_object__load(self.object), path)
        program = checked(BPF.bpf_object__find_program_by_name(self.object, function.encode()), function)
        self.program, self.function = BPF.bpf_program__fd(program), function

    def map(self, name):
        return checked(BPF.bpf_object__find_map_by_name(self.object, name.encode()), name)

    def fill(self, name, keys, value):
        """Writes entries with one value, many at once."""
        descriptor = BPF.bpf_map__fd(self.map(name))
        for begin in range(0, len(keys), PART):
            part = keys[begin:begin + PART]
            count = ctypes.c_uint32(len(part))
            checked(BPF.bpf_map_update_batch(descriptor, b"".join(part), value * len(part), ctypes.byref(count), None), name)

    def run(self, frame, repeat, verdict):
        """How long a run takes, on average."""
        options = Options(sz=ctypes.sizeof(Options), data_in=ctypes.cast(frame, ctypes.c_void_p),
                          data_size_in=len(frame) - 1, repeat=repeat)
        checked(BPF.bpf_prog_test_run_opts(self.program, ctypes.byref(options)), "BPF_PROG_TEST_RUN")
        if verdict is not None and options.retval != verdict:
            raise SystemExit(f"the verdict of `{self.function}` is {options.retval} and not {verdict}")
        return options.duration


def frame(source):
    """A UDP datagram in 64 bytes."""
    packet = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + struct.pack(">BBHHHBBH", 0x45, 0, 50, 0, 0, 64, 17, 0)
    packet += source + bytes([10, 0, 0, 2]) + struct.pack(">HHHH", 4096, 8192, 30, 0) + bytes(22)
    return ctypes.create_string_buffer(packet)


def possible_processors():
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return int(file.read().strip().split("-")[-1]) + 1


def load(arguments, sources):
    """The programs that take turns."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/empty.c", "w", encoding="ascii") as file:
            file.write(EMPTY)
        subprocess.run(["clang-19", "-O2", "-g", "-target", "bpf", "-c", f"{folder}/empty.c", "-o", f"{folder}/empty.o"], check=True)
        empty = Loaded(f"{folder}/empty.o", "empty", {})
    theirs = Loaded(XDP_FILTER, "xdpfilt_alw_ip", {"filter_ipv4": len(sources)})
    # MAP_FLAG_SRC and MAP_FLAG_UDP of xdp-filter; each processor has a value.
    theirs.fill("filter_ipv4", sources, struct.pack("=Q", 1 << 0 | 1 << 3) * possible_processors())
    ours = Loaded(arguments.object, "ddos_guard", {})
    ours.fill("hosts_ipv4_a", sources, struct.pack("=I", 2))
    ours.fill("feed", [bytes(4)], struct.pack("=I", 1))
    return {"empty": empty, "ddos-guard": ours, "xdp-filter": theirs}


def measure(programs, frames, verdict, arguments, samples):
    """Rounds of samples, in an order that is shuffled anew."""
    for heat, repeat, count in [("warm", arguments.runs, 1), ("cold", 1, arguments.cold)]:
        for _ in range(arguments.rounds):
            for name in random.sample(list(programs), len(programs)):
                chosen = random.sample(frames, count)
                want = None if name == "empty" else verdict
                times = [programs[name].run(one, repeat, want) for one in chosen]
                samples.setdefault(heat, {}).setdefault(name, []).append(statistics.median(times))


def costs(samples):
    """Medians, less what doing nothing costs."""
    told = {}
    for heat, by_name in samples.items():
        middle = {name: statistics.median(times) for name, times in by_name.items()}
        told[heat] = {name: round(middle[name] - middle["empty"], 1) for name in middle if name != "empty"}
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--object", required=True)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--builds", type=int, default=8, help="how often all is loaded anew")
    parser.add_argument("--rounds", type=int, default=8, help="samples of each build")
    parser.add_argument("--runs", type=int, default=100_000, help="runs in a warm sample")
    parser.add_argument("--cold", type=int, default=2000, help="sources in a cold sample")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    random.seed(7)
    # Sources of 16.0.0.0 to 127.255.255.255, each once; some are not listed.
    numbers = random.sample(range(16 << 24, 127 << 24), arguments.entries + 20_000)
    sources = [struct.pack(">I", number) for number in numbers]
    listed, others = sources[:arguments.entries], sources[arguments.entries:]
    kinds = {"blocked": (random.sample(listed, min(20_000, len(listed))), DROP), "passed": (others, PASS)}
    kinds = {what: ([frame(source) for source in chosen], verdict) for what, (chosen, verdict) in kinds.items()}
    samples = {what: {} for what in kinds}
    # Where the kernel puts a program in memory changes what it costs.
    for _ in range(arguments.builds):
        programs = load(arguments, listed)
        for what, (frames, verdict) in kinds.items():
            measure(programs, frames, verdict, arguments, samples[what])
        for program in programs.values():
            BPF.bpf_object__close(program.object)
    told = {"entries": arguments.entries} | {what: costs(samples[what]) for what in kinds}
    if arguments.json:
        print(json.dumps(told))
        return
    print(f"nanoseconds for a packet with {arguments.entries} blocked addresses, medians")
    for what in ["blocked", "passed"]:
        for heat in ["warm", "cold"]:
            print(f"{what} {heat}: " + ", ".join(f"{name} {cost}" for name, cost in told[what][heat].items()))


if __name__ == "__main__":
    main()
