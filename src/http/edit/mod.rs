//! `POST /v1/edit`.
mod adapter;
mod answer;
mod body;
mod events;
mod form;
mod judging;
mod later;
mod plan;
mod raw;
mod receipt;
mod receipt_body;
mod receipt_form;
mod run;

use std::time::Instant;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use answer::EditAnswer;
use body::{EditBody, EditMultipart};
use events::EventData;
use form::PARTS;
use later::Pending;
use raw::RawImage;

pub use adapter::AdapterChoice;
pub use answer::AnswerCandidate;
pub use form::{EditForm, FormLimits, MAX_SEED, size};
pub use judging::Judged;
pub use later::{__path_forget, __path_result, forget, result};
pub use plan::Defaults;
pub use receipt::device_name;
pub use receipt_body::{Dtypes, ReceiptBody};
pub use run::{Finished, Prepared};

use super::{
    HttpState,
    accept::{Accept, Wanted},
    deadline,
    fields::Fields,
    problem::{Code, EditProblem, FieldError, Problem},
    request_id::RequestId,
    sse,
    upload::Upload,
};
use crate::{access::Caller, engine::OutputFormat};

/// Edits one image by an instruction.
///
/// With `Accept: text/event-stream` the answer is a stream of the events `stage`, `step` and `preview` (after every step but the
/// last), then `result` with the answer, or `error` with the problem; it ends then, and the edit ends where the client leaves.
/// Answers JSON, or with `Accept: image/png`, `image/jpeg` or `image/webp` the bytes of the one image, with the rest in `x-edit-*`
/// headers. A receipt sent back with the same image gives the same bytes. With `judge`, `best_of` or `min_score` a judge scores
/// the images before they are answered. `adapter` names an adapter that acts on this edit alone.
#[utoipa::path(
    post,
    path = "/v1/edit",
    tag = "edit",
    params(("prefer" = Option<String>, Header, description = "`respond-async` answers 202 and keeps the answer for later (not with `text/event-stream`)."), ("cancel-after" = Option<String>, Header, description = "Seconds after which the client no longer waits, from when its body has arrived; the server's own limit if absent or longer. Past it the edit stops at its next step.", pattern = "^[0-9]{1,6}(\\.[0-9]{1,3})?s?$")),
    request_body(content(
        (EditBody = "application/json"),
        (EditMultipart = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The edited images.",
            content(
                (EditAnswer = "application/json"),
                (EventData = "text/event-stream"),
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
                ("x-edit-scores" = String, description = "Of a raw answer that was judged: `edit_success`, `preservation` and `overall`, as JSON."),
                ("x-edit-candidates" = String, description = "Of a raw answer with `best_of`: seed and scores of every candidate, as JSON."),
                ("x-edit-accepted" = bool, description = "Of a raw answer with `min_score`."),
                ("x-edit-receipt" = String, description = "Of a raw answer: the receipt, as JSON in base64; left out where it is too long for a header."),
            )),
        (status = 202, description = "With `Prefer: respond-async`: the edit has its place, the answer will be at `url`.", body = Pending,
            headers(
                ("location" = String, description = "Where the answer will be."),
                ("preference-applied" = String, description = "`respond-async`."),
            )),
        EditProblem,
    ),
)]
pub async fn edit(
    State(state): State<HttpState>,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Response, Problem> {
    let received = Instant::now();
    let accept = Accept::of(request.headers());
    let headers = request.headers().clone();
    let upload = Upload::receive(request, &state.body_limits).await?;
    let permit = deadline::admit(&state.engine, &headers)?;
    let profile = state.engine.profile()?;
    let limits = state.form_limits.clone();
    let read = move |fields: Fields<'_>| EditForm::read(fields, &limits);
    let mut form = upload.read(&state.engine, &PARTS, read).await?;
    if form.judged.is_some() {
        profile.judge()?;
    }
    let wanted = accept.wanted(named_format(&form))?;
    follow(&mut form, wanted)?;
    let prepared = Prepared::new(&state, &caller, form, (permit, received)).await?;
    if wanted == Wanted::Events {
        let engine = state.engine.clone();
        return Ok(sse::respond(|events| {
            events::stream(engine, prepared, id, events)
        }));
    }
    if later::is_wanted(&headers) {
        return Ok(later::begin(&state, caller, prepared, wanted));
    }
    answered(&state, prepared, wanted).await
}

/// The edit, and its answer in the form that is wanted.
async fn answered(
    state: &HttpState,
    prepared: Prepared,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let finished = prepared.edit(&state.engine).await?;
    let answer = move || match wanted {
        Wanted::Raw(_) => raw::raw(finished),
        Wanted::Json | Wanted::Events => Json(finished.answer()).into_response(),
    };
    Ok(state.engine.blocking(answer).await?)
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
