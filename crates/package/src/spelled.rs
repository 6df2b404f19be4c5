// SPDX-License-Identifier: Apache-2.0
//! Types that documents spell as text: serde reads them as they are parsed, and writes them as they are displayed.

/// Converts a type from and to text, for `#[serde(try_from = "String", into = "String")]`, by its `FromStr` and `Display`.
macro_rules! spelled {
    ($name:ty, $error:ty) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
