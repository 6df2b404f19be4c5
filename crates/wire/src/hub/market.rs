// SPDX-License-Identifier: Apache-2.0
//! What a package costs, and what people think of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// No amount has more digits before its point.
const MAX_WHOLE: usize = 9;
/// No currency has smaller parts (ISO 4217: three digits at most).
const MAX_PARTS: usize = 3;
const MAX_LINK_BYTES: usize = 2048;

/// What a publisher asks for the use of a package. A hub tells it; it takes no money, and hands the package over to whoever may pull
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// How much, as in `49.00`.
    #[schema(value_type = String, pattern = r"^([1-9][0-9]{0,8}(\.[0-9]{1,3})?|0\.([1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9]))$")]
    pub amount: Amount,
    /// Of what, as in `EUR`.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$")]
    pub currency: Currency,
    /// For how long.
    pub per: Period,
    /// Where it is sold.
    #[schema(value_type = String, pattern = "^https://", max_length = 2048)]
    pub link: Link,
}

/// An amount of money that is more than nothing: digits, and at most three behind a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(String);

/// The code of a currency (ISO 4217): three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

/// An address of HTTPS, of at most 2048 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link(String);

/// For how long a price is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// For good.
    Once,
    /// For a month.
    Month,
    /// For a year.
    Year,
}

/// Packages by whether something is asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Nothing is asked.
    Free,
    /// There is a price.
    Paid,
}

/// What people think of a package, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rating {
    /// The mean of their stars, 1 to 5, to two digits.
    pub stars: f64,
    /// How many people.
    pub people: u64,
}

/// What somebody thinks of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnRating {
    /// 1, the worst, to 5, the best.
    #[schema(value_type = u8, minimum = 1, maximum = 5)]
    pub stars: Stars,
}

/// 1, the worst, to 5, the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Stars(u8);

/// A price or a rating is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadOffer {
    /// It is no amount of money.
    #[error(
        "`{0}` is no amount: write digits, and at most {MAX_PARTS} behind a point, as in `49.00`; what is free has no price"
    )]
    Amount(String),
    /// It is no code of a currency.
    #[error("`{0}` is no currency: ISO 4217 has three capital letters, as in `EUR`")]
    Currency(String),
    /// Nothing is sold there.
    #[error(
        "`{0}` is no address that begins with `https://`, names nobody before the host, and has at most {MAX_LINK_BYTES} bytes"
    )]
    Link(String),
    /// It is no period.
    #[error("`{0}` is no period: `once`, `month` or `year`")]
    Period(String),
    /// It is neither.
    #[error("`{0}` is neither `free` nor `paid`")]
    Cost(String),
    /// Nobody gives so many.
    #[error("`{0}` is no rating: it is 1 to 5")]
    Stars(String),
}

impl FromStr for Amount {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let (whole, parts) = text.split_once('.').map_or((text, None), |(whole, parts)| (whole, Some(parts)));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_one = digits(whole, MAX_WHOLE)
            && parts.is_none_or(|parts| digits(parts, MAX_PARTS))
            && (whole == "0" || !whole.starts_with('0'))
            && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        if is_one { Ok(Self(text.to_owned())) } else { Err(BadOffer::Amount(text.to_owned())) }
    }
}

impl FromStr for Currency {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let is_one = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_one { Ok(Self(text.to_owned())) } else { Err(BadOffer::Currency(text.to_owned())) }
    }
}

impl FromStr for Link {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let bad = || BadOffer::Link(text.chars().take(100).collect());
        let url: reqwest::Url = text.parse().map_err(|_no_address| bad())?;
        // Who reads a name in front of an `@` takes it for the host.
        let is_plain = text.starts_with("https://") && url.username().is_empty() && url.password().is_none();
        let url = String::from(url);
        if is_plain && url.len() <= MAX_LINK_BYTES { Ok(Self(url)) } else { Err(bad()) }
    }
}

/// What texts of a form have in common.
macro_rules! text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = BadOffer;

            fn try_from(text: String) -> Result<Self, BadOffer> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text!(Amount, Currency, Link);

impl FromStr for Period {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let all = [Self::Once, Self::Month, Self::Year];
        let found = all.into_iter().find(|period| period.as_str() == text);
        found.ok_or_else(|| BadOffer::Period(text.to_owned()))
    }
}

impl FromStr for Cost {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let found = [Self::Free, Self::Paid].into_iter().find(|cost| cost.as_str() == text);
        found.ok_or_else(|| BadOffer::Cost(text.to_owned()))
    }
}

impl FromStr for Stars {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let stars = text.parse::<u8>().ok().and_then(|stars| Self::try_from(stars).ok());
        stars.ok_or_else(|| BadOffer::Stars(text.to_owned()))
    }
}

impl TryFrom<u8> for Stars {
    type Error = BadOffer;

    fn try_from(stars: u8) -> Result<Self, BadOffer> {
        if (1..=5).contains(&stars) { Ok(Self(stars)) } else { Err(BadOffer::Stars(stars.to_string())) }
    }
}

impl From<Stars> for u8 {
    fn from(stars: Stars) -> Self {
        stars.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)?;
        match self.per {
            Period::Once => Ok(()),
            Period::Month | Period::Year => write!(f, "/{}", self.per.as_str()),
        }
    }
}

impl Period {
    fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl Cost {
    /// As searches have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Paid => "paid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes<T: FromStr<Err = BadOffer>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        takes::<Amount>(
            &["49.00", "0.5", "1", "999999999.999"],
            &["0", "0.00", "", ".5", "5.", "01", "-1", "1e3", "1,5", "1.2345", "1000000000", "１"],
        );
        takes::<Currency>(&["EUR", "XAU"], &["eur", "EURO", "E1R", "", "ÄU"]);
        takes::<Link>(
            &["https://example.org/buy?x=1"],
            &[
                "http://a.example/",
                "javascript:alert(1)",
                "https://",
                "/buy",
                "https:a.example",
                "https://b@a.example/",
            ],
        );
        assert!(format!("https://a.example/{}", "x".repeat(2048)).parse::<Link>().is_err());
        takes::<Stars>(&["1", "5"], &["0", "6", "256", "4.5", ""]);
    }

    #[test]
    fn a_link_is_kept_as_all_programs_read_it() {
        let link: Link = "https://A.example/ä b?\"<".parse().unwrap();
        assert_eq!(link.to_string(), "https://a.example/%C3%A4%20b?%22%3C");
    }

    #[test]
    fn a_price_is_read_as_it_is_written() {
        let text = r#"{"amount":"49.00","currency":"EUR","per":"month","link":"https://example.org/"}"#;
        let price: Price = serde_json::from_str(text).unwrap();
        assert_eq!(
            (serde_json::to_string(&price).unwrap().as_str(), price.to_string().as_str()),
            (text, "49.00 EUR/month")
        );
        assert!(serde_json::from_str::<Price>(&text.replace("49.00", "free")).is_err());
        assert!(serde_json::from_str::<OwnRating>(r#"{"stars":6}"#).is_err());
    }
}
