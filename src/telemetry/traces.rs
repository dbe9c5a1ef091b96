//! Traces for an OpenTelemetry collector: a span for each request, with its stages below it. Off unless an endpoint is set; every
//! call here then costs next to nothing.
use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, KeyValue, global,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};

const SERVICE: &str = "npedit";
/// Where collectors take traces over HTTP, below their address.
const PATH: &str = "v1/traces";

/// Sends what is left when it goes away.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// A collector that cannot be sent to.
#[derive(Debug, thiserror::Error)]
#[error(
    "traces cannot be exported: {0}; traces.otlp_endpoint must be a collector's http://HOST:PORT"
)]
pub struct TracesError(#[from] ExporterBuildError);

impl Traces {
    /// Sends traces to the collector at `endpoint`, as OTLP over HTTP, in batches and from a thread of its own.
    ///
    /// # Errors
    /// The endpoint is no URL.
    pub fn export(endpoint: &str) -> Result<Self, TracesError> {
        let url = format!("{}/{PATH}", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(provider))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent; look whether the collector is up");
        }
    }
}

/// Begins the span of a request, in the trace that its headers name.
pub fn request(method: &str, route: &str, headers: &dyn Extractor) -> Context {
    let parent = TraceContextPropagator::new().extract(headers);
    let span = global::tracer(SERVICE)
        .span_builder(format!("{method} {route}"))
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
        ]);
    let span = span.start_with_context(&global::tracer(SERVICE), &parent);
    parent.with_span(span)
}

/// Ends the span of a request; a server's failure is one.
pub fn answered(request: &Context, id: &str, status: &str) {
    let span = request.span();
    let code: i64 = status.parse().unwrap_or_default();
    span.set_attribute(KeyValue::new("http.response.status_code", code));
    span.set_attribute(KeyValue::new("npedit.request_id", id.to_owned()));
    if code >= 500 {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Spans of stages that ran one after the other and have just ended, below the request that is being answered.
pub fn stages(stages: &[(&'static str, Duration)]) {
    let request = Context::current();
    if !request.span().span_context().is_sampled() {
        return;
    }
    let tracer = global::tracer(SERVICE);
    let all: Duration = stages.iter().map(|(_, time)| *time).sum();
    let mut at = SystemTime::now() - all;
    for (name, time) in stages {
        let span = tracer.span_builder(*name).with_start_time(at);
        at += *time;
        let mut span = span.start_with_context(&tracer, &request);
        opentelemetry::trace::Span::end_with_timestamp(&mut span, at);
    }
}
