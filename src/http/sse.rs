//! Events of work that runs while its client listens.
use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    problem::{Code, Problem},
    request_id::RequestId,
};

/// Comments in between keep proxies from closing an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Events that wait for a slow client; then the work waits too.
const AHEAD: usize = 16;
/// Keeps nginx from holding events back.
const NO_BUFFERING: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Where work puts its events.
pub type Events = mpsc::Sender<Event>;

/// Streams what `work` sends, and ends with it. A client that leaves drops the work.
pub fn respond<W>(work: impl FnOnce(Events) -> W) -> Response
where
    W: Future<Output = ()> + Send + 'static,
{
    let (events, mut received) = mpsc::channel(AHEAD);
    let work = work(events.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = events.closed() => {}
        }
    });
    let stream = stream::poll_fn(move |context| {
        let next = received.poll_recv(context);
        next.map(|event| event.map(Ok::<_, Infallible>))
    });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    ([NO_BUFFERING], Sse::new(stream).keep_alive(alive)).into_response()
}

/// An event whose data is one line of JSON.
pub fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name).json_data(data);
    event.expect("plain structs of numbers and strings serialise")
}

/// The last event of work that failed after its first answer line was out: it has the body that a refusal has.
pub fn failure(problem: &Problem, RequestId(id): &RequestId) -> Event {
    if problem.code() == Code::Internal {
        let cause = problem.cause_chain();
        tracing::error!(request.id = id, cause, "failed while it streamed");
    }
    event("error", &problem.body(id))
}
