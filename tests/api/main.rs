//! The HTTP service as a client sees it: a real server on a free port.
#![allow(clippy::unwrap_used)]
mod bad_fields;
mod bad_images;
mod fuzz;
mod health;
mod json;
mod multipart;
mod pictures;
mod protocol;
mod queue;
mod raw;
mod receipts;
mod stub;
mod support;
mod tiny;
