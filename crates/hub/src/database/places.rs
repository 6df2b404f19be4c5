// SPDX-License-Identifier: Apache-2.0
//! The places of values in a statement that takes as many as there are.

/// How many values, or rows, a statement is given at most: both databases take ten times as many.
pub(crate) const AT_ONCE: usize = 500;

/// So many places from one on: `$2, $3`.
pub(crate) fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// The places of so many rows: `($1, $2), ($3, $4)`.
pub(crate) fn rows(count: usize, columns: usize) -> String {
    let rows: Vec<String> =
        (0..count).map(|row| format!("({})", places(row * columns + 1, columns))).collect();
    rows.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{places, rows};

    #[test]
    fn places_count_on() {
        assert_eq!(places(3, 2), "$3, $4");
        assert_eq!(rows(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!((places(1, 0), rows(0, 2)), (String::new(), String::new()));
    }
}
