// SPDX-License-Identifier: Apache-2.0
//! What people read of a package, and what they need to build it again.

use package::Manifest;

use crate::rules::{
    BUILD_UNPINNED, LICENSE_FILE, NO_SOURCE, NO_SOURCE_FILE, NO_TAGS, NO_TESTS, PROGRAM_UNDOCUMENTED,
    README_HEADINGS, README_LIMITS, README_SHORT,
};
use crate::{Beside, Contents, Finding, Place};

/// Less than this says nothing.
const SHORT: usize = 400;

pub(crate) fn check(manifest: &Manifest, contents: &Contents<'_>, findings: &mut Vec<Finding>) {
    let info = &manifest.package;
    let mut find = |rule, key: &str, what: &str| findings.push(Finding::new(rule, Place::key(key), what));
    if info.source.is_none() && info.homepage.is_none() {
        find(&NO_SOURCE, "package", "it has neither `source` nor `homepage`");
    }
    if info.tags.is_empty() {
        find(&NO_TAGS, "package.tags", "there are none");
    }
    let is_license = |path: &str| {
        path.starts_with("LICENSE") || path.starts_with("LICENCE") || path.starts_with("COPYING")
    };
    if !contents.paths().any(is_license) {
        find(&LICENSE_FILE, "package.license", "no file has the text of the licence");
    }
    if contents.beside() == Beside::NoTests {
        find(&NO_TESTS, "package", "there is no folder `tests`");
    }
    let sources: Vec<_> = manifest.programs.iter().map(|program| program.source.is_some()).collect();
    if sources.contains(&true) && manifest.build.is_none() {
        find(&BUILD_UNPINNED, "build", "it does not say which clang compiles its sources");
    }
    for program in manifest.programs.iter().filter(|program| program.source.is_none()) {
        let what = format!("`{}` comes without the source of `{}`", program.object, program.function);
        find(&NO_SOURCE_FILE, "program.source", &what);
    }
    documentation(manifest, &contents.documentation(), findings);
}

fn documentation(manifest: &Manifest, text: &str, findings: &mut Vec<Finding>) {
    let place = || Place::file(&manifest.package.documentation);
    let characters = text.chars().filter(|letter| !letter.is_whitespace()).count();
    if characters < SHORT {
        let what = format!("it has {characters} characters that are not blank");
        findings.push(Finding::new(&README_SHORT, place(), what));
        return;
    }
    let headings = headings(text);
    // One is the title.
    if headings.len() < 3 {
        let what = format!("it has {} headings", headings.len());
        findings.push(Finding::new(&README_HEADINGS, place(), what));
    }
    let limits = ["limit", "restrict", "caveat", "does not", "known issues"];
    let tells = |heading: &String| limits.iter().any(|word| heading.contains(word));
    if !headings.iter().any(tells) {
        findings.push(Finding::new(&README_LIMITS, place(), "no heading is about its limits"));
    }
    if manifest.programs.len() > 1 {
        for program in manifest.programs.iter().filter(|program| !text.contains(program.function.as_ref())) {
            let what = format!("it does not speak of the program `{}`", program.function);
            findings.push(Finding::new(&PROGRAM_UNDOCUMENTED, place(), what));
        }
    }
}

/// The headings of a text in Markdown (`CommonMark` 4.2, 4.3) or reStructuredText, in small letters.
fn headings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut before, mut is_code) = ("", false);
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let is_rule = line.len() >= 3
            && ["=", "-", "~"].iter().any(|sign| line.trim_end().chars().all(|letter| sign.contains(letter)));
        if !is_code && line.starts_with('#') {
            found.push(line.trim_start_matches('#').trim().to_lowercase());
        } else if !is_code && is_rule && !before.trim().is_empty() {
            found.push(before.trim().to_lowercase());
        }
        before = line;
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn headings_are_found_outside_of_code() {
        let text = "# One\ntext\n```\n# not one\n```\nTwo\n---\n\n---\n## Three #\n";
        assert_eq!(super::headings(text), ["one", "two", "three #"]);
    }
}
