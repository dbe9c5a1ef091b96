//! `npedit openapi`: the description of the HTTP API.
use std::io::{self, Write};

use super::error::CliError;
use crate::http;

/// Prints what openapi/npedit.json holds.
pub(super) fn run() -> Result<(), CliError> {
    let text = http::document()
        .to_pretty_json()
        .expect("the description is plain data");
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)
}
