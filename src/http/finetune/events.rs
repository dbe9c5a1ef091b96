//! `GET /v1/finetune/{id}/events`: what happens to a job, while it happens.
use std::{
    collections::VecDeque,
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::watch;

use super::seen;
use crate::{
    access::Caller,
    http::{
        HttpState,
        problem::{Code, FieldError, JobProblem, Problem},
    },
    jobs::{JobEvent, Jobs},
};

/// How often new events are looked for.
const LOOK: Duration = Duration::from_millis(250);
const LAST_EVENT_ID: &str = "last-event-id";

/// What happened to the job, and what happens until it ends.
///
/// As server-sent events where `Accept` asks for `text/event-stream`, each with its number as `id`; as JSON lines otherwise.
/// `Last-Event-ID` goes on after that number. The answer ends with the job, when the server stops, and when nothing happened for
/// `finetune.events_idle_secs` (300): ask again with the last number.
#[utoipa::path(
    get,
    path = "/v1/finetune/{id}/events",
    tag = "finetune",
    params(
        ("id" = String, Path, description = "Id of the job."),
        ("last-event-id" = Option<i64>, Header, description = "Number of the last event that was seen."),
    ),
    responses(
        (status = 200, description = "`seq`, `at` (milliseconds since 1970), `kind` and `data` of every event.",
            content((String = "application/x-ndjson"), (String = "text/event-stream"))),
        JobProblem,
    ),
)]
pub async fn events(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    seen(&state, &caller, &id).await?;
    let after = match headers.get(LAST_EVENT_ID).map(|value| value.to_str()) {
        None => 0,
        Some(text) => text
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                let error = FieldError::new("/last-event-id", "must be the number of an event");
                Problem::fields(Code::InvalidRequest, vec![error])
            })?,
    };
    let told = told(state.jobs.clone(), id, after);
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/event-stream")) {
        let events = told.map(|event| {
            let sent = Event::default().id(event.seq.to_string());
            let sent = sent.event(&event.kind).data(line(&event));
            Ok::<_, Infallible>(sent)
        });
        let mut response = Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response();
        response.headers_mut().insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        return Ok(response);
    }
    let lines = told.map(|event| Ok::<_, Infallible>(Bytes::from(format!("{}\n", line(&event)))));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(event: &JobEvent) -> String {
    let JobEvent {
        seq,
        at,
        kind,
        data,
    } = event;
    json!({"seq": seq, "at": at, "kind": kind, "data": data}).to_string()
}

/// Where a client is in the events.
struct Place {
    jobs: Jobs,
    id: String,
    after: i64,
    ready: VecDeque<JobEvent>,
    /// When the last event was there.
    heard: Instant,
    stopping: watch::Receiver<bool>,
}

impl Place {
    /// The next event; none at the end of the job or of the server, after too long without one, or while storage is away.
    async fn next(&mut self) -> Option<JobEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = event.seq;
                return Some(event);
            }
            // in this order: the last event is written together with the end
            let job = self.jobs.queue.job(&self.id).await.ok()?;
            let events = self.jobs.queue.events(&self.id, self.after).await.ok()?;
            self.ready = events.into();
            if !self.ready.is_empty() {
                self.heard = Instant::now();
                continue;
            }
            let idle = self.heard.elapsed() >= self.jobs.settings.events_idle;
            if job.status.is_final() || idle || *self.stopping.borrow() {
                return None;
            }
            let _ = tokio::time::timeout(LOOK, self.stopping.changed()).await;
        }
    }
}

fn told(jobs: Jobs, id: String, after: i64) -> impl Stream<Item = JobEvent> {
    let place = Place {
        stopping: jobs.stopping(),
        jobs,
        id,
        after,
        ready: VecDeque::new(),
        heard: Instant::now(),
    };
    stream::unfold(place, |mut place| async {
        let event = place.next().await?;
        Some((event, place))
    })
}
