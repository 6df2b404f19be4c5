// SPDX-License-Identifier: Apache-2.0
//! Printing: data to standard output, words about it to standard error.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// Prints a line of data. A reader that has seen enough and left is no failure.
pub(crate) fn data(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// Tells something that is no data. Where even that fails there is nobody left to tell.
pub(crate) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Prints data for programs.
pub(crate) fn json(value: &impl Serialize) -> Outcome {
    data(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Tells why a command failed.
pub(crate) fn problem(failure: &Failure) {
    note(&format!("error: {failure}"));
    if let Some(hint) = failure.hint() {
        note(&format!("hint: {hint}"));
    }
    if let Some(log) = failure.log() {
        note(&format!("log: {log}"));
    }
}

/// A table without lines, as other tools of the field print them. Numbers stand on the right.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row.into_iter().map(|text| {
            let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let alignment = if number { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        }));
    }
    // Trailing blanks help nobody.
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}
