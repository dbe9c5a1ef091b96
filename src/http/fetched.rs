//! Images that requests name by URL.
use super::{
    HttpState,
    image_field::ImageSource,
    problem::{Code, FieldError, Problem},
};
use crate::fetch::FetchError;

/// The bytes of an image whose pointer is `at`.
///
/// # Errors
/// A URL that is not fetched, or that nothing usable comes from.
pub async fn fetched(state: &HttpState, image: ImageSource, at: &str) -> Result<Vec<u8>, Problem> {
    match image {
        ImageSource::Bytes(bytes) => Ok(bytes),
        ImageSource::Url(url) => {
            let fetched = state.fetcher.fetch(&url).await;
            fetched.map_err(|error| problem(&error, at))
        }
    }
}

fn problem(error: &FetchError, at: &str) -> Problem {
    let code = match error {
        FetchError::Disabled
        | FetchError::Unreadable
        | FetchError::NotHttps
        | FetchError::Credentials
        | FetchError::Host
        | FetchError::Address => Code::ImageUrlRefused,
        FetchError::Failed { .. } | FetchError::TimedOut { .. } => Code::ImageUrlFailed,
        FetchError::TooLarge { .. } => Code::ImageTooLarge,
    };
    Problem::fields(code, vec![FieldError::new(at, error.to_string())])
}
