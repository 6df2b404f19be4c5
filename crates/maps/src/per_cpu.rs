// SPDX-License-Identifier: Apache-2.0
//! Values that processors hold each for themselves: all of them beside each other, and their sum.

use serde_json::{Map, Value};

use crate::{Endian, Meaning, Number, Shape, Type, WrongSize};

/// The sum of values, and what of them has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// The sum, in the form of one value, though its numbers may be greater than one could hold. What has no sum is `null`.
    pub value: Value,
    /// What has none (RFC 6901): names, text, addresses, times, and what lies in unions.
    pub without: Vec<String>,
}

/// The kernel hands values of processors over at multiples of so many bytes (`bpf_percpu_array_copy` and its like in
/// `kernel/bpf`).
pub(crate) const STRIDE_BYTES: usize = 8;

impl Type {
    /// The values in what the kernel hands over for one key: one for each processor that could be there.
    ///
    /// # Errors
    /// When that is no whole number of values, or none.
    pub fn per_cpu<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, WrongSize> {
        let stride = self.bytes().next_multiple_of(STRIDE_BYTES).max(STRIDE_BYTES);
        if bytes.is_empty() || !bytes.len().is_multiple_of(stride) {
            return Err(WrongSize { wanted: stride, found: bytes.len() });
        }
        Ok(bytes.chunks_exact(stride).map(|value| &value[..self.bytes()]).collect())
    }

    /// Adds up values: numbers and durations by themselves, fields by fields, elements by elements.
    ///
    /// # Errors
    /// When one of them has another size than the type.
    pub fn sum(&self, values: &[&[u8]], endian: Endian) -> Result<Sum, WrongSize> {
        let decoded = values.iter().map(|bytes| self.decode(bytes, endian)).collect::<Result<Vec<_>, _>>()?;
        let mut without = Vec::new();
        let value = add(self, &decoded.iter().collect::<Vec<_>>(), "", &mut without);
        Ok(Sum { value, without })
    }
}

fn add(is: &Type, values: &[&Value], pointer: &str, without: &mut Vec<String>) -> Value {
    let sum = match is.shape() {
        Shape::Integer(integer) => match integer.meaning {
            Meaning::Number => add_numbers(values),
            Meaning::Duration(unit) => add_durations(values, unit),
            Meaning::Hex | Meaning::Unix(_) | Meaning::Boot(_) => None,
        },
        Shape::Float => {
            let numbers: Option<Vec<f64>> = values.iter().map(|value| value.as_f64()).collect();
            numbers.map(|numbers| Value::from(numbers.iter().sum::<f64>()))
        }
        Shape::Array(array) => Some(
            (0..array.count)
                .map(|at| {
                    let parts: Vec<&Value> = values.iter().filter_map(|value| value.get(at)).collect();
                    add(&array.element, &parts, &format!("{pointer}/{at}"), without)
                })
                .collect(),
        ),
        Shape::Struct(_) => {
            let mut object = Map::new();
            add_fields(is, values, pointer, &mut object, without);
            Some(object.into())
        }
        Shape::Bool
        | Shape::Enum(_)
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
        | Shape::Union(_) => None,
    };
    sum.unwrap_or_else(|| {
        without.push(pointer.to_owned());
        Value::Null
    })
}

fn add_fields(
    is: &Type,
    values: &[&Value],
    pointer: &str,
    object: &mut Map<String, Value>,
    without: &mut Vec<String>,
) {
    for field in is.fields().into_iter().flat_map(|fields| &fields.fields) {
        let Some(name) = field.shown_name() else {
            add_nameless(&field.is, values, pointer, object, without);
            continue;
        };
        if field.is.is_kernel() {
            continue;
        }
        let parts: Vec<&Value> = values.iter().filter_map(|value| value.get(name)).collect();
        let deeper = format!("{pointer}/{}", crate::write::escaped(name));
        object.insert(name.to_owned(), add(&field.is, &parts, &deeper, without));
    }
}

/// Fields of a nameless structure are added; those of a nameless union are beside them, and have no sum.
fn add_nameless(
    is: &Type,
    values: &[&Value],
    pointer: &str,
    object: &mut Map<String, Value>,
    without: &mut Vec<String>,
) {
    if matches!(is.shape(), Shape::Struct(_)) {
        return add_fields(is, values, pointer, object, without);
    }
    for name in is.fields().into_iter().flat_map(crate::write::shown_names) {
        without.push(format!("{pointer}/{}", crate::write::escaped(name)));
        object.insert(name.to_owned(), Value::Null);
    }
}

fn add_numbers(values: &[&Value]) -> Option<Value> {
    let numbers = values.iter().map(|value| serde_json::from_value::<Number>((*value).clone()).ok());
    let sum = numbers.into_iter().try_fold(Number::ZERO, |sum, number| sum.checked_add(number?))?;
    serde_json::to_value(sum).ok()
}

fn add_durations(values: &[&Value], unit: crate::TimeUnit) -> Option<Value> {
    let unit_of = crate::Unit::from(unit);
    let numbers = values.iter().map(|value| unit_of.amount(value.as_str()?).ok());
    let sum = numbers.into_iter().try_fold(Number::ZERO, |sum, number| sum.checked_add(number?))?;
    Some(crate::unit::Duration(sum, unit).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_added_and_the_rest_is_told() {
        let is: Type = "{ packets: u64, of: [i8; 2], last: char[2], who: { seen: f32 } }".parse().unwrap();
        let value = |packets: u64| serde_json::json!({"packets": packets.to_string(), "of": [100, -1], "last": "a", "who": {"seen": 0.5}});
        let bytes: Vec<Vec<u8>> =
            [u64::MAX, 1].map(|packets| is.encode(&value(packets), Endian::Little).unwrap()).to_vec();
        let sum = is.sum(&bytes.iter().map(Vec::as_slice).collect::<Vec<_>>(), Endian::Little).unwrap();
        insta::assert_snapshot!(sum.value, @r#"{"packets":"18446744073709551616","of":[200,-2],"last":null,"who":{"seen":1.0}}"#);
        assert_eq!(sum.without, ["/last"]);
    }

    #[test]
    fn values_of_processors_lie_at_multiples_of_eight_bytes() {
        let is: Type = "{ a: u8, b: u16 }".parse().unwrap();
        let values = serde_json::json!([{"a": 1, "b": 2}, {"a": 3, "b": 4}]);
        let bytes = is.encode_per_cpu(&values, 2, Endian::Little).unwrap();
        assert_eq!(bytes, [1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(is.per_cpu(&bytes).unwrap(), [&bytes[..4], &bytes[8..12]]);
        assert!(is.per_cpu(&bytes[..12]).is_err());
        let wrong = serde_json::json!([{"a": 1, "b": 2}, {"a": 300}]);
        insta::assert_snapshot!(is.encode_per_cpu(&wrong, 2, Endian::Little).unwrap_err(), @r"
    `/1/a` is `300`; expected a whole number from 0 to 255
    `/1/b` is missing; expected a whole number from 0 to 65535
    ");
        insta::assert_snapshot!(is.encode_per_cpu(&wrong, 4, Endian::Little).unwrap_err(), @r#"the value is `[{"a":1,"b":2},{"a":300}]`; expected an array of 4 elements, one for each processor"#);
    }
}
