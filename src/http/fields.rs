//! Reads the fields of an object strictly and reports everything that is wrong at once.
use std::{borrow::Cow, ops::RangeInclusive};

use axum::body::Bytes;

use super::{
    image_field::{ImageFieldError, ImageSource},
    json::Json,
    problem::{Code, FieldError, Problem},
};

/// Characters of a client's value that a message repeats.
const MAX_QUOTED: usize = 40;

/// Whether a field may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    Optional,
}

/// The fields of one object, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Fields<'a> {
    /// JSON pointer of the object; empty for the body.
    prefix: String,
    entries: Vec<(Cow<'a, str>, Json<'a>)>,
    /// The file parts, where the object is a multipart body.
    files: Option<Vec<(&'a str, &'a Bytes)>>,
    known: Vec<&'static str>,
    pub errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub fn new(prefix: impl Into<String>, entries: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        Self {
            prefix: prefix.into(),
            entries,
            files: None,
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The fields of a JSON body.
    ///
    /// # Errors
    /// The body is no JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, Problem> {
        let malformed = |what: String| {
            Problem::new(
                Code::MalformedJson,
                format!("The body is not a JSON object: {what}. Send one JSON object."),
            )
        };
        match Json::parse(body) {
            Ok(Json::Object(entries)) => Ok(Self::new("", entries)),
            Ok(other) => Err(malformed(format!("it is {}", other.type_name()))),
            Err(error) => Err(malformed(error.to_string())),
        }
    }

    /// The same fields with file parts beside them.
    pub fn with_files(self, files: Vec<(&'a str, &'a Bytes)>) -> Self {
        Self {
            files: Some(files),
            ..self
        }
    }

    /// Whether the fields came as multipart parts.
    pub fn are_parts(&self) -> bool {
        self.files.is_some()
    }

    /// JSON pointer of a field.
    pub fn pointer(&self, name: &str) -> String {
        pointer(&self.prefix, name)
    }

    /// Reports a field that cannot be used.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors
            .push(FieldError::new(self.pointer(name), message));
    }

    /// Whether a field has a value.
    pub fn has(&self, name: &str) -> bool {
        let given = |(key, value): &(Cow<str>, Json)| key == name && *value != Json::Null;
        self.entries.iter().any(given)
    }

    /// The value of a field; `null` is as if it were missing.
    pub fn take(&mut self, name: &'static str, need: Need) -> Option<Json<'a>> {
        self.known.push(name);
        let mut found = Vec::new();
        self.entries.retain_mut(|(key, value)| {
            let other = key != name;
            if !other {
                found.push(std::mem::replace(value, Json::Null));
            }
            other
        });
        if found.len() > 1 {
            self.refuse(name, "is given more than once; give it once");
            return None;
        }
        let value = found.pop().filter(|value| *value != Json::Null);
        // A value that could not even be read has its error already.
        let unread = self.pointer(name);
        let refused = self.errors.iter().any(|error| error.pointer == unread);
        if value.is_none() && need == Need::Required && !refused {
            self.refuse(name, "is missing; add it");
        }
        value
    }

    pub fn text(&mut self, name: &'static str, need: Need) -> Option<Cow<'a, str>> {
        match self.take(name, need)? {
            Json::Text(text) => Some(text),
            other => {
                self.refuse(name, format!("must be a string, not {}", other.type_name()));
                None
            }
        }
    }

    pub fn boolean(&mut self, name: &'static str, need: Need) -> Option<bool> {
        match self.take(name, need)? {
            Json::Bool(value) => Some(value),
            other => {
                let message = format!("must be true or false, not {}", quoted(&other));
                self.refuse(name, message);
                None
            }
        }
    }

    pub fn list(&mut self, name: &'static str, need: Need) -> Option<Vec<Json<'a>>> {
        match self.take(name, need)? {
            Json::List(items) => Some(items),
            other => {
                self.refuse(name, format!("must be an array, not {}", other.type_name()));
                None
            }
        }
    }

    /// The file parts of a name, in order; none where the fields are no parts.
    pub fn files(&mut self, name: &'static str) -> Vec<Vec<u8>> {
        self.known.push(name);
        let parts = self.files.iter().flatten();
        let named = parts.filter(|(part, _)| *part == name);
        named.map(|(_, bytes)| bytes.to_vec()).collect()
    }

    /// The bytes of a required image: base64 in JSON, a file part in a multipart body.
    pub fn image(&mut self, name: &'static str) -> Option<Vec<u8>> {
        match self.image_source(name)? {
            ImageSource::Bytes(bytes) => Some(bytes),
            ImageSource::Url(_) => {
                self.refuse(name, ImageFieldError::Url.to_string());
                None
            }
        }
    }

    /// A required image as [`Self::image`] has it; in JSON it may be a URL as well.
    pub fn image_source(&mut self, name: &'static str) -> Option<ImageSource> {
        let Some(files) = &self.files else {
            let text = self.text(name, Need::Required)?;
            let source = ImageSource::of_text(&text);
            return source
                .map_err(|error| self.refuse(name, error.to_string()))
                .ok();
        };
        self.known.push(name);
        let mut given = files.iter().filter(|(part, _)| *part == name);
        match (given.next(), given.count()) {
            (Some((_, bytes)), 0) => Some(ImageSource::Bytes(bytes.to_vec())),
            (None, _) => {
                self.refuse(name, "is missing; add it as a file part");
                None
            }
            (Some(_), more) => {
                let message = format!("is given {} times; send exactly one image", more + 1);
                self.refuse(name, message);
                None
            }
        }
    }

    pub fn integer(
        &mut self,
        name: &'static str,
        need: Need,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(name, need)?;
        // 2.0 is a whole number in JSON, which knows no integers.
        let whole = match &value {
            Json::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
            _ => None,
        };
        let fits = whole.filter(|whole| range.contains(whole));
        if fits.is_none() {
            let (start, end) = (range.start(), range.end());
            self.refuse(
                name,
                format!(
                    "must be a whole number from {start} to {end}, not {}",
                    quoted(&value)
                ),
            );
        }
        fits
    }

    pub fn number(
        &mut self,
        name: &'static str,
        need: Need,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let value = self.take(name, need)?;
        let number = match &value {
            Json::Number(number) => number.as_f64(),
            _ => None,
        };
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            let (start, end) = (range.start(), range.end());
            self.refuse(
                name,
                format!(
                    "must be a number from {start} to {end}, not {}",
                    quoted(&value)
                ),
            );
        }
        fits
    }

    /// One of a few names.
    pub fn name(
        &mut self,
        name: &'static str,
        need: Need,
        names: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text(name, need)?;
        let known = names.iter().find(|known| **known == text).copied();
        if known.is_none() {
            let message = format!(
                "must be one of {}, not {:?}",
                names.join(", "),
                clipped(&text)
            );
            self.refuse(name, message);
        }
        known
    }

    /// The end: everything that was not taken is unknown.
    ///
    /// # Errors
    /// Everything that is wrong with the object.
    pub fn finish(mut self) -> Result<(), Vec<FieldError>> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.entries) {
            let message = format!("is not a field here; the fields are {known}");
            self.refuse(&clipped(&name), message);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }
}

/// Doubles above this are no longer exact whole numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

fn whole(value: f64) -> Option<u64> {
    (value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&value)).then_some(value as u64)
}

/// JSON pointer of a member (RFC 6901).
pub fn pointer(prefix: &str, name: &str) -> String {
    format!("{prefix}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A client's value as a message repeats it.
pub fn quoted(value: &Json) -> String {
    match value {
        Json::Number(number) => number.to_string(),
        Json::Text(text) => format!("{:?}", clipped(text)),
        Json::Bool(value) => value.to_string(),
        Json::Null | Json::List(_) | Json::Object(_) => value.type_name().to_owned(),
    }
}

/// The start of a client's text.
pub fn clipped(text: &str) -> String {
    if text.chars().count() <= MAX_QUOTED {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_QUOTED).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields<'_> {
        match Json::parse(json.as_bytes()).unwrap() {
            Json::Object(entries) => Fields::new("", entries),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_problem_is_reported_with_its_pointer() {
        let mut fields =
            fields(r#"{"n": 0, "steps": 2.5, "size": 3, "n/m~": 1, "seed": 1, "seed": 2}"#);
        assert_eq!(fields.integer("n", Need::Optional, 1..=4), None);
        assert_eq!(fields.integer("steps", Need::Optional, 1..=8), None);
        assert_eq!(fields.integer("seed", Need::Optional, 0..=9), None);
        assert_eq!(fields.text("size", Need::Optional), None);
        assert_eq!(fields.text("image", Need::Required), None);
        let errors = fields.finish().unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/n", "/steps", "/seed", "/size", "/image", "/n~1m~0"]
        );
        assert_eq!(
            errors[1].message,
            "must be a whole number from 1 to 8, not 2.5"
        );
    }

    #[test]
    fn null_is_missing_and_whole_doubles_are_whole() {
        let mut fields =
            fields(r#"{"n": null, "steps": 2.0, "seed": 1e300, "big": 18446744073709551616}"#);
        assert_eq!(fields.integer("n", Need::Optional, 1..=4), None);
        assert_eq!(fields.integer("steps", Need::Optional, 1..=8), Some(2));
        assert_eq!(fields.integer("seed", Need::Optional, 0..=9), None);
        assert_eq!(fields.integer("big", Need::Optional, 0..=9), None);
        assert_eq!(fields.finish().unwrap_err().len(), 2);
    }

    #[test]
    fn a_clients_text_is_not_repeated_at_length() {
        let text = "\u{e9}".repeat(1000);
        assert_eq!(clipped(&text).chars().count(), MAX_QUOTED + 3);
    }
}
