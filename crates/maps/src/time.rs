// SPDX-License-Identifier: Apache-2.0
//! Points in time as RFC 3339 writes them, in UTC, from the year 0 to the year 9999.

use std::fmt;

use crate::Number;

/// A point in time, in nanoseconds since 1970 began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    nanoseconds: i128,
}

const SECOND: i128 = 1_000_000_000;
const DAY_SECONDS: i128 = 86_400;
/// 0000-01-01 and 9999-12-31, in days since 1970 began.
const DAYS: std::ops::RangeInclusive<i128> = -719_528..=2_932_896;

impl Timestamp {
    /// The time that is so many units of nanoseconds after 1970 began; none where no four digits tell its year.
    pub(crate) fn of(number: Number, unit: u128) -> Option<Self> {
        let size = i128::try_from(number.magnitude().checked_mul(unit)?).ok()?;
        let nanoseconds = if number.is_negative() { -size } else { size };
        let day = nanoseconds.div_euclid(SECOND * DAY_SECONDS);
        DAYS.contains(&day).then_some(Self { nanoseconds })
    }

    /// How many units of nanoseconds lie between 1970 and it, where it is a whole number.
    pub(crate) fn whole(self, unit: u128) -> Option<Number> {
        let size = self.nanoseconds.unsigned_abs();
        size.is_multiple_of(unit).then(|| Number::new(self.nanoseconds < 0, size / unit))
    }

    /// Reads a time: `2026-11-30T12:00:00.5Z`, or with the distance from UTC as `+01:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.split_once(['T', 't', ' '])?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let zone = clock.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = clock.split_at(zone);
        let (clock, part) = clock.split_once('.').unwrap_or((clock, "0"));
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let away = if let Some(ahead) = zone.strip_prefix('+') {
            minutes(ahead)?
        } else if let Some(behind) = zone.strip_prefix('-') {
            -minutes(behind)?
        } else {
            matches!(zone, "Z" | "z").then_some(0)?
        };
        let fits = (1..=12).contains(&month)
            && (1..=month_days(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let digits = (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !fits || !digits {
            return None;
        }
        let part: i128 = format!("{part:0<9}").parse().ok()?;
        let days = days(year, month, day);
        let seconds = days * DAY_SECONDS + hour * 3600 + (minute - away) * 60 + second;
        let nanoseconds = seconds * SECOND + part;
        DAYS.contains(&nanoseconds.div_euclid(SECOND * DAY_SECONDS)).then_some(Self { nanoseconds })
    }
}

/// With as many digits of the second as it takes, in groups of three.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, part) = (self.nanoseconds.div_euclid(SECOND), self.nanoseconds.rem_euclid(SECOND));
        let (day, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        let (year, month, date) = civil(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}")?;
        match part {
            0 => {}
            part if part % 1_000_000 == 0 => write!(f, ".{:03}", part / 1_000_000)?,
            part if part % 1_000 == 0 => write!(f, ".{:06}", part / 1_000)?,
            part => write!(f, ".{part:09}")?,
        }
        f.write_str("Z")
    }
}

fn numbers<const N: usize>(text: &str, between: char, lengths: [usize; N]) -> Option<[i128; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let parts: [&str; N] = parts.try_into().ok()?;
    let mut numbers = [0; N];
    for ((number, part), length) in numbers.iter_mut().zip(parts).zip(lengths) {
        let digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = digits.then(|| part.parse().ok())??;
    }
    Some(numbers)
}

fn minutes(text: &str) -> Option<i128> {
    let [hours, minutes] = numbers(text, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn month_days(year: i128, month: i128) -> i128 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 began (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days(year: i128, month: i128, day: i128) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year, month and day of a day (`civil_from_days` of the same).
fn civil(day: i128) -> (i128, i128, i128) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i128::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, text: &str) {
        let time = Timestamp::of(seconds.into(), TimestampUnit::S).unwrap();
        assert_eq!(time.to_string(), text);
        assert_eq!(Timestamp::parse(text), Some(time));
    }

    struct TimestampUnit;
    impl TimestampUnit {
        const S: u128 = 1_000_000_000;
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        check(0, "1970-01-01T00:00:00Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_796_040_000, "2026-11-30T12:00:00Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
        check(-62_167_219_200, "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp::of(253_402_300_800_i64.into(), TimestampUnit::S), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "2026-11-30", "2026-02-29T00:00:00Z", "2026-11-30T24:00:00Z", "2026-11-30T00:00:60Z"]
        {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
        for bad in [
            "2026-11-30T00:00:00",
            "2026-11-30T00:00:00+1:00",
            "2026-11-30T00:00:00.Z",
            "é026-11-30T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
        let ahead = Timestamp::parse("2026-11-30T01:00:00.25+01:00").unwrap();
        assert_eq!(ahead.to_string(), "2026-11-30T00:00:00.250Z");
        assert_eq!(ahead.whole(TimestampUnit::S), None);
    }

    proptest::proptest! {
        #[test]
        fn a_time_reads_as_it_is_told(nanoseconds: u64) {
            let time = Timestamp::of(nanoseconds.into(), 1).unwrap();
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
            assert_eq!(time.whole(1), Some(nanoseconds.into()));
        }
    }
}
