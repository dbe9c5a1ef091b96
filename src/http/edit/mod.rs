//! `POST /v1/edit`.
mod answer;
mod form;
mod image_field;
mod multipart;
mod plan;
mod receipt;
mod receipt_body;
mod receipt_form;

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};

use answer::{Clock, EditAnswer, RawImage};
use form::{EditForm, EditMultipart};
use multipart::Parts;
use plan::Plan;
use receipt_body::ReceiptBody;

pub use form::FormLimits;
pub use plan::Defaults;
pub use receipt::device_name;
pub use receipt_body::Dtypes;

use super::{
    HttpState,
    accept::{Accept, Wanted},
    body::{self, MediaType, Received},
    problem::{Code, EditProblem, FieldError, Problem},
};
use crate::engine::OutputFormat;

/// Edits one image by an instruction.
///
/// Answers JSON, or with `Accept: image/png`, `image/jpeg` or `image/webp` the bytes of the one image, with the rest in `x-edit-*`
/// headers. A receipt sent back with the same image gives the same bytes.
#[utoipa::path(
    post,
    path = "/v1/edit",
    tag = "edit",
    request_body(content(
        (EditForm = "application/json"),
        (EditMultipart = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The edited images.",
            content(
                (EditAnswer = "application/json"),
                (RawImage = "image/png"),
                (RawImage = "image/jpeg"),
                (RawImage = "image/webp"),
            ),
            headers(
                ("x-request-id" = String, description = "Id of this request, for the log."),
                ("x-edit-id" = String, description = "Of a raw answer: id of the edit."),
                ("x-edit-seed" = u64, description = "Of a raw answer: the seed."),
                ("x-edit-model" = String, description = "Of a raw answer: name of the model."),
                ("x-edit-timings-ms" = String, description = "Of a raw answer: the timings, as JSON."),
                ("x-edit-warnings" = String, description = "Of a raw answer: the warnings, as JSON."),
                ("x-edit-receipt" = String, description = "Of a raw answer: the receipt, as JSON in base64; left out where it is too long for a header."),
            )),
        EditProblem,
    ),
)]
pub async fn edit(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let received = Instant::now();
    let accept = Accept::of(request.headers());
    let headers = request.headers().clone();
    let media_type = body::media_type(&headers)?;
    let body = body::read(request, &state.body_limits).await?;
    let permit = state.engine.admit()?;
    let profile = state.engine.profile()?;

    let mut form = read_form(&state, media_type, body, &headers).await?;
    let wanted = accept.wanted(named_format(&form))?;
    follow(&mut form, wanted)?;
    let image = state
        .engine
        .read_image(&permit, std::mem::take(&mut form.image))
        .await?;
    let read = received.elapsed();

    let plan = Plan::new(form, image, &profile, &state.defaults)?;
    let receipt = ReceiptBody::from(&plan.receipt);
    let edited = state.engine.edit(permit, plan.request).await?;
    let clock = Clock { received, read };
    let answer = move || match wanted {
        Wanted::Json => answer::json(&edited, &profile.identity.name, receipt, clock),
        Wanted::Raw(_) => answer::raw(edited, &profile.identity.name, receipt, clock),
    };
    Ok(state.engine.blocking(answer).await?)
}

async fn read_form(
    state: &HttpState,
    media_type: MediaType,
    body: Received,
    headers: &HeaderMap,
) -> Result<EditForm, Problem> {
    let limits = state.form_limits.clone();
    match media_type {
        MediaType::Json => {
            state
                .engine
                .blocking(move || EditForm::from_json(&body.bytes, &limits))
                .await?
        }
        MediaType::Multipart => {
            let parts = Parts::split(body.bytes.clone(), headers).await?;
            state.engine.blocking(move || parts.read(&limits)).await?
        }
    }
}

/// The format that the request itself asks for.
fn named_format(form: &EditForm) -> Option<&'static str> {
    let receipt = form.receipt.as_ref().map(|receipt| receipt.choices.output);
    receipt.or(form.output_format).map(OutputFormat::name)
}

/// Makes the form ask for what `Accept` wants.
fn follow(form: &mut EditForm, wanted: Wanted) -> Result<(), Problem> {
    let Wanted::Raw(format) = wanted else {
        return Ok(());
    };
    let n = form
        .receipt
        .as_ref()
        .map(|receipt| receipt.choices.n)
        .or(form.n);
    if n.is_some_and(|n| n > 1) {
        let message = "must be 1 where Accept asks for an image's own bytes; ask for application/json to get several";
        return Err(Problem::fields(
            Code::InvalidRequest,
            vec![FieldError::new("/n", message)],
        ));
    }
    if form.output_format.is_none() && form.receipt.is_none() {
        let quality = if format == "jpeg" { form.quality } else { None };
        form.output_format = OutputFormat::parse(format, quality).ok();
    }
    Ok(())
}
