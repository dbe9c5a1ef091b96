//! An image edit as OpenAI's events.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Common, ImageData, answer};
use crate::{
    engine::{Engine, EngineError, OutputFormat, Previews, Progress, RgbImage},
    http::{
        edit::Prepared,
        problem::Problem,
        request_id::RequestId,
        sse::{self, Events},
        timings::now_secs,
        warning::AnswerWarning,
    },
};

const PARTIAL: &str = "image_edit.partial_image";
const COMPLETED: &str = "image_edit.completed";

/// What a stream shows, and how.
pub struct Showing {
    /// Previews that were asked for.
    pub partial_images: u64,
    pub output: OutputFormat,
    pub steps: usize,
    pub quality: &'static str,
    pub warnings: Vec<AnswerWarning>,
}

/// Data of one event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ImagesEvent {
    Partial(PartialImage),
    Completed(Box<CompletedImage>),
}

/// A real preview: what the image would be if the step were the last, small.
#[derive(Serialize, ToSchema)]
pub struct PartialImage {
    /// `image_edit.partial_image`.
    r#type: &'static str,
    #[schema(format = Byte)]
    b64_json: String,
    created_at: u64,
    /// That of the preview.
    size: String,
    quality: &'static str,
    background: &'static str,
    output_format: &'static str,
    partial_image_index: usize,
}

/// The edited image.
#[derive(Serialize, ToSchema)]
pub struct CompletedImage {
    /// `image_edit.completed`.
    r#type: &'static str,
    created_at: u64,
    #[serde(flatten)]
    image: ImageData,
    #[serde(flatten)]
    common: Common,
}

impl Showing {
    /// Index of the preview that a step is, of as many as there can be, evenly over the steps.
    fn index(&self, step: usize) -> Option<usize> {
        let count = (self.partial_images as usize).min(self.steps.saturating_sub(1));
        (0..count).find(|at| ((at + 1) * self.steps).div_ceil(count + 1) == step + 1)
    }

    async fn partial(
        &self,
        engine: &Engine,
        image: RgbImage,
        index: usize,
    ) -> Result<ImagesEvent, EngineError> {
        let size = format!("{}x{}", image.width(), image.height());
        let bytes = engine.encode(image, self.output).await?;
        Ok(ImagesEvent::Partial(PartialImage {
            r#type: PARTIAL,
            b64_json: BASE64_STANDARD.encode(bytes),
            created_at: now_secs(),
            size,
            quality: self.quality,
            background: "opaque",
            output_format: self.output.name(),
            partial_image_index: index,
        }))
    }
}

/// Runs the edit and sends its previews, then the image or the problem.
pub async fn stream(
    engine: Engine,
    prepared: Prepared,
    showing: Showing,
    id: RequestId,
    events: Events,
) {
    let last = match run(&engine, prepared, showing, &events).await {
        Ok(completed) => sse::event(COMPLETED, &completed),
        Err(problem) => sse::failure(&problem, &id),
    };
    // Whoever has left reads no end.
    let _ = events.send(last).await;
}

async fn run(
    engine: &Engine,
    mut prepared: Prepared,
    showing: Showing,
    events: &Events,
) -> Result<ImagesEvent, Problem> {
    let previews = match showing.partial_images {
        0 => Previews::Off,
        _ => Previews::EachStep,
    };
    let mut progress = prepared.watched(previews);
    let mut edit = std::pin::pin!(prepared.edit(engine));
    let finished = loop {
        tokio::select! {
            biased;
            Some(progress) = progress.recv() => {
                // Of several candidates the first is shown.
                if let Progress::Preview { picture: 0, step, image } = progress
                    && let Some(index) = showing.index(step)
                {
                    let partial = showing.partial(engine, image, index).await?;
                    let _ = events.send(sse::event(PARTIAL, &partial)).await;
                }
            }
            finished = &mut edit => break finished?,
        }
    };
    let whole = move || answer(&finished, showing.quality, showing.warnings);
    let whole = engine.blocking(whole).await?;
    let image = whole.data.into_iter().next();
    Ok(ImagesEvent::Completed(Box::new(CompletedImage {
        r#type: COMPLETED,
        created_at: whole.created,
        image: image.ok_or_else(|| Problem::internal(EngineError::Stopped))?,
        common: whole.common,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(partial_images: u64, steps: usize) -> Vec<usize> {
        let showing = Showing {
            partial_images,
            output: OutputFormat::Png,
            steps,
            quality: "auto",
            warnings: Vec::new(),
        };
        (0..steps)
            .filter(|step| showing.index(*step).is_some())
            .collect()
    }

    #[test]
    fn previews_are_spread_over_the_steps_before_the_last() {
        assert_eq!(shown(3, 4), [0, 1, 2]);
        assert_eq!(shown(1, 4), [1]);
        assert_eq!(shown(3, 2), [0]);
        assert_eq!(shown(2, 8), [2, 5]);
        assert!(shown(3, 1).is_empty() && shown(0, 8).is_empty());
    }
}
