//! `npedit health`: asks a running service how it is, as the health check of an image without shell and curl does.
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::Args;

use super::{args::SettingsArgs, error::CliError};
use crate::config::{Config, Setting};

/// A healthy service answers within milliseconds, also while it edits.
const PATIENCE: Duration = Duration::from_secs(2);
/// A status line is far shorter.
const LONGEST_LINE: u64 = 256;

#[derive(Debug, Args)]
#[command(after_help = "\
Asks the address that the settings name, on this machine. Exit code 0: ready. 1: not ready, or nothing listens there.
Example:
  npedit health --port 8080")]
pub(super) struct HealthArgs {
    /// Port of the service
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Why the service does not count as ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unready {
    #[error(
        "nothing answers at {address}: {source}; start the service, or name its port with --port"
    )]
    Unreachable {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("{address} answers {status:?}; it still loads, or stops: wait, or read its log")]
    Answered { address: SocketAddr, status: String },
}

pub(super) fn run(args: &HealthArgs) -> Result<(), CliError> {
    let given = args.settings.given().flag(
        "server.port",
        args.port.map(|port| Setting::Integer(port.into())),
        "--port",
    );
    let server = Config::load(&given)?.config.server;
    let address = SocketAddr::new(reachable(server.host), server.port);
    let status = asked(address).map_err(|source| Unready::Unreachable { address, source })?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(Unready::Answered { address, status }.into()),
    }
}

/// Where a service that listens on `host` is reached from its own machine.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

/// The status line of `GET /health/ready`.
fn asked(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut status = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut status)?;
    Ok(status.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_host_is_asked_on_loopback() {
        for (host, asked) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "::1"),
            ("127.0.0.2", "127.0.0.2"),
        ] {
            let host: IpAddr = host.parse().unwrap();
            assert_eq!(reachable(host).to_string(), asked);
        }
    }
}
