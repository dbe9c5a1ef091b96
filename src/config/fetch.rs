//! Images by URL: from which hosts, and for how long.
use std::{str::FromStr, time::Duration};

use reqwest::Url;

use super::reader::Reader;

#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// Nothing is fetched where it is empty.
    pub allowed_hosts: Vec<HostPattern>,
    /// Of one image.
    pub timeout: Duration,
}

pub(super) fn fetch(read: &mut Reader) -> Fetch {
    let text = read.text("fetch.allowed_hosts").to_owned();
    let hosts = text.split([',', ' ']).filter(|host| !host.is_empty());
    let hosts: Result<Vec<_>, NoHost> = hosts.map(str::parse).collect();
    Fetch {
        allowed_hosts: hosts.unwrap_or_else(|NoHost| {
            let advice = "must be names of hosts such as images.example.org, images.example.org:8443 or *.example.org, separated by commas; no addresses";
            read.issue("fetch.allowed_hosts", advice);
            Vec::new()
        }),
        timeout: read.seconds("fetch.timeout_secs", 1),
    }
}

/// `host`, `host:port`, or `*.host` for every name below it; without a port it is 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    below: bool,
    port: u16,
}

const HTTPS: u16 = 443;

/// No host's name, or one with more than a port behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

impl FromStr for HostPattern {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        // as a URL's host is read: in lower case, and no address
        let url = Url::parse(&format!("https://{name}/")).map_err(|_| NoHost)?;
        let host = url.domain().ok_or(NoHost)?;
        let port = url.port_or_known_default().unwrap_or(HTTPS);
        let spellings = [host.to_owned(), format!("{host}:{port}")];
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut labels = host.split('.');
        let is_name = host.contains('.')
            && labels.all(|label| !label.is_empty() && label.bytes().all(plain))
            && spellings.contains(&name.to_ascii_lowercase());
        is_name
            .then(|| Self {
                host: host.to_owned(),
                below,
                port,
            })
            .ok_or(NoHost)
    }
}

impl HostPattern {
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let named = match self.below {
            false => host == self.host,
            true => host
                .strip_suffix(&self.host)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        };
        named && port == self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_and_match_no_other() {
        let exact: HostPattern = "Images.example.org".parse().unwrap();
        assert!(exact.matches("images.example.org", 443));
        for other in ["example.org", "a.images.example.org", "images.example.org."] {
            assert!(!exact.matches(other, 443), "{other}");
        }
        assert!(!exact.matches("images.example.org", 8443));
        let below: HostPattern = "*.example.org:8443".parse().unwrap();
        assert!(below.matches("a.example.org", 8443) && below.matches("a.b.example.org", 8443));
        for other in ["example.org", ".example.org", "badexample.org"] {
            assert!(!below.matches(other, 8443), "{other}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "a/b.org",
            "u@a.org",
            "a.org.",
            "https://a.org",
            "a.org:x",
            "a.org:",
            "*.*.org",
            "a..org",
        ] {
            assert_eq!(bad.parse::<HostPattern>(), Err(NoHost), "{bad}");
        }
    }
}
