//! Images by URL: only from named hosts, only over TLS, and never from an address that is not public.
//!
//! The name is looked up once, every address that it has is checked, and the connection goes to one of those: whoever answers
//! another address later (DNS rebinding) is not asked again. Redirects are not followed, so nothing leads past the checks.
mod address;
mod client;
mod error;

pub use self::{
    address::is_public,
    client::{Fetcher, Found, Lookup, Ways},
    error::FetchError,
};
