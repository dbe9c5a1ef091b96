//! The vision-language model that is asked about rows of sets.
use std::{path::PathBuf, time::Duration};

use reqwest::Url;

use super::reader::Reader;

/// Where the model is, and how long and how often it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Captions {
    /// Of its chat completions.
    pub url: Url,
    pub model: String,
    /// A file with its API key alone.
    pub api_key_file: Option<PathBuf>,
    /// Of one request.
    pub timeout: Duration,
    /// Further tries of one request.
    pub max_retries: u32,
    /// Rows, of all sets, that are asked about at once.
    pub max_concurrent: usize,
    /// Longest wait of one set.
    pub max_wait: Duration,
}

/// None where no model is asked.
pub(super) fn captions(read: &mut Reader) -> Option<Captions> {
    let timeout = read.seconds("captions.timeout_secs", 1);
    let max_retries = read.integer("captions.max_retries", 0..=10);
    let max_concurrent = read.integer("captions.max_concurrent", 1..=256);
    let max_wait = read.seconds("captions.max_wait_secs", 1);
    let base = read.optional_text("captions.base_url")?;
    let model = read.optional_text("captions.model");
    if model.is_none() {
        let advice = "must name a model of captions.base_url, as GET /models there lists them";
        read.issue("captions.model", advice);
    }
    let url = chat_completions(&base);
    if url.is_none() {
        // it may hold a key
        let advice = "must be http(s)://HOST[:PORT][/PATH] without a user, a password or a query, such as http://127.0.0.1:11434/v1; a key goes into captions.api_key_file";
        read.silent_issue("captions.base_url", advice);
    }
    Some(Captions {
        url: url?,
        model: model?,
        api_key_file: read.optional_text("captions.api_key_file").map(Into::into),
        timeout,
        max_retries,
        max_concurrent,
        max_wait,
    })
}

fn chat_completions(base: &str) -> Option<Url> {
    let base = Url::parse(base).ok()?;
    let plain = ["http", "https"].contains(&base.scheme())
        && base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    let base = plain.then(|| base.as_str().trim_end_matches('/'))?;
    Url::parse(&format!("{base}/chat/completions")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_a_plain_one() {
        for base in ["http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"] {
            let url = chat_completions(base).unwrap();
            assert_eq!(url.as_str(), "http://127.0.0.1:11434/v1/chat/completions");
        }
        let bare = chat_completions("https://models.example.org").unwrap();
        assert_eq!(bare.path(), "/chat/completions");
        for bad in [
            "127.0.0.1:11434/v1",
            "ftp://a.org/v1",
            "https://user@a.org/v1",
            "https://:key@a.org/v1",
            "https://a.org/v1?key=k",
            "https://a.org/v1#k",
            "v1",
        ] {
            assert_eq!(chat_completions(bad), None, "{bad}");
        }
    }
}
