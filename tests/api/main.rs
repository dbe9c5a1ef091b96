//! The HTTP service as a client sees it: a real server on a free port.
#![allow(clippy::unwrap_used)]
mod adapters;
mod bad_fields;
mod bad_images;
mod best_of;
mod finetune;
mod fuzz;
mod health;
mod images;
mod json;
mod judge;
mod later;
mod multipart;
mod operations;
mod pictures;
mod protocol;
mod queue;
mod raw;
mod receipts;
mod score_fields;
mod score_queue;
mod stub;
mod support;
mod tiny;
