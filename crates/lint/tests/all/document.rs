// SPDX-License-Identifier: Apache-2.0
//! The table for people.

use lint::RULES;

const DOCUMENT: &str = include_str!("../../../../docs/lint.md");

#[test]
fn the_document_has_a_row_for_each_rule_and_no_other() {
    let rows: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| `")).collect();
    let known: Vec<String> = RULES
        .iter()
        .map(|rule| {
            let severity = serde_json::to_string(&rule.severity).unwrap();
            format!("| `{}` | {} | {} | {} |", rule.name, severity.trim_matches('"'), rule.why, rule.remedy)
        })
        .collect();
    let missing: Vec<&String> = known.iter().filter(|row| !rows.contains(&row.as_str())).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!(rows.len(), known.len());
}
