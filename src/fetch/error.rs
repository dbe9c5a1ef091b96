//! Why an image was not fetched.

/// Every message says what to do next, and none where the name led.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("is a URL, and this server fetches none; send the image's bytes as base64")]
    Disabled,
    #[error(
        "is no URL that can be read; write https://host/path, or send the image's bytes as base64"
    )]
    Unreadable,
    #[error("is not https; use an https URL, or send the image's bytes as base64")]
    NotHttps,
    #[error("names a user or a password; put neither in a URL")]
    Credentials,
    #[error(
        "is on a host that this server does not ask; send the image's bytes as base64, or ask the operator to add the host (fetch.allowed_hosts)"
    )]
    Host,
    #[error("is on a host whose address is not public; send the image's bytes as base64")]
    Address,
    #[error("could not be fetched: {what}; check the URL, or send the image's bytes as base64")]
    Failed { what: String },
    #[error("did not arrive within {secs} s; try again, or send the image's bytes as base64")]
    TimedOut { secs: u64 },
    #[error("is larger than {max} bytes; use a smaller image")]
    TooLarge { max: usize },
}
