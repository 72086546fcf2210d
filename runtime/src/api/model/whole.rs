//! Whole numbers in bodies. JSON has one kind of number, so `2.0` is as whole as `2`; and what is beyond
//! [`MOST_WHOLE`] is refused, since not every reader takes it exactly (RFC 8259, section 6).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The largest whole number, 2⁵³ - 1; the smallest is its negative.
pub(crate) const MOST_WHOLE: i64 = (1 << 53) - 1;

/// Reads a number.
pub(crate) fn number<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    fit(Whole::deserialize(deserializer)?)
}

/// Reads a number or null.
pub(crate) fn number_or_null<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::<Whole>::deserialize(deserializer)?.map(fit).transpose()
}

fn fit<T: TryFrom<i64>, E: Error>(Whole(number): Whole) -> Result<T, E> {
    T::try_from(number).map_err(|_| E::custom(format!("{number} is out of range")))
}

struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from -{MOST_WHOLE} to {MOST_WHOLE}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        match (-MOST_WHOLE..=MOST_WHOLE).contains(&number) {
            true => Ok(Whole(number)),
            false => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        i64::try_from(number).ok().filter(|number| *number <= MOST_WHOLE).map(Whole).ok_or_else(wrong)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        match number.fract() == 0.0 && number.abs() <= MOST_WHOLE as f64 {
            true => Ok(Whole(number as i64)),
            false => Err(E::invalid_value(serde::de::Unexpected::Float(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Deserialize, PartialEq, Debug)]
    struct Body {
        #[serde(deserialize_with = "super::number")]
        small: u16,
        #[serde(default, deserialize_with = "super::number_or_null")]
        large: Option<u64>,
    }

    fn read(body: &str) -> Result<Body, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        assert_eq!(read(r#"{"small": 2.0}"#), Ok(Body { small: 2, large: None }));
        assert_eq!(read(r#"{"small": 2e3, "large": null}"#), Ok(Body { small: 2_000, large: None }));
        let most = Body { small: 65_535, large: Some(9_007_199_254_740_991) };
        assert_eq!(read(r#"{"small": 65535, "large": 9007199254740991}"#), Ok(most));
    }

    #[test]
    fn what_is_not_whole_or_out_of_range_is_refused() {
        for small in ["2.5", "-1", "65536", "\"2\"", "null", "true", "1e300", "9007199254740993"] {
            assert!(read(&format!(r#"{{"small": {small}}}"#)).is_err(), "{small}");
        }
        for large in ["-1", "9007199254740992", "18446744073709551615"] {
            assert!(read(&format!(r#"{{"small": 1, "large": {large}}}"#)).is_err(), "{large}");
        }
    }
}
