// SPDX-License-Identifier: Apache-2.0
//! Objects that count what of their source runs: clang's own instrumentation, with the counters in a map.
//!
//! clang puts counters beside the code (`-fprofile-instr-generate`) and notes which lines each stands for
//! (`-fcoverage-mapping`, the documentation of LLVM on "Code Coverage Mapping Format"). What is for a process that writes a
//! profile when it ends is taken out of the intermediate text, and the counters are put into a section of global variables,
//! which loaders make a map of. Inlined functions have counters like all others.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Clang, Uncompiled};

/// The section of the counters.
pub const SECTION: &str = ".data.l3af_count";

/// An object that counts.
#[derive(Debug)]
pub struct Counted {
    /// The object to load.
    pub object: Vec<u8>,
    /// The object that says which counter stands for what.
    pub mapping: Vec<u8>,
    /// Its functions, in the order of their counters.
    pub functions: Vec<Function>,
}

/// A function with counters.
#[derive(Debug)]
pub struct Function {
    /// The variable of its counters.
    pub variable: String,
    /// Its name in profiles; that of a static one has its file in front.
    pub name: String,
    /// What tells it from another version of it.
    pub hash: u64,
    /// How many counters it has.
    pub counters: usize,
}

impl Clang {
    /// Compiles a source of a package into an object that counts.
    ///
    /// # Errors
    /// When it does not compile, or what clang makes of it is not as it is known to be.
    pub fn compile_counted(&self, folder: &Path, source: &str) -> Result<Counted, Uncompiled> {
        let at = |name: &str| self.scratch.path().join(name);
        let (folder, mut command) = self.command(folder, source)?;
        command.args(["-fprofile-instr-generate", "-fcoverage-mapping", "-fcoverage-compilation-dir=."]);
        command.args(["-mllvm", "-enable-name-compression=false", "-S", "-emit-llvm"]);
        command.arg(source).arg("-o").arg(at("counted.ll")).current_dir(&folder);
        self.succeed(None, &format!("`{}` cannot compile `{source}`", self.compiler), command.output())?;
        let text = fs::read_to_string(at("counted.ll"))?;
        let unread = || Uncompiled::NoCounters { of: source.to_owned() };
        let (stripped, functions) = with_counters_in_a_map(&text).ok_or_else(unread)?;
        fs::write(at("stripped.ll"), stripped)?;
        self.assemble("counted.ll", "mapping.o")?;
        self.assemble("stripped.ll", "counted.o")?;
        let strip = Command::new(&self.strip).arg("-g").arg(at("counted.o")).output();
        self.succeed(None, &format!("`{}` cannot strip what was compiled", self.strip), strip)?;
        Ok(Counted { object: fs::read(at("counted.o"))?, mapping: fs::read(at("mapping.o"))?, functions })
    }

    /// What lcov would say of a profile, which is in LLVM's text form.
    ///
    /// # Errors
    /// When LLVM's programs are not there or do not take it.
    pub fn lcov(&self, counted: &Counted, profile: &str) -> Result<String, Uncompiled> {
        let at = |name: &str| self.scratch.path().join(name);
        fs::write(at("counted.proftext"), profile)?;
        fs::write(at("mapping.o"), &counted.mapping)?;
        let merge = self
            .tool("llvm-profdata")
            .arg("merge")
            .arg(at("counted.proftext"))
            .arg("-o")
            .arg(at("profile"))
            .output();
        self.succeed(Some(self.major), "`llvm-profdata` does not take the counters", merge)?;
        let mut export = self.tool("llvm-cov");
        export.args(["export", "--format=lcov", "--instr-profile"]).arg(at("profile")).arg(at("mapping.o"));
        let export = export.output();
        let text = export.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        self.succeed(Some(self.major), "`llvm-cov` does not take the counters", export)?;
        Ok(text)
    }

    fn assemble(&self, from: &str, to: &str) -> Result<(), Uncompiled> {
        let at = |name: &str| self.scratch.path().join(name);
        let mut llc = self.tool("llc");
        llc.args(["-O2", "-mcpu=v3", "-filetype=obj"]).arg(at(from)).arg("-o").arg(at(to));
        self.succeed(Some(self.major), "`llc` cannot assemble what clang made", llc.output())
    }

    /// A tool that came with the compiler.
    fn tool(&self, name: &str) -> Command {
        let versioned = format!("{name}-{}", self.major);
        let is_there = Command::new(&versioned).arg("--version").output().is_ok();
        Command::new(if is_there { versioned } else { name.to_owned() })
    }
}

/// The intermediate text of LLVM with its counters in a section of their own and nothing of its run time, and the functions that have
/// counters; none where it is not as LLVM writes it.
fn with_counters_in_a_map(text: &str) -> Option<(String, Vec<Function>)> {
    let (mut kept, mut counters, mut hashes, mut names) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    let mut is_dropping = false;
    for line in text.lines() {
        if is_dropping {
            is_dropping = line != "}";
            continue;
        }
        let global = line.strip_prefix('@').and_then(|line| line.split_once(" = "));
        match global.map(|(name, is)| (name.trim_matches('"'), is)) {
            Some((name, is)) if name.starts_with("__profc_") => {
                let count = is.split_once('[')?.1.split_once(" x i64]")?.0.parse().ok()?;
                counters.push((name.strip_prefix("__profc_")?.to_owned(), count));
                // What is private has no symbol, by which it is found.
                let is = is.replace("private global", "internal global");
                let is = is.replace("section \"__llvm_prf_cnts\", comdat", &format!("section \"{SECTION}\""));
                writeln!(kept, "@\"{name}\" = {is}").ok()?;
            }
            Some((name, is)) if name.starts_with("__profd_") => {
                hashes.push((name.strip_prefix("__profd_")?.to_owned(), second_number(is)?));
            }
            Some(("__llvm_prf_nm", is)) => names.extend(names_of(is)?),
            Some((name, _)) if is_of_the_run_time(name) => {}
            _ if line.starts_with("define ") && line.contains("@__llvm_profile_") => is_dropping = true,
            _ => {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    let functions = counters.into_iter().map(|(variable, counters)| {
        let hash = hashes.iter().find(|(other, _)| *other == variable)?.1;
        let name = names.iter().find(|name| in_variables(name) == variable)?.clone();
        Some(Function { variable: format!("__profc_{variable}"), name, hash, counters })
    });
    Some((kept, functions.collect::<Option<_>>()?))
}

fn is_of_the_run_time(name: &str) -> bool {
    name.starts_with("__covrec_")
        || name.starts_with("__llvm_")
        || name == "llvm.used"
        || name == "llvm.compiler.used"
}

/// The second number of the record of a function (`INSTR_PROF_DATA` of `InstrProfData.inc`): its hash.
fn second_number(record: &str) -> Option<u64> {
    let (_, values) = record.split_once("} { i64 ")?;
    let (_, second) = values.split_once(", i64 ")?;
    let number: i64 = second.split([',', ' ']).next()?.parse().ok()?;
    Some(number.cast_unsigned())
}

/// A name as it is in the names of variables (`getPGOFuncNameVarName` of LLVM).
fn in_variables(name: &str) -> String {
    name.chars().map(|letter| if "-:;<>/\"'".contains(letter) { '_' } else { letter }).collect()
}

/// The names of functions: how many bytes they take, how many when they are compressed, which is none, and they, with 1 between.
fn names_of(record: &str) -> Option<Vec<String>> {
    let (_, text) = record.split_once("c\"")?;
    let (text, _) = text.split_once('"')?;
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        let length = if letter == '\\' { 3 } else { letter.len_utf8() };
        let piece = rest.get(..length)?;
        match piece.strip_prefix('\\') {
            Some(digits) => bytes.push(u8::from_str_radix(digits, 16).ok()?),
            None => bytes.extend(piece.bytes()),
        }
        rest = &rest[length..];
    }
    // Lengths are in LEB128: the last byte of each has no highest bit.
    let first = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let names = String::from_utf8(bytes.get(first + 1..)?.to_vec()).ok()?;
    Some(names.split('\u{1}').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stay_and_what_writes_profiles_goes() {
        let text = r#"@LICENSE = dso_local global [4 x i8] c"GPL\00", section "license", align 1
@__llvm_profile_runtime = external hidden global i32
@__profc_a = private global [2 x i64] zeroinitializer, section "__llvm_prf_cnts", comdat, align 8
@__profd_a = private global { i64, i64, ptr } { i64 -1, i64 -2, ptr @a }, section "__llvm_prf_data", comdat, align 8
@__profc_x.c_b = private global [1 x i64] zeroinitializer, section "__llvm_prf_cnts", comdat, align 8
@__profd_x.c_b = private global { i64, i64, ptr } { i64 1, i64 24, ptr null }, section "__llvm_prf_data", comdat, align 8
@__llvm_prf_nm = private constant [9 x i8] c"\07\00a\01x.c:b", section "__llvm_prf_names", align 1
@llvm.used = appending global [1 x ptr] [ptr @__llvm_prf_nm]
define i32 @a(ptr %0) section "xdp" {
  ret i32 2
}
define linkonce_odr hidden i32 @__llvm_profile_runtime_user() {
  ret i32 0
}
"#;
        let (kept, functions) = with_counters_in_a_map(text).unwrap();
        insta::assert_snapshot!(kept, @r#"
        @LICENSE = dso_local global [4 x i8] c"GPL\00", section "license", align 1
        @"__profc_a" = internal global [2 x i64] zeroinitializer, section ".data.l3af_count", align 8
        @"__profc_x.c_b" = internal global [1 x i64] zeroinitializer, section ".data.l3af_count", align 8
        define i32 @a(ptr %0) section "xdp" {
          ret i32 2
        }
        "#);
        let told = functions.iter().map(|function| {
            let Function { variable, name, hash, counters } = function;
            (variable.as_str(), name.as_str(), *hash, *counters)
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told, [("__profc_a", "a", u64::MAX - 1, 2), ("__profc_x.c_b", "x.c:b", 24, 1)]);
        assert!(with_counters_in_a_map("@__profc_a = private global [2 x i64]").is_none());
    }
}
