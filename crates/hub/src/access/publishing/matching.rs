// SPDX-License-Identifier: Apache-2.0
//! Whether what a token says is what a rule wants.

use std::collections::BTreeMap;

use door::Claims;
use serde_json::Value;

use super::super::scope::is_like;

/// The longest claim that is looked at: with two stars a longer one would take its time.
const LONGEST: usize = 1000;

/// Whether each claim that is wanted is there, and like that.
pub(super) fn fits(wanted: &BTreeMap<String, String>, claims: &Claims) -> bool {
    let is_there =
        |(claim, like): (&String, &String)| claims.get(claim).is_some_and(|value| says(value, like));
    !wanted.is_empty() && wanted.iter().all(is_there)
}

/// Whether a value is like a text; of a list one that is does.
fn says(value: &Value, like: &str) -> bool {
    match value {
        Value::String(text) => text.len() <= LONGEST && is_like(text, like),
        Value::Bool(_) | Value::Number(_) => is_like(&value.to_string(), like),
        Value::Array(values) => {
            let is_one = |value: &Value| !value.is_array() && says(value, like);
            values.len() <= 100 && values.iter().any(is_one)
        }
        Value::Object(_) | Value::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_claim_that_is_wanted_must_be_there_and_like_that() {
        let claims = json!({
            "repository": "acme/guard", "ref": "refs/tags/v1.2.0", "run": 7, "protected": true,
            "groups": ["ops", ["deep"]], "nested": { "a": "b" },
        });
        for (wanted, expected) in [
            (json!({ "repository": "acme/guard" }), true),
            (json!({ "repository": "acme/guard", "ref": "refs/tags/v*" }), true),
            (json!({ "repository": "acme/guard", "ref": "refs/heads/*" }), false),
            (json!({ "repository": "acme/*" }), true),
            (json!({ "repository": "acme" }), false),
            (json!({ "repository": "ACME/guard" }), false),
            (json!({ "run": "7", "protected": "true" }), true),
            (json!({ "groups": "ops" }), true),
            (json!({ "groups": "deep" }), false),
            (json!({ "nested": "*" }), false),
            (json!({ "missing": "*" }), false),
            (json!({}), false),
        ] {
            let wanted_texts: BTreeMap<String, String> = serde_json::from_value(wanted.clone()).unwrap();
            assert_eq!(fits(&wanted_texts, claims.as_object().unwrap()), expected, "{wanted}");
        }
    }
}
