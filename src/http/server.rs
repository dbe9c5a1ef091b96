//! Serves the routes on a listener, with bounds on slow clients, until told to stop.
use std::{future::Future, io, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::config::Server;

/// A head is small: who needs longer for it holds the connection on purpose.
const MAX_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, so that a lack of file handles is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` is done, then lets running requests finish for at most the grace time.
///
/// axum's own server has no bound on the time of a request's head; hyper has.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Server,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(settings.request_timeout.min(MAX_HEADER_TIMEOUT));
    // Every connection holds a receiver: it hears of the stop, and its end is seen.
    let (stopping, connections) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(
                    http.clone(),
                    stream,
                    router.clone(),
                    connections.clone(),
                ));
            }
            Err(error) => accept_failed(&error).await,
        }
    }
    drop((listener, connections));
    stopping.send_replace(());
    if tokio::time::timeout(settings.shutdown_grace, stopping.closed())
        .await
        .is_err()
    {
        tracing::warn!("the grace time is over; requests that still run are dropped");
    }
}

/// Serves one connection until the client closes it, or until the stop and the end of its running request.
async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    // Without it small answers wait for the client's acknowledgement; it fails only on a closed socket.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
