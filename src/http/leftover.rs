//! The part of a body that a refused request has not sent yet.
//!
//! A server that answers and closes while a client still sends resets the connection, and the client never reads the answer.
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};
use hyper::body::{Frame, SizeHint};

/// How long a refused client may go on sending.
const PATIENCE: Duration = Duration::from_secs(2);

type Home = Arc<Mutex<Option<Body>>>;

/// A body that comes back when whoever reads it drops it early.
struct Lent {
    body: Body,
    home: Home,
}

/// Where a lent body comes back to.
pub struct Leftover(Home);

/// Lends a request's body to its handler.
pub fn lend(request: Request) -> (Request, Leftover) {
    // Such a client sends nothing until it is told to go on.
    let waits = request.headers().contains_key(header::EXPECT);
    let home = Home::default();
    let leftover = Leftover(home.clone());
    if waits || request.body().is_end_stream() {
        return (request, leftover);
    }
    (request.map(|body| Body::new(Lent { body, home })), leftover)
}

impl Leftover {
    /// Reads and forgets what was not read, for a short time.
    pub async fn discard(self) {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = body else { return };
        let rest = async {
            while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
        };
        // Whoever sends for longer gets the reset.
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        if !body.is_end_stream() {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
