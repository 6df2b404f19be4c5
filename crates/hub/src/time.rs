// SPDX-License-Identifier: Apache-2.0
//! Times as the API tells them.

use jiff::Timestamp;

/// Milliseconds since 1970 as RFC 3339 writes them.
pub(crate) fn rfc3339(ms: i64) -> String {
    let clamped = ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    Timestamp::from_millisecond(clamped).expect("it was clamped to what there is").to_string()
}
