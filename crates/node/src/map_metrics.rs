// SPDX-License-Identifier: Apache-2.0
//! Maps in which programs count, as metrics in the text format of `OpenMetrics` 1.0: names, units and labels are those of the map
//! interface (`docs/map-interface.md`).
//!
//! A number is a sample of `l3af_map_<package>_<map>[_<field>][_<unit>]`. Nobody says whether it only rises, so that its type is
//! `unknown`. What counts in buckets is a histogram.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kernel::OpenMap;
use maps::{Buckets, Map, Meaning, Number, Shape, TimeUnit, Type, Unit};
use package::{MemberName, PackageName};
use serde_json::Value;

use crate::engine::{HERE, Held};
use crate::metrics::escaped;

/// The most entries of one map that become samples, and the most samples: each is kept for ever by whoever collects them.
const MOST_ENTRIES: usize = 1000;
/// The largest value that is looked into.
const MOST_BYTES: usize = 64 * 1024;
/// More buckets no number falls into.
const MOST_BUCKETS: usize = 64;

/// A map in which a program counts.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) package: PackageName,
    pub(crate) member: MemberName,
    /// None for a probe.
    pub(crate) hook: Option<String>,
    pub(crate) held: Held,
}

/// A metric with all its samples.
#[derive(Debug, Default)]
struct Family {
    kind: &'static str,
    unit: String,
    help: String,
    /// What stands behind the name: a suffix, labels, a value.
    samples: Vec<(&'static str, String, String)>,
}

type Families = BTreeMap<String, Family>;
type Labels = Vec<(String, String)>;

/// All of them as text. A map that cannot be read just now has no samples.
pub(crate) fn text(counted: &[Counted]) -> String {
    let mut families = Families::new();
    for counted in counted {
        let map = &counted.held.map.name;
        if let Err(error) = counted.add(&mut families) {
            tracing::warn!(member = %counted.member, "the map `{map}` gives no metrics: {error}");
        }
    }
    let mut text = String::new();
    for (name, Family { kind, unit, help, samples }) in &families {
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        if !help.is_empty() {
            let _ = writeln!(text, "# HELP {name} {}", escaped(help));
        }
        for (suffix, labels, value) in samples {
            let _ = writeln!(text, "{name}{suffix}{{{labels}}} {value}");
        }
    }
    text
}

impl Counted {
    fn add(&self, families: &mut Families) -> std::io::Result<()> {
        let Held { map, open, .. } = &self.held;
        if open.value_bytes() > MOST_BYTES {
            return Err(std::io::Error::other(format!("a value has more than {MOST_BYTES} bytes")));
        }
        let name =
            format!("l3af_map_{}_{}", plain(self.package.as_ref()), plain(map.name.trim_start_matches('.')));
        let mut labels: Labels = vec![("member".to_owned(), self.member.to_string())];
        labels.extend(self.hook.iter().map(|hook| ("hook".to_owned(), hook.clone())));
        let told = entries(open, map)?;
        if let Some(buckets) = &map.buckets {
            let counts: Vec<Value> = told.into_iter().map(|(_, value)| value).collect();
            let (unit, help) = (map.unit.as_ref(), map.description.as_deref().unwrap_or_default());
            let of = Histogram { name: &name, help, unit, buckets };
            of.add(families, (self.held.value(), &counts), &labels);
            return Ok(());
        }
        for (key, value) in told {
            let mut labels = labels.clone();
            if let (Some(is), Some(key)) = (&map.key, &key) {
                of_key(is, key, "key", &mut labels);
            }
            let what = map.description.as_deref().unwrap_or_default();
            of_value(families, (&name, what), (self.held.value(), &value), &labels);
        }
        Ok(())
    }
}

/// What a map holds, as JSON; of many entries the first ones.
fn entries(open: &OpenMap, map: &Map) -> std::io::Result<Vec<(Option<Value>, Value)>> {
    let mut told = Vec::new();
    let unfit = std::io::Error::other::<maps::WrongSize>;
    for batch in open.batches() {
        let batch = batch?;
        for (key, values) in batch.entries().take(MOST_ENTRIES - told.len()) {
            let key = map.key.as_ref().map(|is| is.decode(key, HERE)).transpose().map_err(unfit)?;
            let all: Vec<&[u8]> = values.iter().collect();
            let Some(is) = &map.value else { continue };
            let value = match all.as_slice() {
                [only] => is.decode(only, HERE).map_err(unfit)?,
                all => is.sum(all, HERE).map_err(unfit)?.value,
            };
            told.push((key, value));
        }
        if told.len() == MOST_ENTRIES {
            break;
        }
    }
    // The kernel tells entries of hashes in no order that stays.
    told.sort_by_cached_key(|(key, _)| key.as_ref().map(sorting));
    Ok(told)
}

/// Numbers in their order, all else by its text.
fn sorting(key: &Value) -> (Option<u64>, String) {
    (key.as_u64(), key.to_string())
}

/// The labels that a key is.
fn of_key(is: &Type, key: &Value, name: &str, labels: &mut Labels) {
    let name = is.words().label.as_deref().unwrap_or(name);
    if let (Shape::Struct(fields), Value::Object(object)) = (is.shape(), key) {
        for field in &fields.fields {
            if let Some((name, value)) = field.shown_name().and_then(|name| Some((name, object.get(name)?))) {
                of_key(&field.is, value, name, labels);
            }
        }
    } else {
        let text = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        label(labels, name, text);
    }
}

/// Adds a label under a name that no other has.
fn label(labels: &mut Labels, name: &str, value: String) {
    let plain = plain(name);
    let first =
        if plain.starts_with(|letter: char| letter.is_ascii_digit()) { format!("_{plain}") } else { plain };
    let mut name = first.clone();
    let mut number = 2;
    while name == "le" || labels.iter().any(|(known, _)| *known == name) {
        name = format!("{first}_{number}");
        number += 1;
    }
    labels.push((name, value));
}

/// The samples that a value is: one for each number in it.
fn of_value(
    families: &mut Families,
    (name, help): (&str, &str),
    (is, value): (&Type, &Value),
    labels: &Labels,
) {
    let help = is.words().description.as_deref().unwrap_or(help);
    match (is.shape(), value) {
        (Shape::Struct(fields), Value::Object(object)) => {
            for field in &fields.fields {
                if let Some((shown, value)) =
                    field.shown_name().and_then(|name| Some((name, object.get(name)?)))
                {
                    of_value(
                        families,
                        (&format!("{name}_{}", plain(shown)), help),
                        (&field.is, value),
                        labels,
                    );
                }
            }
        }
        (Shape::Array(array), Value::Array(values)) => {
            if let Some(buckets) = &is.words().buckets {
                let of = Histogram { name, help, unit: is.words().unit.as_ref(), buckets };
                of.add(families, (&array.element, values), labels);
                return;
            }
            for (index, value) in values.iter().enumerate() {
                let mut labels = labels.clone();
                label(&mut labels, "index", index.to_string());
                of_value(families, (name, help), (&array.element, value), &labels);
            }
        }
        _ => {
            let Some(number) = number(is, value) else { return };
            let unit = unit(is);
            let name = named(name, &unit);
            let family = families.entry(name).or_insert_with(|| Family {
                kind: "unknown",
                unit,
                help: help.to_owned(),
                samples: Vec::new(),
            });
            if family.kind == "unknown" && family.samples.len() < MOST_ENTRIES {
                family.samples.push(("", spelled(labels), number));
            }
        }
    }
}

/// What counts fall into buckets of.
struct Histogram<'a> {
    name: &'a str,
    help: &'a str,
    unit: Option<&'a Unit>,
    buckets: &'a Buckets,
}

impl Histogram<'_> {
    /// Adds counts as how many were not greater than each bound; times are in seconds.
    fn add(&self, families: &mut Families, (is, counts): (&Type, &[Value]), labels: &Labels) {
        let time = self.unit.and_then(|unit| TimeUnit::named(&unit.to_string()));
        let told = |bound: Number| match time {
            Some(unit) => canonical(&seconds(bound, unit)),
            None => canonical(&bound.to_string()),
        };
        let bound = |at: usize| match self.buckets {
            _ if at + 1 == counts.len() => "+Inf".to_owned(),
            Buckets::Rule(_) => told(Number::new(false, (1 << (at + 1).min(127)) - 1)),
            Buckets::Bounds(bounds) => bounds.get(at).map(|bound| told(*bound)).unwrap_or_default(),
        };
        let unit = match time {
            Some(_) => "seconds".to_owned(),
            None => plain_unit(self.unit),
        };
        let family = families.entry(named(self.name, &unit)).or_insert_with(|| Family {
            kind: "histogram",
            unit,
            help: self.help.to_owned(),
            samples: Vec::new(),
        });
        if family.kind != "histogram" || counts.len() > MOST_BUCKETS {
            return;
        }
        let mut sum = 0_u128;
        for (at, count) in counts.iter().enumerate() {
            sum += number(is, count).and_then(|text| text.parse::<u128>().ok()).unwrap_or_default();
            let mut labels = labels.clone();
            labels.push(("le".to_owned(), bound(at)));
            family.samples.push(("_bucket", spelled(&labels), sum.to_string()));
        }
    }
}

/// A bound as each must write it, as bounds are labels, and so text (`OpenMetrics` 1.0, "Canonical Numbers"): a number has a point,
/// but for large and small powers of ten, which have an exponent.
fn canonical(bound: &str) -> String {
    let (whole, part) = bound.split_once('.').unwrap_or((bound, ""));
    match (whole.trim_end_matches('0'), part.trim_start_matches('0')) {
        ("1", "") if whole.len() > 6 => format!("1e+{:02}", whole.len() - 1),
        ("", "1") if part.len() > 4 => format!("1e-{:02}", part.len()),
        (_, "") => format!("{whole}.0"),
        _ => bound.to_owned(),
    }
}

/// A time as a number of seconds, exactly.
fn seconds(time: Number, unit: TimeUnit) -> String {
    const NANOSECONDS: u128 = 1_000_000_000;
    let all = time.magnitude().saturating_mul(unit.nanoseconds());
    let part = format!("{:09}", all % NANOSECONDS);
    let sign = if time.is_negative() { "-" } else { "" };
    let text = format!("{sign}{}.{}", all / NANOSECONDS, part.trim_end_matches('0'));
    text.trim_end_matches('.').to_owned()
}

/// A value as a number, where it is one; times are in seconds.
fn number(is: &Type, value: &Value) -> Option<String> {
    match is.shape() {
        Shape::Integer(integer) => match integer.meaning {
            Meaning::Number => Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            Meaning::Duration(unit) => {
                let nanoseconds = HERE.read(&is.encode(value, HERE).ok()?).checked_mul(unit.nanoseconds())?;
                let (whole, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
                Some(format!("{whole}.{rest:09}"))
            }
            Meaning::Hex | Meaning::Unix(_) | Meaning::Boot(_) => None,
        },
        Shape::Bool => value.as_bool().map(|is_so| u8::from(is_so).to_string()),
        Shape::Float => Some(match value.as_str() {
            Some(text) if text.starts_with("NaN") => "NaN".to_owned(),
            Some(text) => text.replace("Infinity", "Inf"),
            None => value.to_string(),
        }),
        Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Text
        | Shape::Bytes
        | Shape::Pointer
        | Shape::Kernel
        | Shape::Ipv4
        | Shape::Ipv6
        | Shape::Ip
        | Shape::Mac
        | Shape::Prefix(_)
        | Shape::Array(_)
        | Shape::Struct(_)
        | Shape::Union(_) => None,
    }
}

/// What its numbers are, in the words of metrics.
fn unit(is: &Type) -> String {
    if let Shape::Integer(integer) = is.shape()
        && matches!(integer.meaning, Meaning::Duration(_))
    {
        return "seconds".to_owned();
    }
    plain_unit(is.words().unit.as_ref())
}

/// A unit in the words of metrics.
fn plain_unit(unit: Option<&Unit>) -> String {
    let unit = unit.map(ToString::to_string).unwrap_or_default();
    match unit.as_str() {
        "B" => "bytes".to_owned(),
        "s" => "seconds".to_owned(),
        other => plain(&other.replace('/', " per ")).trim_matches('_').to_owned(),
    }
}

/// A name ends with its unit.
fn named(name: &str, unit: &str) -> String {
    let is_there = unit.is_empty() || name.ends_with(&format!("_{unit}"));
    if is_there { name.to_owned() } else { format!("{name}_{unit}") }
}

/// Text as a part of a name.
fn plain(text: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    text.chars().map(letter).collect()
}

fn spelled(labels: &Labels) -> String {
    let labels = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    labels.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value_type: &str, value: &Value) -> String {
        let mut families = Families::new();
        let labels = vec![("member".to_owned(), "m".to_owned())];
        let is: Type =
            value_type.parse().unwrap_or_else(|_| serde_json::from_str(value_type).expect("it is a type"));
        of_value(&mut families, ("l3af_map_p_m", "What \"it\" is"), (&is, value), &labels);
        let lines = families.iter().flat_map(|(name, family)| {
            let samples = family.samples.iter();
            samples.map(move |(suffix, labels, value)| format!("{name}{suffix}{{{labels}}} {value}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_number_is_a_sample_with_its_unit() {
        let kibibytes = r#"{"kind": "integer", "bytes": 4, "unit": "B"}"#;
        assert_eq!(told(kibibytes, &json!(7)), "l3af_map_p_m_bytes{member=\"m\"} 7");
        let rate = r#"{"kind": "integer", "bytes": 4, "unit": "packets/s"}"#;
        assert_eq!(told(rate, &json!(7)), "l3af_map_p_m_packets_per_s{member=\"m\"} 7");
        let pause = r#"{"kind": "integer", "bytes": 8, "meaning": {"duration": "ms"}}"#;
        assert_eq!(told(pause, &json!("1500ms")), "l3af_map_p_m_seconds{member=\"m\"} 1.500000000");
        insta::assert_snapshot!(told("{ in: u64, mode: ipv4, rest: [u8; 2] }", &json!({"in": "18446744073709551615", "mode": "10.0.0.1", "rest": [1, 2]})), @r#"
        l3af_map_p_m_in{member="m"} 18446744073709551615
        l3af_map_p_m_rest{member="m",index="0"} 1
        l3af_map_p_m_rest{member="m",index="1"} 2
        "#);
    }

    #[test]
    fn buckets_are_a_histogram() {
        let element = r#"{"kind": "integer", "bytes": 8}"#;
        let log2 = format!(
            r#"{{"kind": "array", "bytes": 24, "count": 3, "buckets": "log2", "element": {element}}}"#
        );
        insta::assert_snapshot!(told(&log2, &json!([1, 2, 3])), @r#"
        l3af_map_p_m_bucket{member="m",le="1.0"} 1
        l3af_map_p_m_bucket{member="m",le="3.0"} 3
        l3af_map_p_m_bucket{member="m",le="+Inf"} 6
        "#);
        let bounds = format!(
            r#"{{"kind": "array", "bytes": 24, "count": 3, "buckets": [5, 1500], "unit": "ms", "element": {element}}}"#
        );
        insta::assert_snapshot!(told(&bounds, &json!([1, 2, 3])), @r#"
        l3af_map_p_m_seconds_bucket{member="m",le="0.005"} 1
        l3af_map_p_m_seconds_bucket{member="m",le="1.5"} 3
        l3af_map_p_m_seconds_bucket{member="m",le="+Inf"} 6
        "#);
    }

    #[test]
    fn bounds_are_spelled_as_everybody_spells_them() {
        let of = |magnitude: u128, unit| canonical(&seconds(Number::new(false, magnitude), unit));
        let told = [
            of(0, TimeUnit::Ns),
            of(1, TimeUnit::Ns),
            of(1, TimeUnit::Us),
            of(3, TimeUnit::Us),
            of(10, TimeUnit::Us),
            of(100, TimeUnit::Us),
            of(1, TimeUnit::S),
            of(1500, TimeUnit::Ms),
            of(100_000, TimeUnit::S),
            of(1_000_000, TimeUnit::S),
            of(2_000_000, TimeUnit::S),
        ];
        let spelled = [
            "0.0",
            "1e-09",
            "1e-06",
            "0.000003",
            "1e-05",
            "0.0001",
            "1.0",
            "1.5",
            "100000.0",
            "1e+06",
            "2000000.0",
        ];
        assert_eq!(told, spelled);
    }

    #[test]
    fn labels_have_names_of_their_own_and_names_end_with_their_unit() {
        let rows = told("[[u8; 1]; 1]", &json!([[7]]));
        assert_eq!(rows, "l3af_map_p_m{member=\"m\",index=\"0\",index_2=\"0\"} 7");
        let mut labels = vec![("member".to_owned(), "m".to_owned())];
        label(&mut labels, "member", "x".to_owned());
        label(&mut labels, "1st le", "y".to_owned());
        label(&mut labels, "le", "z".to_owned());
        assert_eq!(spelled(&labels), r#"member="m",member_2="x",_1st_le="y",le_2="z""#);
        assert_eq!(named("l3af_map_p_rxbytes", "bytes"), "l3af_map_p_rxbytes_bytes");
    }

    #[test]
    fn keys_are_labels() {
        let is: Type = "{ port: be16, from: ipv4 }".parse().unwrap();
        let mut labels = Labels::new();
        of_key(&is, &json!({"port": 443, "from": "192.0.2.1"}), "key", &mut labels);
        assert_eq!(spelled(&labels), r#"port="443",from="192.0.2.1""#);
    }
}
