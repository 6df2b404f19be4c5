// SPDX-License-Identifier: Apache-2.0
//! The results as `JUnit` writes them, as far as build servers agree on it (the schema `junit-10.xsd` of Jenkins).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::report::{Outcome, Report};

/// The results as XML.
pub(super) fn xml(report: &Report) -> String {
    let files: BTreeSet<&str> = report.tests.iter().map(|test| test.file.as_str()).collect();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put(
        &mut text,
        &format!("<testsuites{}>", totals(&report.package, &report.tests.iter().collect::<Vec<_>>())),
    );
    for file in files {
        let tests: Vec<&Outcome> = report.tests.iter().filter(|test| test.file == file).collect();
        put(&mut text, &format!("  <testsuite{}>", totals(file, &tests)));
        for test in tests {
            case(&mut text, &report.package, test);
        }
        put(&mut text, "  </testsuite>");
    }
    put(&mut text, "</testsuites>");
    text
}

fn totals(name: &str, tests: &[&Outcome]) -> String {
    let failed = tests.iter().filter(|test| !test.passed).count();
    let seconds: f64 = tests.iter().map(|test| test.seconds()).sum();
    format!(
        " name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.6}\"",
        escaped(name),
        tests.len()
    )
}

fn case(xml: &mut String, package: &str, test: &Outcome) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.6}\"",
        escaped(&test.title()),
        escaped(package),
        test.seconds()
    );
    if test.passed {
        return put(xml, &format!("{head}/>"));
    }
    let differences = test.differences("");
    let first = differences.first().map(String::as_str).unwrap_or_default();
    put(xml, &format!("{head}>"));
    put(
        xml,
        &format!(
            "      <failure message=\"{}\">{}</failure>",
            escaped(first),
            escaped(&differences.join("\n"))
        ),
    );
    put(xml, "    </testcase>");
}

fn put(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes all");
}

/// Text without what XML reads otherwise, or not at all (XML 1.0, 2.2).
fn escaped(text: &str) -> String {
    let one = |letter: char| match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\n' => "&#10;".to_owned(),
        letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => "\u{fffd}".to_owned(),
        letter => letter.to_string(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::test::report::Run;

    #[test]
    fn what_xml_reads_otherwise_is_escaped() {
        let place =
            |differences| Run { place: wire::TestPlace::Alone, seconds: 0.5, nanoseconds: 7, differences };
        let good = Outcome::new("tests/a.toml", "a < b & \"c\"", vec![place(Vec::new())]);
        let bad = Outcome::new("tests/a.toml", "two", vec![place(vec!["x\u{1}".to_owned(), "y".to_owned()])]);
        let report = Report {
            package: "guard".to_owned(),
            version: "0.1.0".to_owned(),
            tests: vec![good, bad],
            passed: 1,
            failed: 1,
            seconds: 1.0,
            coverage: None,
        };
        insta::assert_snapshot!(xml(&report), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="guard" tests="2" failures="1" errors="0" time="1.000000">
          <testsuite name="tests/a.toml" tests="2" failures="1" errors="0" time="1.000000">
            <testcase name="a &lt; b &amp; &quot;c&quot;" classname="guard" time="0.500000"/>
            <testcase name="two" classname="guard" time="0.500000">
              <failure message="alone: x�">alone: x�&#10;alone: y</failure>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
