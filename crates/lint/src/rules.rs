// SPDX-License-Identifier: Apache-2.0
//! All rules. `docs/lint.md` has the same table for people, and a test keeps both in step.

use crate::{Area, Rule, Severity};

macro_rules! rules {
    ($($id:ident: $area:ident $severity:ident $name:literal, $why:literal, $remedy:literal;)*) => {
        $(pub(crate) static $id: Rule = Rule {
            name: $name,
            area: Area::$area,
            severity: Severity::$severity,
            why: $why,
            remedy: $remedy,
        };)*
        /// All rules, by what they are about.
        pub static RULES: &[&Rule] = &[$(&$id),*];
    };
}

rules! {
    HELPER_TOO_NEW: Kernel Error "helper-too-new",
        "kernels before it refuse to load the program",
        "raise `kernel.min`, or do without the function; where older kernels never reach the call, silence this and say so";
    HELPER_UNKNOWN: Kernel Warning "helper-unknown",
        "no helper function of Linux has the number, so no kernel can be said to load the program",
        "call what `linux/bpf.h` names";
    INSTRUCTION_TOO_NEW: Kernel Error "instruction-too-new",
        "kernels before it refuse to load the program",
        "raise `kernel.min`, or compile for an older instruction set (`-mcpu=v3`)";
    KERNEL_FUNCTION: Kernel Note "kernel-function",
        "functions of the kernel (kfuncs) may change or go with any release",
        "say in the documentation on which kernels it was tried; declare it `__weak` and ask `bpf_ksym_exists` where the program can do without";
    KERNEL_FUNCTION_TOO_NEW: Kernel Error "kernel-function-too-new",
        "kernels before it refuse to load the program",
        "raise `kernel.min`, or declare the function `__weak` and ask `bpf_ksym_exists`";
    MAP_KIND_TOO_NEW: Kernel Error "map-kind-too-new",
        "kernels before it cannot make the map",
        "raise `kernel.min`, or take an older kind of map";
    PROGRAM_KIND_TOO_NEW: Kernel Error "program-kind-too-new",
        "on kernels before it nothing can attach the program",
        "raise `kernel.min`";
    WRONG_ENDIAN: Kernel Error "wrong-endian",
        "an object has one byte order, and a machine of the other one cannot load it",
        "take the platform out, or make an object of its own for it";

    GPL_HELPER: Licence Error "gpl-helper",
        "the kernel refuses a program that calls it unless the licence in the object is compatible with the GPL",
        "put the licence into the section `license` in a form that the kernel knows, as in `Dual BSD/GPL`, if it is so; else do without the function";
    GPL_PROGRAM: Licence Error "gpl-program",
        "the kernel refuses such programs unless the licence in the object is compatible with the GPL",
        "put the licence into the section `license` in a form that the kernel knows, as in `Dual BSD/GPL`, if it is so";
    LICENSE_CONTRADICTS: Licence Warning "license-contradicts",
        "the kernel is told another licence than people are",
        "let `package.license` and the section `license` of the object say the same";
    LICENSE_MISSING: Licence Warning "license-missing",
        "the kernel takes a program without a licence for a proprietary one",
        "add `char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";`, with the licence that it has";

    CONFIG_BOUNDS: Interface Warning "config-bounds",
        "without bounds a slip of the finger is written into the kernel as it is",
        "give the field `min` and `max`, or `names` where it is one of several";
    CONFIG_DEFAULT: Interface Note "config-default",
        "whoever sets one field must know them all",
        "give the field a `default`";
    CONFIG_FIELD_UNDESCRIBED: Interface Warning "config-field-undescribed",
        "people who set it see only its name",
        "give the field a `description`";
    CONFIG_UNIT: Interface Warning "config-unit",
        "nobody sees whether it counts bytes, packets or nanoseconds",
        "give the field a `unit`, or a `format` where it is no amount";
    EVENT_TYPE: Interface Warning "event-type",
        "without it events are bytes that only the author can read",
        "say with `event` which structure is handed over";
    MAP_ROLE: Interface Warning "map-role",
        "nobody knows whether to set it, to read it, or to leave it alone",
        "give the map a `role`: `config`, `state`, `metric` or `event`";
    MAP_UNDESCRIBED: Interface Warning "map-undescribed",
        "people who look into it see only its name",
        "give the map a `description`";
    METRIC_UNDESCRIBED: Interface Warning "metric-undescribed",
        "it becomes a metric whose name is all that a dashboard tells",
        "give the map or the field a `description`";
    METRIC_UNIT: Interface Warning "metric-unit",
        "nobody sees whether it counts bytes, packets or nanoseconds",
        "give the field a `unit`";
    PARAMETER_UNDESCRIBED: Interface Warning "parameter-undescribed",
        "people who set it see only its name and width",
        "tell in the documentation what it does, its unit, and its default; or describe `value.NAME` of the map `.rodata` in the manifest";

    ARRAY_KEY: Sizes Error "array-key",
        "the kernel makes arrays only with keys of 4 bytes",
        "make the key a `__u32`";
    HASH_FILLED_BY_PACKETS: Sizes Note "hash-filled-by-packets",
        "whoever sends packets can fill it, and from then on the program remembers nothing new",
        "take an LRU map, or say in the documentation what happens when it is full";
    HASH_OF_ONE: Sizes Note "hash-of-one",
        "an array of one entry needs no hashing and is never empty",
        "make it an array";
    LRU_SMALL: Sizes Note "lru-small",
        "each processor takes free entries by 128, so that a small LRU map forgets entries long before it is full",
        "give it many times 128 entries for each processor; this is told of fewer than 128 for each of 64";
    MAP_EMPTY: Sizes Error "map-empty",
        "the kernel makes no such map without room, and nobody else says how much",
        "say `max_entries`";
    MAP_LARGE: Sizes Warning "map-large",
        "all of it is taken when the program is loaded, on every machine and for every member",
        "make it smaller, or `BPF_F_NO_PREALLOC` where it may be slower; this is told of more than 64 MiB on 64 processors";
    MAP_UNUSED: Sizes Note "map-unused",
        "it takes memory, and no program of the object uses it",
        "take it out, or say in its description who uses it";
    RINGBUF_SIZE: Sizes Warning "ringbuf-size",
        "the kernel makes ring buffers of a power of two of whole pages; libbpf rounds up, other loaders fail",
        "make `max_entries` a power of two of at least 4096 (65536 where pages are of 64 KiB)";

    FIXED_ACCESS: Reads Warning "fixed-access",
        "structures of the kernel differ between releases and configurations; on another kernel it reads something else",
        "take the structure from a `vmlinux.h` with `preserve_access_index`, so that loaders adjust the offset (CO-RE)";
    FIXED_READ: Reads Warning "fixed-read",
        "structures of the kernel differ between releases and configurations; on another kernel it reads something else",
        "read with `BPF_CORE_READ`, or take the structure from a `vmlinux.h` with `preserve_access_index` (CO-RE)";
    UNTYPED_READ: Reads Warning "untyped-read",
        "`bpf_probe_read` and `bpf_probe_read_str` do not say whose memory they read, and fail on machines where that matters (s390x), and where they are not built in",
        "call the function that ends with `_kernel` or `_user`";

    BUILD_UNPINNED: Documents Warning "build-unpinned",
        "who builds it again gets other bytes with another compiler",
        "say under `[build]` which clang it was built with, and pin the headers from outside of the package";
    LICENSE_FILE: Documents Warning "license-file",
        "most licences ask that their text goes with the program",
        "put the text into a file whose name begins with `LICENSE` beside `package.toml`";
    NO_SOURCE: Documents Warning "no-source",
        "nobody finds where to report an error, or where the sources are kept",
        "say `package.source`, or `package.homepage`";
    NO_SOURCE_FILE: Documents Warning "no-source-file",
        "reviewers cannot read what they are to judge, and nobody can build it again",
        "name the C source with `program.source`, so that it goes with the package";
    NO_TAGS: Documents Note "no-tags",
        "nobody finds it by a word that is not in its name",
        "give `package.tags`";
    NO_TESTS: Documents Note "no-tests",
        "nobody sees what was tried",
        "put tests into a folder `tests` beside `package.toml`";
    PROGRAM_UNDOCUMENTED: Documents Note "program-undocumented",
        "who deploys a package of several programs must know which is for what",
        "tell in the documentation what each program does";
    README_HEADINGS: Documents Warning "readme-headings",
        "people look for what they need by headings",
        "divide the documentation: what it does, its parameters, its limits";
    README_LIMITS: Documents Warning "readme-limits",
        "what a program does not do decides whether it fits",
        "say under a heading such as `Limits` what it does not see, what it costs, and what happens when a map is full";
    README_SHORT: Documents Warning "readme-short",
        "a sentence does not tell what it does to packets, how it is set, and how one sees that it works",
        "write documentation; this is told of less than 400 characters";

    USER_CAPABILITY: Privileges Warning "user-capability",
        "who has it can become root, or read and change what belongs to others",
        "ask for less: `bpf`, `perfmon` and `net_admin` are enough for most; the maps of the package are handed over without any";
    USER_MEMORY: Privileges Warning "user-memory",
        "a leak takes the memory of the machine",
        "say with `user.memory` how much it takes at most";
    USER_ROOT: Privileges Warning "user-root",
        "an error in it is one in a program that may do everything",
        "ask for the capabilities that it needs in `user.capabilities`";

    ABSOLUTE_PATH: Object Warning "absolute-path",
        "it tells of the machine that it was made on, and other machines make other bytes",
        "compile with `-ffile-prefix-map` and `-fdebug-compilation-dir=.`, as `l3af build` does";
    DEBUG_INFORMATION: Object Warning "debug-information",
        "DWARF is of no use to the kernel, makes objects large, and holds paths of the machine that made them",
        "strip it with `llvm-strip -g`, which keeps BTF";
    HAND_CHAINING: Object Warning "hand-chaining",
        "nobody fills the program array: chains need no code of their own here",
        "return the verdict, and take the tail call and its map out";
    NO_BTF: Object Warning "no-btf",
        "without types maps are bytes, upgrades cannot be compared, and the verifier tells no source lines",
        "compile with `-g`, and strip only DWARF";
    TRACE_PRINT: Object Warning "trace-print",
        "it writes into a buffer that the whole machine shares, for each packet, and the kernel warns of it in its log",
        "take `bpf_printk` out, or count or hand over an event in its place";

    SILENCE_UNKNOWN: Lint Warning "silence-unknown",
        "a reason for something that is no rule silences nothing",
        "`l3af lint --explain` lists the rules";
    SILENCE_USELESS: Lint Note "silence-useless",
        "what is silenced for nothing hides what comes later",
        "take it out of `lint.allow`";
}
