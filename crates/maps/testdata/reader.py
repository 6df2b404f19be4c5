#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads and writes values as docs/map-interface.md says, from its text alone, and runs test vectors.

    reader.py FILE...    runs the vectors in files: JSON ones, or the examples of a Markdown document; `-` is the input
"""

import datetime
import ipaddress
import json
import re
import struct
import sys
from fractions import Fraction

MAX_EXACT = 2**53 - 1
TIMES = {"h": 3600 * 10**9, "min": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
PREFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
NESTED = ("struct", "union")
EPOCH = datetime.datetime(1970, 1, 1)


class Wrong(Exception):
    """A value that is refused, by the kind of the fault."""


# Types in words.

WORDS = {f"{sign}{bits}": {"kind": "integer", "bytes": bits // 8, **({"signed": True} if sign == "i" else {})}
         for sign in "ui" for bits in (8, 16, 32, 64, 128)}
WORDS |= {f"be{bits}": {"kind": "integer", "bytes": bits // 8, "order": "network"} for bits in (16, 32, 64)}
WORDS |= {"port": WORDS["be16"], "bool": {"kind": "bool", "bytes": 1}, "pointer": {"kind": "pointer", "bytes": 8}}
WORDS |= {f"f{bits}": {"kind": "float", "bytes": bits // 8} for bits in (16, 32, 64)}
WORDS |= {"ipv4": {"kind": "ipv4", "bytes": 4}, "ipv6": {"kind": "ipv6", "bytes": 16}, "mac": {"kind": "mac", "bytes": 6}}
WORDS |= {"spin_lock": {"kind": "kernel", "bytes": 4}, "timer": {"kind": "kernel", "bytes": 16}}
ALIGNMENTS = {"timer": 8, "spin_lock": 4, "ipv4": 4, "ipv6": 4, "mac": 1}


def parse(text):
    """The type that words stand for."""
    words = re.findall(r"[A-Za-z0-9_-]+|\S", text)
    found, _ = parse_type(words)
    assert not words, f"more than a type: {words}"
    return found


def take(words, *signs):
    assert words and words[0] in signs, f"expected {signs}, found {words[:1]}"
    return words.pop(0)


def parse_type(words):
    """A type and its alignment."""
    word = words.pop(0)
    if word == "[":
        element, align = parse_type(words)
        take(words, ";")
        count = int(words.pop(0), 0)
        take(words, "]")
        return {"kind": "array", "bytes": element["bytes"] * count, "count": count, "element": element}, align
    if word in ("char", "bytes"):
        take(words, "[")
        count = int(words.pop(0), 0)
        take(words, "]")
        return {"kind": "text" if word == "char" else "bytes", "bytes": count}, 1
    if word == "enum":
        base, align = parse_type(words)
        names = parse_list(words, "=", lambda: int(words.pop(0), 0))
        return {**base, "kind": "enum", "names": [list(pair) for pair in names]}, align
    if word in ("{", "union"):
        if word == "{":
            words.insert(0, "{")
        return lay_out("union" if word == "union" else "struct", parse_list(words, ":", lambda: parse_type(words)))
    return dict(WORDS[word]), ALIGNMENTS.get(word, WORDS[word]["bytes"])


def parse_list(words, between, value):
    pairs = []
    take(words, "{")
    while words[0] != "}":
        name = words.pop(0)
        take(words, between)
        pairs.append((name, value()))
        if take(words, ",", "}") == "}":
            return pairs
    take(words, "}")
    return pairs


def lay_out(kind, parts):
    fields, end, most = [], 0, 1
    for name, (of, align) in parts:
        offset = 0 if kind == "union" else -(-end // align) * align
        end, most = max(end, offset + of["bytes"]), max(most, align)
        fields.append({"name": name, "offset": offset, "type": of})
    return {"kind": kind, "bytes": -(-end // most) * most, "fields": fields}, most


# Reading.

def shown(field):
    return field.get("shown") or field.get("name") or None


def read(of, data, endian, word=None):
    """The JSON of a value; a word is that of a bit field with its width."""
    kind = of["kind"]
    if kind == "array":
        size = of["element"]["bytes"]
        return [read(of["element"], data[at * size:(at + 1) * size], endian) for at in range(of["count"])]
    if kind in NESTED:
        return read_fields(of, data, endian)
    if kind in ("text", "bytes", "kernel", "ipv4", "ipv6", "ip", "mac", "prefix"):
        return read_bytes(of, data, endian)
    order = "big" if of.get("order") == "network" and word is None else endian
    number, bits = word or (int.from_bytes(data, order), len(data) * 8)
    if kind == "bool":
        return {0: False, 1: True}.get(number, json_number(number))
    if kind == "float":
        return read_float(number, len(data))
    if kind == "pointer":
        return hex(number)
    if kind == "flags":
        return read_flags(of, number, bits)
    if of.get("signed") and number >> (bits - 1):
        number -= 1 << bits
    if kind == "enum":
        return next((name for name, known in of["names"] if int(known) == number), json_number(number))
    return read_integer(of, number)


def json_number(number):
    return number if abs(number) <= MAX_EXACT else str(number)


def read_integer(of, number):
    meaning = of.get("meaning", "number")
    if meaning == "hex":
        return hex(number)
    if isinstance(meaning, dict) and "unix" in meaning:
        time = number * TIMES[meaning["unix"]]
        if not -62167219200 * 10**9 <= time < 253402300800 * 10**9:
            return json_number(number)
        return rfc3339(time)
    if isinstance(meaning, dict):
        (unit,) = meaning.values()
        time = number * TIMES[unit]
        if number == 0:
            return "0s"
        if abs(time) >= 2**128:
            return f"{number}{unit}"
        return next(f"{time // size}{name}" for name, size in TIMES.items() if time % size == 0)
    return json_number(number)


def rfc3339(time):
    seconds, part = divmod(time, 10**9)
    # datetime has no year 0; the calendar repeats itself after 400 years.
    shift = 400 if seconds < -62135596800 else 0
    moment = EPOCH + datetime.timedelta(seconds=seconds + shift * 31556952)
    digits = f"{part:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    year = moment.year - shift
    return f"{year:04}-{moment:%m-%dT%H:%M:%S}" + (f".{digits}" if digits else "") + "Z"


def read_float(bits, size):
    fraction = {2: 10, 4: 23, 8: 52}[size]
    sign = 1 << (size * 8 - 1)
    infinity = sign - (1 << fraction)
    magnitude = bits & ~sign
    if magnitude == infinity:
        return "Infinity" if bits == magnitude else "-Infinity"
    if magnitude > infinity:
        return "NaN" if bits == infinity | 1 << (fraction - 1) else f"NaN:{bits:#x}"
    (number,) = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], bits.to_bytes(size, "big"))
    if size == 4:
        for digits in range(1, 18):
            short = float(f"{number:.{digits}g}")
            try:
                if struct.pack(">f", short) == struct.pack(">f", number):
                    return short
            except OverflowError:
                pass
    return number


def read_flags(of, number, bits):
    told, left = [], number
    for name, known in of["names"]:
        mask = int(known) % (1 << bits)
        if number & mask == mask and left & mask:
            told.append(name)
            left &= ~mask
    return told + ([json_number(left)] if left else [])


def ipv6(data):
    address = ipaddress.IPv6Address(data)
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else address.compressed


def read_bytes(of, data, endian):
    kind = of["kind"]
    if kind == "kernel":
        return None
    if kind == "text":
        text, _, rest = data.partition(b"\0")
        try:
            return list(data) if rest.strip(b"\0") else text.decode()
        except UnicodeDecodeError:
            return list(data)
    if kind == "prefix":
        inner = {"kind": {"hex": "bytes"}.get(of["family"], of["family"])}
        return f"{read_bytes(inner, data[4:], endian)}/{int.from_bytes(data[:4], endian)}"
    if kind == "mac":
        return ":".join(f"{byte:02x}" for byte in data)
    if kind == "bytes":
        return "0x" + data.hex()
    if len(data) == 4:
        return str(ipaddress.IPv4Address(data))
    mapped = ipaddress.IPv6Address(data).ipv4_mapped
    return str(mapped) if kind == "ip" and mapped else ipv6(data)


def bit_field(field, data, endian):
    """The number of a bit field, and how far it is from the lowest bit of all."""
    start, bits = field["bit_offset"], field["bits"]
    shift = start if endian == "little" else len(data) * 8 - start - bits
    return int.from_bytes(data, endian) >> shift & ((1 << bits) - 1), shift


def read_fields(of, data, endian):
    values = {}
    for field in of["fields"]:
        inner = field["type"]
        if inner["kind"] == "kernel":
            continue
        if "bits" in field:
            value = read(inner, None, endian, (bit_field(field, data, endian)[0], field["bits"]))
        else:
            value = read(inner, data[field["offset"]:field["offset"] + inner["bytes"]], endian)
        values.update({shown(field): value} if shown(field) else value)
    return values


# Writing.

class Writer:
    def __init__(self, endian):
        self.endian, self.faults = endian, []

    def write(self, of, value, pointer=""):
        """The bytes of a value, or zeros and a fault."""
        try:
            kind = of["kind"]
            if kind == "array":
                return self.array(of, value, pointer)
            if kind in NESTED:
                return self.object(of, value, pointer)
            return write_word(of, value, self.endian, of["bytes"] * 8)
        except Wrong as wrong:
            self.faults.append([pointer, str(wrong)])
            return bytes(of["bytes"])

    def array(self, of, value, pointer):
        if not isinstance(value, list):
            raise Wrong("kind")
        if len(value) != of["count"]:
            raise Wrong("length")
        return b"".join(self.write(of["element"], one, f"{pointer}/{at}") for at, one in enumerate(value))

    def object(self, of, value, pointer):
        if not isinstance(value, dict):
            raise Wrong("kind")
        for name in value.keys() - set(names(of)):
            self.faults.append([f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", "extra"])
        return self.fields(of, value, pointer)

    def fields(self, of, value, pointer):
        return (self.union if of["kind"] == "union" else self.structure)(of, value, pointer)

    def structure(self, of, value, pointer):
        data = bytearray(of["bytes"])
        for field in of["fields"]:
            self.place(field, data, self.field(field, value, pointer))
        return bytes(data)

    def field(self, field, value, pointer):
        """The bytes of a field, or the number of one of bits; none where there is nothing to be written."""
        of, name = field["type"], shown(field)
        if of["kind"] == "kernel":
            return None
        if name is None:
            return self.fields(of, value, pointer)
        deeper = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in value and "default" not in of:
            self.faults.append([deeper, "missing"])
            return None
        given = value.get(name, of.get("default"))
        if "bits" not in field:
            return self.write(of, given, deeper)
        try:
            return number_of(of, given, field["bits"])
        except Wrong as wrong:
            self.faults.append([deeper, str(wrong)])
            return None

    def place(self, field, data, written):
        if isinstance(written, bytes):
            data[field["offset"]:field["offset"] + len(written)] = written
        elif written is not None:
            whole = int.from_bytes(data, self.endian) | written << bit_field(field, data, self.endian)[1]
            data[:] = whole.to_bytes(len(data), self.endian)

    def union(self, of, value, pointer):
        data, covered, taken = bytes(of["bytes"]), bytes(of["bytes"]), False
        for field in of["fields"]:
            chosen = next((name for name in names({"fields": [field]}) if name in value), None)
            if chosen is None:
                continue
            before, taken = len(self.faults), True
            alone, cover = bytearray(of["bytes"]), bytearray(of["bytes"])
            self.place(field, alone, self.field(field, value, pointer))
            if len(self.faults) > before:
                continue
            self.place(field, cover, meant(field, self.endian))
            if any((one ^ other) & here & there for one, other, here, there in zip(alone, data, cover, covered)):
                self.faults.append([f"{pointer}/{chosen}", "contradiction"])
            data = bytes(one | other for one, other in zip(alone, data))
            covered = bytes(one | other for one, other in zip(cover, covered))
        if not taken and names(of):
            self.faults.append([pointer, "missing"])
        return data


def names(of):
    """All names that stand beside each other."""
    found = []
    for field in of["fields"]:
        if shown(field) is None:
            found += names(field["type"])
        elif field["type"]["kind"] != "kernel":
            found.append(shown(field))
    return found


def meant(field, endian):
    return (1 << field["bits"]) - 1 if "bits" in field else cover(field["type"], endian)


def cover(of, endian):
    """Ones where a type means something, zeros where there is padding."""
    if of["kind"] == "array":
        return cover(of["element"], endian) * of["count"]
    if of["kind"] not in NESTED:
        return (b"\0" if of["kind"] == "kernel" else b"\xff") * of["bytes"]
    all_of_it = 0
    for field in of["fields"]:
        data = bytearray(of["bytes"])
        Writer(endian).place(field, data, meant(field, endian))
        all_of_it |= int.from_bytes(data, "big")
    return all_of_it.to_bytes(of["bytes"], "big")


def write_word(of, value, endian, bits):
    kind, size = of["kind"], of["bytes"]
    if kind == "text":
        return write_text(value, size)
    if kind == "kernel":
        if value is not None:
            raise Wrong("kind")
        return bytes(size)
    if kind in ("bytes", "ipv4", "ipv6", "ip", "mac", "prefix"):
        try:
            data = write_bytes(of, value, endian)
        except (ValueError, TypeError, AttributeError):
            raise Wrong("kind") from None
        if len(data) != size:
            raise Wrong("kind")
        return data
    if kind == "float":
        return write_float(of, value).to_bytes(size, endian)
    order = "big" if of.get("order") == "network" else endian
    return number_of(of, value, bits).to_bytes(size, order)


def write_text(value, size):
    if isinstance(value, str):
        data = value.encode()
        if len(data) > size:
            raise Wrong("length")
        if b"\0" in data:
            raise Wrong("kind")
        return data.ljust(size, b"\0")
    if not isinstance(value, list):
        raise Wrong("kind")
    if len(value) != size:
        raise Wrong("length")
    if not all(type(byte) is int and 0 <= byte < 256 for byte in value):
        raise Wrong("kind")
    return bytes(value)


def write_bytes(of, text, endian):
    kind = of["kind"]
    if kind == "bytes":
        if not re.fullmatch("0x([0-9A-Fa-f]{2})*", text):
            raise ValueError
        return bytes.fromhex(text[2:])
    if kind == "mac":
        if not re.fullmatch("[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", text):
            raise ValueError
        return bytes.fromhex(re.sub("[:-]", "", text))
    if kind == "prefix":
        address, slash, length = text.partition("/")
        room = of["bytes"] - 4
        if slash and not re.fullmatch("[0-9]+", length):
            raise ValueError
        length = int(length) if slash else room * 8
        if length > room * 8:
            raise ValueError
        inner = {"kind": {"hex": "bytes"}.get(of["family"], of["family"]), "bytes": room}
        return length.to_bytes(4, endian) + write_bytes(inner, address, endian)
    address = ipaddress.ip_address(str(text) if isinstance(text, str) else None)
    if kind == "ip" and of["bytes"] == 16 and address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def write_float(of, value):
    size = of["bytes"]
    fraction = {2: 10, 4: 23, 8: 52}[size]
    sign = 1 << (size * 8 - 1)
    infinity = sign - (1 << fraction)
    if isinstance(value, str):
        known = {"NaN": infinity | 1 << (fraction - 1), "Infinity": infinity, "-Infinity": sign | infinity}
        if value in known:
            return known[value]
        if not re.fullmatch("NaN:0x[0-9a-fA-F]+", value) or int(value[6:], 16) >= 2 * sign:
            raise Wrong("kind")
        bits = int(value[6:], 16)
        if bits & ~sign <= infinity:
            raise Wrong("kind")
        return bits
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong("kind")
    if not within(value, of.get("min"), of.get("max")):
        raise Wrong("range")
    try:
        return int.from_bytes(struct.pack({2: ">e", 4: ">f", 8: ">d"}[size], float(value)), "big")
    except OverflowError:
        raise Wrong("range") from None


def within(number, low, high):
    return (low is None or number >= int(low)) and (high is None or number <= int(high))


def number_of(of, value, bits):
    """The bits of a value that is one number."""
    kind = of["kind"]
    if kind == "bool":
        if not isinstance(value, bool):
            raise Wrong("kind")
        return int(value)
    if kind == "flags":
        return write_flags(of, value, bits)
    if kind == "enum":
        number = named(of, value)
        if not of.get("open") and all(int(known) != number for _, known in of["names"]):
            raise Wrong("name")
    else:
        number = plain(value) if kind == "pointer" else amount(of, value)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if of.get("signed") else (0, (1 << bits) - 1)
    if not low <= number <= high or not within(number, of.get("min"), of.get("max")):
        raise Wrong("range")
    return number % (1 << bits)


def plain(value):
    """A JSON number, or one as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Wrong("kind")
    if isinstance(value, str):
        if not re.fullmatch("-?([0-9]+|0x[0-9A-Fa-f]+)", value):
            raise Wrong("kind")
        return int(value, 16) if "x" in value else int(value)
    if value != int(value) or isinstance(value, float) and abs(value) > MAX_EXACT:
        raise Wrong("inexact")
    return int(value)


def named(of, value):
    known = dict(reversed(of["names"]))
    if isinstance(value, str) and value in known:
        return int(known[value])
    try:
        return plain(value)
    except Wrong:
        if isinstance(value, str):
            raise Wrong("name") from None
        raise


def write_flags(of, value, bits):
    joined = 0
    for one in value if isinstance(value, list) else [value]:
        number = named(of, one)
        is_name = isinstance(one, str) and one in dict(of["names"])
        if not is_name and not 0 <= number < 1 << bits:
            raise Wrong("range")
        joined |= number % (1 << bits)
    return joined


def amount(of, value):
    """The number of an integer, from what may have a unit or be a time."""
    meaning, unit = of.get("meaning", "number"), of.get("unit")
    if isinstance(meaning, dict):
        (what, unit), = meaning.items()
        if what == "unix":
            time = moment(value)
            if time is None:
                return plain(value)
            if time % TIMES[unit]:
                raise Wrong("inexact")
            return time // TIMES[unit]
    if not isinstance(value, str) or unit is None or re.fullmatch("-?([0-9]+|0x[0-9A-Fa-f]+)", value):
        return plain(value)
    found = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)\s*(.*)", value)
    if not found:
        raise Wrong("kind")
    (thing, scale, per), (to_thing, to_scale, to_per) = measure(found[2] or unit), measure(unit)
    if thing != to_thing and not (thing == "" and to_thing.startswith("=")) or (per is None) != (to_per is None):
        raise Wrong("unit")
    result = Fraction(found[1]) * scale * (to_per or 1) / (to_scale * (per or 1))
    if result.denominator != 1:
        raise Wrong("inexact")
    return int(result)


def measure(unit):
    """The sort of a thing, how much of it a unit is, and within how many nanoseconds."""
    thing, slash, per = unit.rpartition("/")
    if not slash or per not in TIMES:
        thing, per = unit, None
    if thing in TIMES:
        return "time", TIMES[thing], TIMES.get(per)
    found = re.fullmatch("(Ki|Mi|Gi|Ti|k|M|G|T|)(B|bit|)", thing)
    if not found:
        return f"={thing}", 1, TIMES.get(per)
    scale = PREFIXES.get(found[1], 1) * (8 if found[2] == "B" else 1)
    return "data" if found[2] else "", scale, TIMES.get(per)


def moment(value):
    """The nanoseconds between 1970 and a time in RFC 3339."""
    if not isinstance(value, str):
        return None
    found = re.fullmatch(r"(\d{4})-(\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|([+-])(\d\d):(\d\d))", value)
    if not found:
        return None
    year, shift = int(found[1]), 400 if int(found[1]) < 400 else 0
    try:
        there = datetime.datetime.fromisoformat(f"{year + shift:04}-{found[2]}T{found[3]}")
    except ValueError:
        return None
    away = int(found[7] or 0) * 60 + int(found[8] or 0)
    seconds = (there - EPOCH) // datetime.timedelta(seconds=1) - shift * 31556952
    seconds -= (-away if found[6] == "-" else away) * 60
    return seconds * 10**9 + int((found[4] or "0").ljust(9, "0"))


# Vectors.

def run(vector):
    """What does not hold of a vector."""
    of = parse(vector["type"]) if isinstance(vector["type"], str) else vector["type"]
    if "same_as" in vector and vector["same_as"] != of:
        yield f"the type is {of}"
    for value in vector.get("values", []):
        for endian in ("little", "big"):
            data = value.get(endian, value.get("bytes"))
            if data is not None:
                yield from run_value(of, value, bytes.fromhex(data), endian)
    for refused in vector.get("refused", []):
        for endian in [refused["endian"]] if "endian" in refused else ("little", "big"):
            writer = Writer(endian)
            writer.write(of, refused["value"])
            if sorted(writer.faults) != sorted(refused["faults"]):
                yield f"{endian}: {refused['value']} tells {writer.faults}"


def run_value(of, value, data, endian):
    found = read(of, data, endian)
    if not same(found, value["value"]):
        yield f"{endian}: {data.hex()} is read as {found}"
    wanted = bytes.fromhex(value["written"]) if "written" in value else data
    for given in [] if value.get("only_read") else [value["value"], *value.get("also", [])]:
        writer = Writer(endian)
        written = writer.write(of, given)
        if writer.faults or written != wanted:
            yield f"{endian}: {given} is written as {written.hex()}, {writer.faults}"


def same(one, other):
    """Python takes true for 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def vectors(path):
    if path == "-":
        return json.load(sys.stdin)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".md"):
        return json.loads(text)
    blocks = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for block in map(json.loads, blocks) if "type" in block]


def main(paths):
    count, wrong = 0, []
    for path in paths:
        for vector in vectors(path):
            count += 1
            wrong += [f"{path}: {vector['type']}: {what}" for what in run(vector)]
    print(*wrong, f"{count} vectors, {len(wrong)} do not hold", sep="\n")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
