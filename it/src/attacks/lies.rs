// SPDX-License-Identifier: Apache-2.0
//! Headers that lie: one field of one header says what is not so.

/// Lengths in bytes: nothing, too little, about what is there, too much, the most.
const BYTES: &[u32] = &[
    0, 1, 4, 7, 8, 9, 12, 16, 19, 20, 21, 23, 24, 28, 36, 39, 40, 41, 44, 47, 48, 52, 60, 64, 255, 256, 1500,
    32767, 32768, 65535,
];
/// Lengths in words.
const WORDS: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15];
/// Lengths of extension headers.
const UNITS: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 31, 32, 127, 128, 254, 255];
/// Protocols that some program looks into, and some that none does.
const PROTOCOLS: &[u32] =
    &[0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 139, 140, 253, 255];
const ETHER_TYPES: &[u32] =
    &[0, 60, 1500, 0x0800, 0x0806, 0x6558, 0x8100, 0x88a8, 0x9100, 0x86dd, 0x8847, 0x8863, 0x8864, 0xffff];
const OFFSETS: &[u32] = &[1, 2, 3, 185, 4096, 8190, 8191];

/// What is said of a kind of header that is not so: fields, and what they are made to be.
fn fields(kind: &str) -> &'static [(&'static str, &'static [u32])] {
    match kind {
        "eth" | "vlan" => &[("type", ETHER_TYPES)],
        "ipv4" => &[
            ("version", &[0, 1, 5, 6, 15]),
            ("ihl", WORDS),
            ("len", BYTES),
            ("flags", &[1, 2, 3, 4, 7]),
            ("offset", OFFSETS),
            ("proto", PROTOCOLS),
        ],
        "ipv6" => &[("version", &[0, 1, 4, 5, 15]), ("len", BYTES), ("next", PROTOCOLS)],
        "hop" | "dest" | "route" | "ah" => &[("len", UNITS), ("next", PROTOCOLS)],
        "frag" => &[("more", &[1]), ("offset", OFFSETS), ("next", PROTOCOLS)],
        "tcp" => &[("words", WORDS), ("flags", &[0, 1, 3, 4, 6, 17, 18, 41, 63, 255])],
        "udp" => &[("len", BYTES), ("sport", &[0, 53, 65535]), ("dport", &[0, 4789, 6080, 6081, 65535])],
        "gre" => &[
            ("flags", &[1, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x1fff]),
            ("version", &[1, 7]),
            ("type", ETHER_TYPES),
        ],
        "vxlan" => &[("flags", &[0, 4, 0xff])],
        _ => &[],
    }
}

/// A packet once for each lie that one of its headers can tell.
pub(super) fn of(text: &str) -> Vec<String> {
    let layers: Vec<&str> = text.split(" / ").collect();
    let mut lies = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let (kind, said) = layer.split_once('(').unwrap_or((layer, ""));
        for (field, values) in fields(kind) {
            if said.contains(&format!("{field}=")) {
                continue;
            }
            lies.extend(values.iter().map(|value| {
                let mut told = layers.clone();
                let lie = match said {
                    "" => format!("{kind}({field}={value})"),
                    said => format!("{kind}({field}={value}, {said}"),
                };
                told[number] = &lie;
                told.join(" / ")
            }));
        }
    }
    lies
}
