//! `POST /v1/images/edits`, as OpenAI's clients send it.
mod answer;
mod body;
mod form;
mod stream;

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use answer::ImagesAnswer;
use body::{ImagesBody, ImagesMultipart};
use form::{Here, ImagesForm, PARTS};
use stream::{ImagesEvent, Showing};

use super::{
    HttpState, deadline,
    edit::Prepared,
    fetched::fetched,
    fields::Fields,
    problem::{Code, FieldError, ImagesProblem, Problem},
    request_id::RequestId,
    sse,
    upload::Upload,
};
use crate::access::Caller;

/// Native fields by the names that clients of this route know.
const NAMES: &[(&str, &str)] = &[("/instruction", "/prompt")];

/// Edits one image, as `client.images.edit` of OpenAI's libraries asks for it.
///
/// Fields of `/v1/edit` may stand beside OpenAI's own. What cannot be honoured is refused or named in `warnings`.
#[utoipa::path(
    post,
    path = "/v1/images/edits",
    tag = "edit",
    params(("cancel-after" = Option<String>, Header, description = "As for `/v1/edit`.", pattern = "^[0-9]{1,6}(\\.[0-9]{1,3})?s?$")),
    request_body(content(
        (ImagesBody = "application/json"),
        (ImagesMultipart = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The edited images; with `stream` the events `image_edit.partial_image`, then `image_edit.completed` or `error`.",
            content(
                (ImagesAnswer = "application/json"),
                (ImagesEvent = "text/event-stream"),
            ),
            headers(("x-request-id" = String, description = "Id of this request, for the log."))),
        ImagesProblem,
    ),
)]
pub async fn edits(
    State(state): State<HttpState>,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Response, Problem> {
    let answered = answered(state, caller, id, request).await;
    answered.map_err(|problem| problem.renamed(NAMES))
}

async fn answered(
    state: HttpState,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Response, Problem> {
    let received = Instant::now();
    let headers = request.headers().clone();
    let upload = Upload::receive(request, &state.body_limits).await?;
    let permit = deadline::admit(&state.engine, &headers)?;
    let profile = state.engine.profile()?;
    let limits = state.form_limits.clone();
    let here = Here {
        model: profile.identity.name.clone(),
        has_judge: profile.judge.is_some(),
    };
    let read = move |fields: Fields<'_>| ImagesForm::read(fields, &limits, &here);
    let form = upload.read(&state.engine, &PARTS, read).await?;
    let ImagesForm {
        edit,
        mask,
        streamed,
        quality,
        warnings,
    } = form;
    let mut prepared = Prepared::new(&state, &caller, edit, (permit, received)).await?;
    if let Some(mask) = mask {
        let mask = fetched(&state, mask, "/mask").await?;
        masked(&state, &mut prepared, mask).await?;
    }
    let engine = state.engine.clone();
    if let Some(partial_images) = streamed {
        let showing = Showing {
            partial_images,
            output: prepared.plan.request.output,
            steps: prepared.plan.request.steps,
            quality,
            warnings,
        };
        return Ok(sse::respond(|events| {
            stream::stream(engine, prepared, showing, id, events)
        }));
    }
    let finished = prepared.edit(&engine).await?;
    let answer = move || Json(answer::answer(&finished, quality, warnings)).into_response();
    Ok(engine.blocking(answer).await?)
}

/// Lays what the mask keeps over the edit.
async fn masked(state: &HttpState, prepared: &mut Prepared, bytes: Vec<u8>) -> Result<(), Problem> {
    let mask = state.engine.read_mask(prepared.permit(), bytes).await;
    let mask = mask.map_err(|error| Problem::of_image(error, "/mask"))?;
    let (mask_size, size) = (mask.size(), prepared.plan.request.image.rgb.dimensions());
    if mask_size != size {
        let message = format!(
            "is {}x{}, the image is {}x{}; send a mask of the image's size",
            mask_size.0, mask_size.1, size.0, size.1
        );
        let error = FieldError::new("/mask", message);
        return Err(Problem::fields(Code::MaskSizeMismatch, vec![error]));
    }
    prepared.plan.request.mask = Some(Arc::new(mask));
    Ok(())
}
