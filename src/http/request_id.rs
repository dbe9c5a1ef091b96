//! The id of a request, for handlers whose answer outlives the first line of it.
use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

/// As it stands in `x-request-id`.
#[derive(Clone, Debug, Default)]
pub struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
