//! JSON as it was sent: duplicate keys kept, long texts borrowed, a bounded number of values.
use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Values of one body at most: a body of `[0,0,..` would otherwise cost many times its size.
const MAX_VALUES: u32 = 4096;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// # Errors
    /// Not JSON, more than one value, nested too deeply, or too many values.
    pub fn parse(bytes: &'a [u8]) -> serde_json::Result<Self> {
        let left = Cell::new(MAX_VALUES);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Budget(&left).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// Name of the JSON type, with its article.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Parses one value and charges it, and everything in it, to the body's budget.
#[derive(Clone, Copy)]
struct Budget<'b>(&'b Cell<u32>);

impl<'de> DeserializeSeed<'de> for Budget<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => return Err(D::Error::custom(format!("more than {MAX_VALUES} values"))),
        }
        deserializer.deserialize_any(self)
    }
}

/// A text, borrowed where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de> Visitor<'de> for Budget<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        let number = Number::from_f64(value);
        number
            .map(Json::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Text.visit_borrowed_str(text).map(Json::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Text.visit_str(text).map(Json::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(name) = entries.next_key_seed(Text)? {
            object.push((name, entries.next_value_seed(self)?));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_borrowed_and_duplicates_kept() {
        let parsed =
            Json::parse(br#"{"a": "xyz", "a": "\n", "b": [null, true, -1, 2.5]}"#).unwrap();
        let Json::Object(entries) = parsed else {
            panic!()
        };
        assert!(matches!(
            &entries[0],
            (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("xyz")))
        ));
        assert_eq!(
            entries[1],
            (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("\n")))
        );
        let list = [
            Json::Null,
            Json::Bool(true),
            Json::Number((-1).into()),
            Json::Number(Number::from_f64(2.5).unwrap()),
        ];
        assert_eq!(entries[2].1, Json::List(list.to_vec()));
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for bad in [
            "",
            "{",
            "{} {}",
            "NaN",
            "Infinity",
            "1e999",
            "{\"a\":}",
            "'a'",
            "\u{feff}{}",
        ] {
            assert!(Json::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn bodies_that_would_cost_many_times_their_size_are_refused() {
        let many = format!("[{}0]", "0,".repeat(5000));
        assert!(
            Json::parse(many.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("more than 4096")
        );
        let deep = "[".repeat(100_000);
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
