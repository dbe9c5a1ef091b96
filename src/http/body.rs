//! Reads a body whole, under a size and a time.
use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};

/// Bodies of the largest size that may be held at once; smaller ones may be more.
const BODIES_AT_ONCE: usize = 4;

/// What a body is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Json,
    Multipart,
}

/// What bounds the bodies.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    pub max_bytes: usize,
    pub timeout: Duration,
    /// Bytes of all bodies that are being read or parsed.
    budget: Arc<Semaphore>,
}

impl BodyLimits {
    pub fn new(max_bytes: usize, timeout: Duration) -> Self {
        let budget = max_bytes
            .saturating_mul(BODIES_AT_ONCE)
            .min(Semaphore::MAX_PERMITS);
        Self {
            max_bytes,
            timeout,
            budget: Arc::new(Semaphore::new(budget)),
        }
    }
}

/// The bytes of a body, with their share of the budget.
#[derive(Debug)]
pub struct Received {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// The media type of a body, before any of it is read.
///
/// # Errors
/// Absent, another type, or compressed.
pub fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let unsupported = |detail: String| Err(Problem::new(Code::UnsupportedMediaType, detail));
    let encoding = text(headers.get(header::CONTENT_ENCODING));
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return unsupported("The body has a Content-Encoding; send it without.".into());
    }
    let content_type = text(headers.get(header::CONTENT_TYPE));
    let name = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match name.as_str() {
        "application/json" => Ok(MediaType::Json),
        "multipart/form-data" => Ok(MediaType::Multipart),
        "" => unsupported(
            "The body has no Content-Type; send application/json or multipart/form-data.".into(),
        ),
        _ => unsupported("Send the body as application/json or multipart/form-data.".into()),
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    // A value that is not ASCII is no media type: it is refused as an unknown one.
    value
        .map_or("", |value| value.to_str().unwrap_or("?"))
        .trim()
}

/// The body's bytes.
///
/// # Errors
/// Over the size, over the time, ended by the client, or too much at once.
pub async fn read(request: Request, limits: &BodyLimits) -> Result<Received, Problem> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limits.max_bytes as u64) {
        return Err(too_large(limits));
    }
    match tokio::time::timeout(limits.timeout, collect(body, limits)).await {
        Ok(result) => result,
        Err(_) => {
            let secs = limits.timeout.as_secs_f64();
            let detail = format!(
                "The body did not arrive within {secs} s; send it faster, or send a smaller image."
            );
            Err(Problem::new(Code::RequestTimeout, detail))
        }
    }
}

async fn collect(mut body: Body, limits: &BodyLimits) -> Result<Received, Problem> {
    let mut bytes = Vec::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| {
            Problem::new(
                Code::BodyInterrupted,
                "The body ended before its announced end; send it again.",
            )
        })?;
        // Trailers carry nothing that is read here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limits.max_bytes {
            return Err(too_large(limits));
        }
        let more = reserve(limits, data.len())?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: bytes.into(),
        _share: share,
    })
}

fn reserve(limits: &BodyLimits, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let count = u32::try_from(bytes).unwrap_or(u32::MAX);
    limits
        .budget
        .clone()
        .try_acquire_many_owned(count)
        .map_err(|_| {
            let detail = "Too many large requests arrive at once; send this one again in a second.";
            Problem::new(Code::Overloaded, detail).retry_after(1)
        })
}

fn too_large(limits: &BodyLimits) -> Problem {
    let max = limits.max_bytes;
    Problem::new(
        Code::RequestTooLarge,
        format!(
            "The body is over the limit of {max} bytes; send a smaller image (server.max_body_bytes sets the limit)."
        ),
    )
}
