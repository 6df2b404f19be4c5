// SPDX-License-Identifier: Apache-2.0
//! What people and programs see: data on stdout, words about the work on stderr.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::failure::{Failure, Outcome};

/// Prints data. A reader that has seen enough and left is no failure, and there is nobody else to tell.
pub(crate) fn data(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// Prints a line that others wrote. Returns whether anybody still reads. A terminal does not get what would have it do something.
pub(crate) fn foreign(line: &str) -> bool {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() { writeln!(stdout, "{}", harmless(line)) } else { writeln!(stdout, "{line}") }
        .is_ok()
}

/// Control characters as they are written in programs, tabs apart.
fn harmless(line: &str) -> String {
    let spelled = |letter: char| {
        let acts = letter.is_control() && letter != '\t';
        if acts { letter.escape_default().to_string() } else { letter.to_string() }
    };
    line.chars().map(spelled).collect()
}

/// Prints data for programs.
pub(crate) fn json(data: &impl Serialize) -> Outcome {
    self::data(&serde_json::to_string_pretty(data)?);
    Ok(())
}

/// Prints data for programs, in one line. Returns whether anybody still reads.
pub(crate) fn json_line(data: &impl Serialize) -> bool {
    // What came as JSON goes as JSON.
    serde_json::to_string(data).is_ok_and(|line| writeln!(io::stdout().lock(), "{line}").is_ok())
}

/// Says something about the work.
pub(crate) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Says in a list that nobody verified what is in it.
pub(crate) fn mode(mode: wire::TrustMode) {
    if mode == wire::TrustMode::Normal {
        data("mode `normal`: packages are NOT verified");
    }
}

/// Rows under a head, in columns.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    // Names and digests are there to be copied, so no line is folded, whatever the width of the terminal.
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Writes a file that everybody may read: whole, or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Outcome {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}

/// A file that is made for a moment is its owner's alone. Elsewhere than on Unix a file inherits what its folder permits.
fn readable(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_others_wrote_does_nothing_to_a_terminal() {
        assert_eq!(super::harmless("a\tb \u{1b}[2Jc\r\u{9b}"), "a\tb \\u{1b}[2Jc\\r\\u{9b}");
    }

    #[test]
    fn a_table_is_as_wide_as_what_is_in_it() {
        let rows = vec![vec!["sanity".to_owned(), "1".to_owned()], vec!["x".to_owned(), "20".to_owned()]];
        insta::assert_snapshot!(super::table(&["member", "packets"], rows), @r"
        MEMBER  PACKETS
        sanity  1
        x       20
        ");
    }
}
