//! An edit as a stream of events.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::run::{Finished, Prepared};
use crate::{
    engine::{Engine, EngineError, OutputFormat, Previews, Progress, Stage},
    http::{
        problem::Problem,
        request_id::RequestId,
        sse::{self, Events},
    },
};

/// Data of one event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    Stage(StageEvent),
    Step(StepEvent),
    Preview(PreviewEvent),
}

/// Data of the event `stage`: a stage begins.
#[derive(Serialize, ToSchema)]
pub struct StageEvent {
    /// `preprocess`, `text`, `encode`, `denoise`, `decode` or `postprocess`.
    #[schema(value_type = String)]
    stage: Stage,
}

/// Data of the event `step`: a denoising step is done.
#[derive(Serialize, ToSchema)]
pub struct StepEvent {
    done: usize,
    of: usize,
}

/// Data of the event `preview`: what an image would be if this step were the last, small, as PNG in base64.
#[derive(Serialize, ToSchema)]
pub struct PreviewEvent {
    /// Index of the image among those of the request.
    image: usize,
    /// From 0.
    step: usize,
    width: u32,
    height: u32,
    b64_json: String,
}

/// Runs the edit and sends what happens: `stage`, `step` and `preview`, then `result` with the answer or `error` with the problem.
pub async fn stream(engine: Engine, prepared: Prepared, id: RequestId, events: Events) {
    let finished = run(&engine, prepared, &events).await;
    let last = match finished {
        Ok(finished) => {
            let answer = engine.blocking(move || sse::event("result", &finished.answer()));
            answer.await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let last = last.unwrap_or_else(|problem| sse::failure(&problem, &id));
    // Whoever has left reads no end.
    let _ = events.send(last).await;
}

async fn run(
    engine: &Engine,
    mut prepared: Prepared,
    events: &Events,
) -> Result<Finished, Problem> {
    let mut progress = prepared.watched(Previews::EachStep);
    let mut edit = std::pin::pin!(prepared.edit(engine));
    loop {
        tokio::select! {
            biased;
            Some(progress) = progress.recv() => tell(engine, progress, events).await?,
            finished = &mut edit => return finished,
        }
    }
}

async fn tell(engine: &Engine, progress: Progress, events: &Events) -> Result<(), EngineError> {
    let (name, data) = match progress {
        Progress::Began(stage) => ("stage", EventData::Stage(StageEvent { stage })),
        Progress::Step { done, of } => ("step", EventData::Step(StepEvent { done, of })),
        Progress::Preview {
            picture,
            step,
            image,
        } => {
            let (width, height) = image.dimensions();
            let bytes = engine.encode(image, OutputFormat::Png).await?;
            let preview = PreviewEvent {
                image: picture,
                step,
                width,
                height,
                b64_json: BASE64_STANDARD.encode(bytes),
            };
            ("preview", EventData::Preview(preview))
        }
    };
    // A client that has left is noticed by whoever runs the stream.
    let _ = events.send(sse::event(name, &data)).await;
    Ok(())
}
