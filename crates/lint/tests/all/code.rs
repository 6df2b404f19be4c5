// SPDX-License-Identifier: Apache-2.0
//! What objects hold.

use lint::{Contents, lint};

use crate::scene::{CLEAN, NEWEST, READS, SIZES, Scene, UNTYPED};

#[test]
fn an_object_alone_is_looked_over_as_far_as_it_goes() {
    let broken = |object| -> Vec<&str> {
        let findings = lint(&Contents::object("a.bpf.o", object)).unwrap();
        findings.iter().map(|finding| finding.rule.name).collect()
    };
    assert!(broken(CLEAN).is_empty());
    assert_eq!(broken(UNTYPED), ["no-btf"]);
    // Nobody says which kernels it is for.
    assert!(!broken(SIZES).contains(&"helper-too-new"));
    assert!(broken(SIZES).contains(&"hand-chaining"));
    assert!(lint(&Contents::object("a.bpf.o", b"no object")).is_err());
}

#[test]
fn what_is_newer_than_the_oldest_kernel_is_told_with_its_release() {
    let sizes = |oldest: &str| {
        let scene = Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")]);
        scene.saying("min = \"5.10\"", &format!("min = \"{oldest}\""))
    };
    insta::assert_snapshot!(sizes("5.10").by("helper-too-new"), @"a.bpf.o, function `chained`, sizes.bpf.c:89: `bpf_loop` came with Linux 5.17, and `kernel.min` is 5.10");
    assert_eq!(sizes("5.17").by("helper-too-new"), "");
    insta::assert_snapshot!(sizes("5.15").by("map-kind-too-new"), @"a.bpf.o, map `filter`: the kind `bloom_filter` came with Linux 5.16, and `kernel.min` is 5.15");
    assert_eq!(sizes("5.16").by("map-kind-too-new"), "");
    let newest = |oldest: &str| {
        Scene::around(NEWEST, &[("newest", "xdp")]).saying("min = \"5.10\"", &format!("min = \"{oldest}\""))
    };
    insta::assert_snapshot!(newest("5.10").by("instruction-too-new"), @r"
    a.bpf.o, function `newest`, newest.bpf.c:18: a load that extends the sign came with Linux 6.6, and `kernel.min` is 5.10
    a.bpf.o, function `newest`, newest.bpf.c:22: an atomic operation other than adding without result came with Linux 5.12, and `kernel.min` is 5.10
    ");
    insta::assert_snapshot!(newest("5.12").by("instruction-too-new"), @"a.bpf.o, function `newest`, newest.bpf.c:18: a load that extends the sign came with Linux 6.6, and `kernel.min` is 5.12");
    assert_eq!(newest("6.6").by("instruction-too-new"), "");
    // One of the two may be missing.
    insta::assert_snapshot!(newest("5.10").by("kernel-function-too-new"), @"a.bpf.o, function `newest`, newest.bpf.c:21: calling `bpf_xdp_metadata_rx_hash` by name came with Linux 6.3, and `kernel.min` is 5.10");
    assert_eq!(newest("6.3").by("kernel-function-too-new"), "");
    insta::assert_snapshot!(newest("5.10").by("program-kind-too-new"), @"package.toml, key `kernel.min`, function `newest`: XDP programs for packets in several buffers are there since Linux 5.18, and `kernel.min` is 5.10");
    assert_eq!(newest("5.18").by("program-kind-too-new"), "");
    insta::assert_snapshot!(Scene::clean().saying("min = \"5.10\"", "min = \"5.4\"").by("program-kind-too-new"), @"package.toml, key `kernel.min`, function `clean`: chains at the hook `xdp` are there since Linux 5.10, and `kernel.min` is 5.4");
}

#[test]
fn the_licence_in_the_object_decides_what_may_be_called() {
    let reads = Scene::around(READS, &[("read_at_fixed", "kprobe"), ("decide", "lsm")]);
    assert_eq!(reads.by("gpl-helper") + &reads.by("gpl-program"), "");
    let mut other = READS.to_vec();
    let at = other.windows(4).position(|bytes| bytes == b"GPL\0").unwrap();
    other[at] = b'X';
    let other = Scene::around(&other, &[("read_at_fixed", "kprobe"), ("decide", "lsm")]);
    assert_eq!(other.by("gpl-helper").lines().count(), 8);
    insta::assert_snapshot!(other.by("gpl-program"), @"a.bpf.o, function `decide`, reads.bpf.c:84: it decides for the kernel's security modules, and the licence in the object is `XPL`");
    // Before 5.8 the time was for programs under the GPL.
    let sizes = Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")]);
    assert!(!sizes.by("gpl-helper").contains("ktime"));
    assert!(
        sizes
            .saying("min = \"5.10\"", "min = \"5.4\"")
            .by("gpl-helper")
            .contains("`bpf_ktime_get_ns` is for programs under the GPL before Linux 5.8")
    );
}

#[test]
fn reads_at_fixed_distances_are_told_and_adjusted_ones_are_not() {
    let reads = Scene::around(READS, &[("read_at_fixed", "kprobe"), ("decide", "lsm")]);
    insta::assert_snapshot!(reads.by("fixed-read"), @r"
    a.bpf.o, function `read_at_fixed`, reads.bpf.c:33: `bpf_probe_read_kernel` reads 40 bytes behind an address of the kernel; the function has no place that loaders adjust (CO-RE)
    a.bpf.o, function `read_kept`, reads.bpf.c:53: `bpf_probe_read_kernel` reads 48 bytes behind an address of the kernel; the function has no place that loaders adjust (CO-RE)
    ");
    insta::assert_snapshot!(reads.by("fixed-access"), @r"
    a.bpf.o, function `access_at_fixed`, reads.bpf.c:72: it reads 8 bytes, 48 bytes behind an address of the kernel; the function has no place that loaders adjust (CO-RE)
    a.bpf.o, function `access_at_fixed`, reads.bpf.c:72: it reads 4 bytes, 40 bytes behind an address of the kernel; the function has no place that loaders adjust (CO-RE)
    a.bpf.o, function `decide`, reads.bpf.c:88: it reads 4 bytes, 40 bytes behind an address of the kernel; the function has no place that loaders adjust (CO-RE)
    ");
    insta::assert_snapshot!(reads.by("untyped-read"), @"a.bpf.o, function `read_untyped`, reads.bpf.c:58: it calls `bpf_probe_read`");
}

#[test]
fn sizes_are_told_where_they_are_odd() {
    let sizes = Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")]);
    for (rule, told) in [
        ("array-key", "a.bpf.o, map `wide_key`: its keys have 8 bytes"),
        ("hash-of-one", "a.bpf.o, map `single`: this `hash` has room for one entry"),
        ("lru-small", "a.bpf.o, map `forgetful`: it has room for 256 entries"),
        ("map-empty", "a.bpf.o, map `empty`: `max_entries` of this `hash` is 0"),
        ("map-large", "a.bpf.o, map `large`: it takes about 1024 MiB on 64 processors"),
        ("map-unused", "a.bpf.o, map `unused`: no program uses it"),
        ("ringbuf-size", "a.bpf.o, map `odd`: it has 5000 bytes"),
    ] {
        assert_eq!(sizes.by(rule), told);
    }
    insta::assert_snapshot!(sizes.by("hash-filled-by-packets"), @r"
    a.bpf.o, function `chained`, sizes.bpf.c:79: it puts entries into the `hash` `seen`
    a.bpf.o, function `note`, sizes.bpf.c:70: it puts entries into the `percpu_hash` `noted`
    ");
    // A map that says what is in it is filled; the other program calls what is next in such a one.
    insta::assert_snapshot!(sizes.by("hand-chaining"), @"a.bpf.o, function `chained`, sizes.bpf.c:93: it calls what is next in `next_member`");
}

#[test]
fn a_user_program_may_fill_what_programs_do_not() {
    let user = "[user]\ncommand = \"run\"\n[[platform]]";
    let sizes = Scene::around(SIZES, &[("chained", "xdp"), ("second", "xdp")])
        .with("run", b"")
        .saying("[[platform]]", user);
    assert_eq!(sizes.by("hand-chaining") + &sizes.by("map-unused"), "");
}
