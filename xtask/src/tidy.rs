// SPDX-License-Identifier: Apache-2.0
//! Rules that no compiler keeps. Each is a function from the tree to what is wrong, with a test that it fires.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use crate::shell::{command, output, repository, say};

/// A file that git knows, with its text.
#[derive(Debug)]
struct Text {
    path: String,
    text: String,
}

/// The most lines of a file, its tests apart.
const MAX_LINES: usize = 500;
/// The one module with unsafe code.
const UNSAFE: [&str; 2] = ["crates/kernel/src/linux/sys.rs", "crates/kernel/src/linux/sys/"];
/// Folders of others' files.
const FOREIGN: [&str; 2] = ["crates/compile/include/", "LICENSES/"];

/// Checks the repository.
pub(crate) fn run() -> Result<()> {
    let listed = output(&mut command("git ls-files --cached --others --exclude-standard"))?;
    let root = repository();
    let is_foreign = |path: &str| FOREIGN.iter().any(|folder| path.starts_with(folder));
    let own = listed.lines().filter(|path| !is_foreign(path));
    // A file that is deleted but not yet committed has no text, nor has one that is not text.
    let texts: Vec<Text> = own
        .filter_map(|path| {
            Some(Text { path: path.to_owned(), text: fs::read_to_string(root.join(path)).ok()? })
        })
        .collect();
    let mut findings: Vec<String> = texts.iter().flat_map(check).collect();
    let exists = |path: &Path| root.join(path).exists();
    findings.extend(texts.iter().flat_map(|text| dead_links(text, exists)));
    findings.extend(shared_rules(&texts));
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        say(finding);
    }
    bail!("{} findings", findings.len())
}

fn check(text: &Text) -> Vec<String> {
    let mut findings = Vec::new();
    let mut complain = |found: bool, what: &str| {
        if found {
            findings.push(format!("{}: {what}", text.path));
        }
    };
    let kind = Path::new(&text.path).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if matches!(kind, "rs" | "c" | "h") {
        let marked = text.text.lines().next().is_some_and(|line| line.contains("SPDX-License-Identifier: "));
        complain(!marked, "the first line must be an SPDX-License-Identifier");
    }
    if kind == "rs" {
        check_rust(text, &mut complain);
    }
    if text.path.ends_with("Cargo.toml") && text.path != "Cargo.toml" {
        complain(
            !text.text.contains("[lints]\nworkspace = true"),
            "it must inherit the lints of the workspace",
        );
    }
    // Spelled in parts, so that this file does not find itself.
    let todo = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    complain(todo.iter().any(|word| text.text.contains(word)), "it leaves something to be done");
    findings
}

fn check_rust(text: &Text, complain: &mut impl FnMut(bool, &str)) {
    let documented = text.text.lines().take(3).any(|line| line.starts_with("//!"));
    complain(!documented, "it must begin with a `//!` that says what it is for");
    let is_test = text.path.contains("/tests/");
    let lines = text.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    complain(!is_test && lines > MAX_LINES, "it has more than 500 lines without its tests");
    let unsafe_words = [
        concat!("unsafe", " {"),
        concat!("unsafe", " fn"),
        concat!("unsafe", " impl"),
        concat!("unsafe", " extern"),
    ];
    let is_unsafe = unsafe_words.iter().any(|word| text.text.contains(word));
    let may = UNSAFE.iter().any(|module| text.path.starts_with(module));
    complain(is_unsafe && !may, "unsafe code belongs into `crates/kernel/src/linux/sys.rs`");
    let skipped = [concat!("#[ig", "nore"), concat!("#[should", "_panic")];
    complain(skipped.iter().any(|word| text.text.contains(word)), "a test is skipped, or expected to panic");
}

/// Links to files that are not there.
fn dead_links(text: &Text, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    if Path::new(&text.path).extension().is_none_or(|kind| kind != "md") {
        return Vec::new();
    }
    let folder = Path::new(&text.path).parent().unwrap_or(Path::new(""));
    let targets = text.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let dead =
        files.filter(|target| !exists(&plain(&folder.join(target.split('#').next().unwrap_or_default()))));
    dead.map(|target| format!("{}: the link to `{target}` leads nowhere", text.path)).collect()
}

/// A path without detours.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

/// The crates without I/O have rules of their own, which must hold all of the shared ones.
fn shared_rules(texts: &[Text]) -> Vec<String> {
    let rules = |path: &str| texts.iter().find(|text| text.path == path).map(|text| text.text.clone());
    let shared = rules("clippy.toml").unwrap_or_default();
    let shared: Vec<&str> =
        shared.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let own = ["maps", "bindings", "packet", "package", "lint", "trust", "plan"]
        .map(|name| format!("crates/{name}/clippy.toml"));
    let lacks = |path: &String| {
        let text = rules(path).unwrap_or_default();
        shared.iter().any(|rule| !text.lines().any(|line| line == *rule))
    };
    own.iter()
        .filter(|path| lacks(path))
        .map(|path| format!("{path}: it lacks a rule of `clippy.toml`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> Text {
        Text { path: path.to_owned(), text: text.to_owned() }
    }

    #[track_caller]
    fn finds(path: &str, content: &str, what: &str) {
        let findings = check(&text(path, content));
        assert!(findings.iter().any(|finding| finding.contains(what)), "{findings:?}");
    }

    const HEAD: &str = "// SPDX-License-Identifier: Apache-2.0\n//! What it is for.\n";

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(check(&text("a.rs", HEAD)), Vec::<String>::new());
    }

    #[test]
    fn every_rule_fires() {
        finds("a.c", "int x;\n", "SPDX");
        finds("a.rs", "// SPDX-License-Identifier: Apache-2.0\nfn x() {}\n", "`//!`");
        finds("a.rs", &(HEAD.to_owned() + &"\n".repeat(500)), "500 lines");
        finds("a.rs", &format!("{HEAD}{} {{ }}", "unsafe"), "unsafe code");
        finds("a.rs", &format!("{HEAD}#[ig{}]", "nore"), "skipped");
        finds("x/Cargo.toml", "[package]\n", "lints");
        finds("a.md", concat!("TO", "DO: more"), "to be done");
    }

    #[test]
    fn tests_do_not_count_as_lines() {
        let long = format!("{HEAD}#[cfg(test)]\n{}", "\n".repeat(600));
        assert_eq!(check(&text("a.rs", &long)), Vec::<String>::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let page = text("docs/a.md", "[x](../b.md) [y](c.md#part) [z](https://example.com) [w](#here)");
        let findings = dead_links(&page, |path| path == Path::new("b.md"));
        assert_eq!(findings, ["docs/a.md: the link to `c.md#part` leads nowhere"]);
    }

    #[test]
    fn a_crate_that_forgot_a_shared_rule_is_found() {
        let shared = text("clippy.toml", "# words\na = 1\n");
        let good = |name: &str| text(&format!("crates/{name}/clippy.toml"), "b = 2\na = 1\n");
        let texts = [
            shared,
            good("maps"),
            good("bindings"),
            good("packet"),
            good("package"),
            good("lint"),
            good("trust"),
            text("crates/plan/clippy.toml", "b = 2\n"),
        ];
        assert_eq!(shared_rules(&texts), ["crates/plan/clippy.toml: it lacks a rule of `clippy.toml`"]);
    }
}
