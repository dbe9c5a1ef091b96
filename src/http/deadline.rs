//! `Cancel-After`: how long a client waits.
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};

use super::problem::{Code, Problem};
use crate::engine::{Engine, Permit};

const CANCEL_AFTER: HeaderName = HeaderName::from_static("cancel-after");

/// A place in the queue, for as long as the client says that it waits; `Cancel-After` is in seconds, with or without an `s`.
/// The server's own limit holds where it is shorter.
///
/// # Errors
/// A full queue, or a header that is no time.
pub fn admit(engine: &Engine, headers: &HeaderMap) -> Result<Permit, Problem> {
    let Some(value) = headers.get(CANCEL_AFTER) else {
        return Ok(engine.admit()?);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let secs = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    let limit = secs
        .filter(|secs| *secs > 0.0)
        .and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    let Some(limit) = limit else {
        let detail = "Cancel-After must be a number of seconds above 0, such as 15 or 1.5s.";
        return Err(Problem::new(Code::InvalidRequest, detail));
    };
    Ok(engine.admit()?.within(limit))
}
