//! One look-up, one connection, one image.
use std::{
    error::Error,
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header, redirect,
};

use super::{FetchError, is_public};
use crate::config::{self, HostPattern};

/// Longest URL that is read, in bytes.
const MAX_URL_BYTES: usize = 2048;
const AGENT: &str = concat!("npedit/", env!("CARGO_PKG_VERSION"));

/// Addresses of a host, when they are known.
pub type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host.
pub trait Lookup: Send + Sync + 'static {
    fn addresses(&self, host: String) -> Found;
}

/// What a fetcher relies on.
#[derive(Clone)]
pub struct Ways {
    pub lookup: Arc<dyn Lookup>,
    /// Whether a connection may be opened to an address.
    pub may_connect: fn(IpAddr) -> bool,
    /// Trusted beside the system's own.
    pub roots: Vec<Certificate>,
}

impl Default for Ways {
    /// The system's own look-up and certificates, and public addresses alone.
    fn default() -> Self {
        Self {
            lookup: Arc::new(System),
            may_connect: is_public,
            roots: Vec::new(),
        }
    }
}

/// Fetches images; a cheap handle.
#[derive(Clone)]
pub struct Fetcher {
    /// `None` where nothing is fetched.
    client: Option<Client>,
    hosts: Arc<[HostPattern]>,
    timeout: Duration,
    max_bytes: usize,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// `max_bytes` is that of one image.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn new(settings: &config::Fetch, max_bytes: usize, ways: Ways) -> reqwest::Result<Self> {
        let client = match settings.allowed_hosts.is_empty() {
            true => None,
            false => Some(client(settings, ways)?),
        };
        Ok(Self {
            client,
            hosts: settings.allowed_hosts.clone().into(),
            timeout: settings.timeout,
            max_bytes,
        })
    }

    /// The bytes at `url`.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let client = self.client.as_ref().ok_or(FetchError::Disabled)?;
        let url = self.check(url)?;
        match tokio::time::timeout(self.timeout, self.read(client, url)).await {
            Ok(read) => read,
            Err(_) => Err(FetchError::TimedOut {
                secs: self.timeout.as_secs(),
            }),
        }
    }

    /// The URL, where one may ask for it.
    fn check(&self, url: &str) -> Result<Url, FetchError> {
        if url.len() > MAX_URL_BYTES {
            return Err(FetchError::Unreadable);
        }
        let url = Url::parse(url).map_err(|_| FetchError::Unreadable)?;
        if url.scheme() != "https" {
            return Err(FetchError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Credentials);
        }
        // an address in whatever spelling is no domain
        let host = url.domain().ok_or(FetchError::Host)?;
        let port = url.port_or_known_default().ok_or(FetchError::Host)?;
        match self.hosts.iter().any(|allowed| allowed.matches(host, port)) {
            true => Ok(url),
            false => Err(FetchError::Host),
        }
    }

    async fn read(&self, client: &Client, url: Url) -> Result<Vec<u8>, FetchError> {
        let request = client.get(url).header(header::ACCEPT, "image/*");
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(not_ok(&response));
        }
        let too_large = FetchError::TooLarge {
            max: self.max_bytes,
        };
        let announced = response.content_length().unwrap_or_default();
        if announced > self.max_bytes as u64 {
            return Err(too_large);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > self.max_bytes {
                return Err(too_large);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

fn client(settings: &config::Fetch, ways: Ways) -> reqwest::Result<Client> {
    let checked = Checked {
        lookup: ways.lookup,
        may_connect: ways.may_connect,
    };
    Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(AGENT)
        .connect_timeout(settings.timeout)
        .dns_resolver(Arc::new(checked))
        .tls_certs_merge(ways.roots)
        // a kept connection would outlive the check of its address
        .pool_max_idle_per_host(0)
        .build()
}

fn not_ok(response: &Response) -> FetchError {
    let status = response.status();
    let what = match status.is_redirection() {
        true => "its host redirects, which is not followed".to_owned(),
        false => format!("its host answers {}", status.as_u16()),
    };
    FetchError::Failed { what }
}

/// What failed, without what the network looks like from here.
fn failed(error: reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(source) = cause {
        if source.is::<NotPublic>() {
            return FetchError::Address;
        }
        cause = source.source();
    }
    tracing::debug!(error = %error.without_url(), "an image could not be fetched");
    let what = "no whole answer came from its host".to_owned();
    FetchError::Failed { what }
}

/// The host has an address that may not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("an address of the host is not public")]
struct NotPublic;

/// Looks a name up, and gives the connection only addresses that it may have.
struct Checked {
    lookup: Arc<dyn Lookup>,
    may_connect: fn(IpAddr) -> bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.addresses(name.as_str().to_owned());
        let may_connect = self.may_connect;
        Box::pin(async move {
            let addresses = found.await?;
            // one bad address among good ones is an attempt, not an accident
            if !addresses.iter().copied().all(may_connect) {
                return Err(NotPublic.into());
            }
            let addresses = addresses.into_iter();
            let addresses = addresses.map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// The system's own look-up.
struct System;

impl Lookup for System {
    fn addresses(&self, host: String) -> Found {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
