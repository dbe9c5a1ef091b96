//! A body on its way to the fields of a form.
use axum::{extract::Request, http::HeaderMap};

use super::{
    body::{self, BodyLimits, MediaType, Received},
    fields::Fields,
    multipart::{NamedPart, PartKinds, Parts, named},
    problem::Problem,
};
use crate::engine::Engine;

/// A body that was received whole.
#[derive(Debug)]
pub struct Upload {
    media_type: MediaType,
    body: Received,
    headers: HeaderMap,
}

impl Upload {
    /// # Errors
    /// Of another media type, or not to be had whole within the limits.
    pub async fn receive(request: Request, limits: &BodyLimits) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let media_type = body::media_type(&headers)?;
        Ok(Self {
            media_type,
            body: body::read(request, limits).await?,
            headers,
        })
    }

    pub fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// The parts of a multipart body, with the names of their files.
    ///
    /// # Errors
    /// The body is no multipart form.
    pub async fn named_parts(self) -> Result<Vec<NamedPart>, Problem> {
        named(self.body.bytes.clone(), &self.headers).await
    }

    /// Reads the body with `read`, beside the async threads.
    ///
    /// # Errors
    /// The body is not what its media type says, or what `read` refuses.
    pub async fn read<T: Send + 'static>(
        self,
        engine: &Engine,
        kinds: &'static PartKinds,
        read: impl FnOnce(Fields) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        match self.media_type {
            MediaType::Json => {
                let body = self.body;
                let parsed = move || read(Fields::of_body(&body.bytes)?);
                engine.blocking(parsed).await?
            }
            MediaType::Multipart => {
                let parts = Parts::split(self.body.bytes.clone(), &self.headers).await?;
                let held = self.body;
                let parsed = move || {
                    let form = read(parts.fields(kinds));
                    drop(held);
                    form
                };
                engine.blocking(parsed).await?
            }
        }
    }
}
