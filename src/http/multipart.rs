//! The parts of a multipart body, as fields.
use std::borrow::Cow;

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request},
    http::HeaderMap,
};

use super::{
    fields::{Fields, clipped},
    json::Json,
    problem::{Code, FieldError, Problem},
};

/// More parts than a form has fields are a defect or an attack.
const MAX_PARTS: usize = 64;
/// Of a form with a set of images.
const MAX_NAMED_PARTS: usize = 20_000;

/// How the parts of a form are read; all others are plain text.
#[derive(Debug)]
pub struct PartKinds {
    /// File parts; `name[]` is read as well.
    pub files: &'static [&'static str],
    /// Values that a part writes as JSON text.
    pub values: &'static [&'static str],
    /// Lists and objects that a part writes as JSON text.
    pub structures: &'static [&'static str],
}

/// One part with the name of its file.
#[derive(Debug)]
pub struct NamedPart {
    pub name: String,
    pub file_name: Option<String>,
    pub bytes: Bytes,
}

/// The parts of one body, in order.
pub struct Parts(Vec<(String, Bytes)>);

impl Parts {
    /// Splits a body that was read whole.
    pub async fn split(body: Bytes, headers: &HeaderMap) -> Result<Self, Problem> {
        let parts = split(body, headers, MAX_PARTS).await?.into_iter();
        Ok(Self(parts.map(|part| (part.name, part.bytes)).collect()))
    }

    /// The parts as fields.
    pub fn fields(&self, kinds: &PartKinds) -> Fields<'_> {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        let mut entries = Vec::new();
        for (name, bytes) in &self.0 {
            let file = name.strip_suffix("[]").unwrap_or(name);
            if kinds.files.contains(&file) {
                files.push((file, bytes));
                continue;
            }
            match value(name, bytes, kinds) {
                Ok(value) => entries.push((Cow::Borrowed(name.as_str()), value)),
                Err(message) => {
                    errors.push(FieldError::new(format!("/{}", clipped(name)), message))
                }
            }
        }
        let mut fields = Fields::new("", entries).with_files(files);
        fields.errors = errors;
        fields
    }
}

/// A part's text as the JSON value that it stands for.
fn value<'a>(name: &str, bytes: &'a [u8], kinds: &PartKinds) -> Result<Json<'a>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let structure = kinds.structures.contains(&name);
    if !structure && !kinds.values.contains(&name) {
        return Ok(Json::Text(Cow::Borrowed(text)));
    }
    match Json::parse(bytes) {
        Ok(value) => Ok(value),
        Err(error) if structure => Err(format!("is not JSON: {error}; send it as JSON text")),
        Err(_) => Ok(Json::Text(Cow::Borrowed(text))),
    }
}

/// The parts of a form with many files.
pub async fn named(body: Bytes, headers: &HeaderMap) -> Result<Vec<NamedPart>, Problem> {
    split(body, headers, MAX_NAMED_PARTS).await
}

async fn split(body: Bytes, headers: &HeaderMap, max: usize) -> Result<Vec<NamedPart>, Problem> {
    let mut request = Request::new(Body::from(body));
    request.headers_mut().clone_from(headers);
    // The body was read within its limit; axum's own, of 2 MB, is for bodies that were not.
    DefaultBodyLimit::disable().apply(&mut request);
    let malformed = |what: String| {
        let detail =
            format!("The body is not multipart/form-data: {what}. Let an HTTP library write it.");
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
        if parts.len() == max {
            return Err(malformed(format!("it has more than {max} parts")));
        }
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(malformed("a part has no name".to_owned()));
        };
        let file_name = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await;
        parts.push(NamedPart {
            name,
            file_name,
            bytes: bytes.map_err(|error| malformed(error.body_text()))?,
        });
    }
    Ok(parts)
}
