//! `POST /v1/score`.
mod answer;
mod body;
mod form;
mod questions;

use std::time::Instant;

use axum::{
    Json,
    extract::{Request, State},
};

use answer::{AnswerHead, BatchAnswer, OneAnswer, ScoreAnswer};
use body::{ScoreBody, ScoreMultipart};
use form::{PARTS, ScoreForm, ScoreItem};

pub use answer::{Images, ScoredItem};
pub use form::ScoreLimits;

use super::{
    HttpState, deadline,
    fetched::fetched,
    fields::Fields,
    image_field::ImageSource,
    problem::{Code, FieldError, Problem, ScoreProblem},
    timings::Clock,
    upload::Upload,
};
use crate::engine::{EngineError, Permit, ScoreInput, SourceImage};

/// Judges edits that were made elsewhere, or here.
///
/// A vision-language model answers yes or no: was the instruction carried out, is the rest as it was, and what the caller asks
/// beside that. The same bytes give the same numbers, alone or at any place of a batch.
#[utoipa::path(
    post,
    path = "/v1/score",
    tag = "score",
    params(("cancel-after" = Option<String>, Header, description = "Seconds after which the client no longer waits, from when its body has arrived; the server's own limit if absent or longer.", pattern = "^[0-9]{1,6}(\\.[0-9]{1,3})?s?$")),
    request_body(content(
        (ScoreBody = "application/json"),
        (ScoreMultipart = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "What the judge says.", body = ScoreAnswer,
            headers(("x-request-id" = String, description = "Id of this request, for the log."))),
        ScoreProblem,
    ),
)]
pub async fn score(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Json<ScoreAnswer>, Problem> {
    let received = Instant::now();
    let profile = state.engine.profile()?;
    let judge = &profile.judge()?.identity;
    let headers = request.headers().clone();
    let upload = Upload::receive(request, &state.body_limits).await?;
    let permit = deadline::admit(&state.engine, &headers)?;

    let limits = state.score_limits.clone();
    let read = move |fields: Fields<'_>| ScoreForm::read(fields, &limits);
    let form = upload.read(&state.engine, &PARTS, read).await?;
    let batch = matches!(form, ScoreForm::Batch(_));
    let mut items = form.items();
    let (pairs, images) = decode(&state, &permit, &mut items).await?;
    let read = received.elapsed();

    let scored = state.engine.score(permit, pairs).await;
    let scored =
        scored.map_err(|error| Problem::of_judged(error, |item| items[item].judged_fields()))?;
    let head = AnswerHead::new(&scored, judge, Clock { received, read });
    let items = scored.scores.iter().zip(images);
    let mut items = items.map(|(score, images)| ScoredItem::new(score, images));
    Ok(Json(match items.next() {
        Some(item) if !batch => ScoreAnswer::One(OneAnswer { head, item }),
        first => ScoreAnswer::Batch(BatchAnswer {
            head,
            items: first.into_iter().chain(items).collect(),
        }),
    }))
}

/// The images of all items, which are emptied: their files are not needed any more.
async fn decode(
    state: &HttpState,
    permit: &Permit,
    items: &mut [ScoreItem],
) -> Result<(Vec<ScoreInput>, Vec<Images>), Problem> {
    let mut pixels = 0;
    let mut image = async |at: String, source: &mut ImageSource| {
        let bytes = fetched(state, std::mem::take(source), &at).await?;
        let read = state.engine.read_image(permit, bytes).await;
        let image: SourceImage = read.map_err(|error| match error {
            EngineError::Image(error) => Problem::image(error, &at),
            other => other.into(),
        })?;
        let (width, height) = image.rgb.dimensions();
        pixels += u64::from(width) * u64::from(height);
        let max = state.score_limits.max_pixels_together;
        if pixels > max {
            let message = format!(
                "brings the images of this request over {max} pixels together; send fewer at once, or smaller ones"
            );
            return Err(Problem::fields(
                Code::ImageTooLarge,
                vec![FieldError::new(at, message)],
            ));
        }
        Ok(image)
    };
    let (mut pairs, mut told) = (Vec::new(), Vec::new());
    for item in items {
        let reference = image(format!("{}/reference", item.at), &mut item.reference).await?;
        let edited = image(format!("{}/edited", item.at), &mut item.edited).await?;
        told.push(Images::new(&reference, &edited));
        pairs.push(ScoreInput {
            reference: reference.rgb,
            edited: edited.rgb,
            edit: item.edit.clone(),
            questions: item.questions.clone(),
        });
    }
    Ok((pairs, told))
}
