# SPDX-License-Identifier: Apache-2.0
"""A user program in Python that uses its maps by bindings, and tells what it finds."""

import ipaddress
import time

import maps


def say(text):
    print(text, flush=True)


def literal(is_=maps.EverythingValue):
    kind = is_.__name__
    part = lambda name: getattr(maps, kind + name)
    flags = part("Flags")
    return is_(
        u8=200, s8=-100, u16=60000, s16=-30000, u32=4_000_000_000, s32=-2_000_000_000,
        u64=10_000_000_000_000_000_000, s64=-9_000_000_000_000_000_000, u128=(1 << 64) + 2, yes=True,
        port=443, order=16909060, wide=72623859790382856, single=1.5, twice=-2.25,
        action=part("Action").ACTION_DENY, flags=flags.RED_LIGHT | flags.BLUE, name="abc", raw=b"\x01\x00\xff",
        ipv4=ipaddress.ip_address("192.0.2.1"), ipv6=ipaddress.ip_address("2001::1"),
        ip=ipaddress.ip_address("10.0.0.9"), mac=maps.Mac(b"\x02\x00\x00\x00\x00\xab"),
        low=5, middle=-60, high=4_000_000,
        points=[part("Points")(x=1, y=-1), part("Points")(x=300, y=-300)], ports=[1, 256, 65535],
        tight=part("Tight")(first=7, second=100_000),
        either=part("Either")(parts=part("EitherParts")(x=2, y=3)), inside=11, type=12,
        **{"duration_ns" if kind == "EventsEvent" else "took": 1_500_000},
        **{"class_": 1, "self_": 2, "a_b": 3, "a_b_": 4},
    )


everything = maps.Everything.open()
for place in everything.places:
    say(f"for {place.member} at {place.hook}")
while (given := everything.lookup(1)) is None:
    time.sleep(0.05)
say(f"value: {'same' if given == literal() else given}")
everything.update(2, literal())

ring = maps.Events.open()
events = []
while not events:
    ring.wait(0.2)
    events = list(ring.read())
say(f"event: {'same' if events[-1] == literal(maps.EventsEvent) else events[-1]}")
say(f"plain: {len(list(maps.Plain.open().read())[-1])} bytes")

limits = maps.Limits.open()
limits.update(443, maps.LimitsValue(rate=5))
limits.update(80, maps.LimitsValue(rate=6, burst=7))
deleted = [str(limits.delete(port)).lower() for port in (80, 81)]
say(f"deleted: {' '.join(deleted)}")
say(f"keys: {limits.keys()}")
try:
    limits.update(443, maps.LimitsValue(rate=1_000_001, burst=0))
except maps.OutOfBounds as refused:
    say(f"refused: {refused}")
try:
    limits.update(443, maps.LimitsValue(rate=9, burst=9), maps.NEW)
except FileExistsError:
    say("again: true")

maps.Prefixes.open().update(maps.Prefix(ipaddress.ip_address("10.0.0.0"), 8), maps.PrefixesValue.ACTION_DENY)

counts = maps.Counts.open()
values = counts.lookup(0)
packets = sum(value.packets for value in values)
say(f"counts: {str(packets > 0).lower()} of {str(len(values) == maps.processors()).lower()} processors")
counts.update(1, [maps.CountsValue(packets=index + 1, last=8) for index in range(len(values))])

waiting = maps.Waiting.open()
waiting.push(7)
waiting.push(8)
say(f"queue: {waiting.pop()} {waiting.peek()}")

say(f"seen: {str(maps.Bss.open().read().seen > 0).lower()}")
data = maps.Data.open()
say(f"told: {data.read().told}")
data.write(maps.DataVariables(told=9))
say(f"constant: {maps.Rodata.open().read().constant}")
say(f"configured: {maps.Settings.open().lookup(1)}")
say("done")
while True:
    time.sleep(60)
