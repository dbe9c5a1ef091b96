//! `GET /metrics`.
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{HttpState, edit::device_name, problem::AnyProblem};
use crate::{engine::Profile, telemetry::metrics::render};

/// Prometheus' text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What Prometheus collects.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "Prometheus' text format 0.0.4.", body = String, content_type = "text/plain"), AnyProblem),
)]
pub async fn metrics(State(state): State<HttpState>) -> Response {
    let profile = state.engine.profile().ok();
    let ready = profile.is_some() && !state.draining();
    metrics::gauge!("ready").set(f64::from(u8::from(ready)));
    if let Some(profile) = profile {
        info(&profile);
    }
    ([(header::CONTENT_TYPE, TEXT)], render()).into_response()
}

fn info(profile: &Profile) {
    let identity = &profile.identity;
    let judge = profile.judge.as_ref();
    let models = std::iter::once(("editor", &identity.name, &identity.sha256));
    let judges = judge.map(|judge| ("judge", &judge.identity.name, &judge.identity.sha256));
    for (role, name, sha256) in models.chain(judges) {
        let labels = [
            ("role", role.to_owned()),
            ("name", name.clone()),
            ("sha256", sha256.clone()),
            ("device", device_name(identity.device).to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        metrics::gauge!("model_info", &labels).set(1.0);
    }
}
