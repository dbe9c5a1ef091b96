//! The parts of a multipart body, as the fields of a form.
use std::borrow::Cow;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Multipart, Request},
    http::HeaderMap,
};

use super::form::{EditForm, FormLimits};
use crate::http::{
    fields::{Fields, clipped},
    json::Json,
    problem::{Code, FieldError, Problem},
};

/// More parts than a form has fields are a defect or an attack.
const MAX_PARTS: usize = 64;
/// Fields that a part writes as JSON text.
const JSON_FIELDS: [&str; 5] = ["n", "steps", "seed", "quality", "receipt"];

/// The parts of one body, in order.
pub struct Parts(Vec<(String, Bytes)>);

impl Parts {
    /// Splits a body that was read whole.
    pub async fn split(body: Bytes, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut request = Request::new(Body::from(body));
        request.headers_mut().clone_from(headers);
        let malformed = |what: String| {
            let detail = format!(
                "The body is not multipart/form-data: {what}. Let an HTTP library write it."
            );
            Problem::new(Code::MalformedMultipart, detail)
        };
        let multipart = Multipart::from_request(request, &()).await;
        let mut multipart = multipart.map_err(|error| malformed(error.body_text()))?;
        let mut parts = Vec::new();
        while let Some(part) = multipart
            .next_field()
            .await
            .map_err(|error| malformed(error.body_text()))?
        {
            if parts.len() == MAX_PARTS {
                return Err(malformed(format!("it has more than {MAX_PARTS} parts")));
            }
            let Some(name) = part.name().map(str::to_owned) else {
                return Err(malformed("a part has no name".to_owned()));
            };
            parts.push((
                name,
                part.bytes()
                    .await
                    .map_err(|error| malformed(error.body_text()))?,
            ));
        }
        Ok(Self(parts))
    }

    /// Reads the parts as fields.
    pub fn read(&self, limits: &FormLimits) -> Result<EditForm, Problem> {
        let is_image = |name: &str| name == "image" || name == "image[]";
        let (images, others): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|(name, _)| is_image(name));
        let mut errors = Vec::new();
        let mut entries = Vec::new();
        for (name, bytes) in others {
            match value(name, bytes) {
                Ok(value) => entries.push((Cow::Borrowed(name.as_str()), value)),
                Err(message) => {
                    errors.push(FieldError::new(format!("/{}", clipped(name)), message))
                }
            }
        }
        let mut fields = Fields::new("", entries);
        fields.errors = errors;
        let image = match images.as_slice() {
            [] => {
                fields.refuse("image", "is missing; add it as a file part");
                Vec::new()
            }
            [(_, bytes)] => bytes.to_vec(),
            several => {
                let message = format!("is given {} times; send exactly one image", several.len());
                fields.refuse("image", message);
                Vec::new()
            }
        };
        EditForm::read(fields, Some(image), limits)
    }
}

/// A part's text as the JSON value that it stands for.
fn value<'a>(name: &str, bytes: &'a [u8]) -> Result<Json<'a>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    if !JSON_FIELDS.contains(&name) {
        return Ok(Json::Text(Cow::Borrowed(text)));
    }
    match Json::parse(bytes) {
        Ok(value) => Ok(value),
        Err(error) if name == "receipt" => {
            Err(format!("is not JSON: {error}; send the receipt's own text"))
        }
        Err(_) => Ok(Json::Text(Cow::Borrowed(text))),
    }
}
