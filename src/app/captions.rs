//! The model that is asked about rows of sets.
use std::fs;

use super::AppError;
use crate::{config::Config, jobs::captions::Captioner};

/// The API key, where no file has it. A setting would be shown by `npedit config show`.
const KEY: &str = "NPEDIT_CAPTIONS_API_KEY";

/// Whoever asks it; none where none is configured. No connection is opened yet.
///
/// # Errors
/// The API key cannot be read or used.
pub fn captioner(config: &Config) -> Result<Option<Captioner>, AppError> {
    let Some(settings) = &config.captions else {
        return Ok(None);
    };
    let key = match &settings.api_key_file {
        None => std::env::var(KEY).ok().filter(|key| !key.is_empty()),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|source| AppError::CaptionKey {
                path: path.clone(),
                source,
            })?;
            Some(text)
        }
    };
    let captioner = Captioner::new(settings, key.as_deref(), (&config.images).into());
    let captioner = captioner.map_err(|source| AppError::Captions { source })?;
    Ok(Some(captioner))
}
