//! The one thread that owns the models.
use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use ::image::RgbImage;
use tokio::sync::{oneshot, watch};

use crate::pipelines::image;

use super::{
    EditError, EditInput, EditOutput, Editor, EngineError, ImageError, ImageLimits, NoiseSource,
    OutputFormat, OutputSize, Permit, PreprocessRule, Profile, Readiness, admission::Admission,
};

/// One admitted edit. The permit goes with it, so the place is free when the edit is done or dropped.
#[derive(Debug)]
pub(super) struct EditCommand {
    pub input: EditInput,
    pub reply: oneshot::Sender<Result<Done, EngineError>>,
    pub permit: Permit,
    pub queued: Instant,
}

/// An edit that the device has finished.
#[derive(Debug)]
pub(super) struct Done {
    pub output: EditOutput,
    /// Wait for the device.
    pub queued: Duration,
}

/// Everything the device thread needs but the editor itself, which it makes.
pub(super) struct DeviceThread {
    pub commands: mpsc::Receiver<EditCommand>,
    pub readiness: watch::Sender<Readiness>,
    pub admission: Admission,
}

impl DeviceThread {
    /// Loads, warms up, then serves until every handle of the engine is gone.
    pub fn run<E, L>(self, load: impl FnOnce() -> Result<E, L>)
    where
        E: Editor,
        L: std::error::Error + Send + Sync + 'static,
    {
        let mut editor = match self.start(load) {
            Ok(editor) => editor,
            Err(cause) => {
                self.readiness.send_replace(Readiness::Failed { cause });
                return;
            }
        };
        let profile = Arc::new(editor.profile());
        self.readiness.send_replace(Readiness::Ready(profile));
        while let Ok(command) = self.commands.recv() {
            self.serve(&mut editor, command);
        }
    }

    fn start<E, L>(
        &self,
        load: impl FnOnce() -> Result<E, L>,
    ) -> Result<E, Arc<dyn std::error::Error + Send + Sync>>
    where
        E: Editor,
        L: std::error::Error + Send + Sync + 'static,
    {
        let loaded = catch_unwind(AssertUnwindSafe(load));
        let loaded = loaded.map_err(|payload| EngineError::panicked(&*payload));
        let mut editor = match loaded {
            Ok(Ok(editor)) => editor,
            Ok(Err(cause)) => return Err(Arc::new(cause)),
            Err(panicked) => return Err(Arc::new(panicked)),
        };
        self.readiness.send_replace(Readiness::Warming);
        let warmed = warm_up_input(&editor.profile())
            .map_err(EngineError::from)
            .and_then(|input| self.timed_edit(&mut editor, &input, &|| false));
        warmed.map(|_| editor).map_err(|error| Arc::new(error) as _)
    }

    fn serve(&self, editor: &mut impl Editor, command: EditCommand) {
        let EditCommand {
            input,
            reply,
            permit,
            queued,
        } = command;
        if reply.is_closed() {
            tracing::debug!("skipped an edit whose client left");
            return;
        }
        let waited = queued.elapsed();
        let result = self.timed_edit(editor, &input, &|| reply.is_closed());
        drop(permit);
        if let Err(EngineError::Edit(EditError::Cancelled { steps })) = &result {
            tracing::debug!(steps, "cancelled an edit whose client left");
        }
        // A client that left in the meantime is no failure.
        let _ = reply.send(result.map(|output| Done {
            output,
            queued: waited,
        }));
    }

    /// A panic becomes an error: the editor holds no state that an edit changes, so the thread lives on.
    fn timed_edit(
        &self,
        editor: &mut impl Editor,
        input: &EditInput,
        left: &dyn Fn() -> bool,
    ) -> Result<EditOutput, EngineError> {
        let start = Instant::now();
        let mut observer = |_| {
            if left() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let result = catch_unwind(AssertUnwindSafe(|| editor.edit(input, &mut observer)));
        match result {
            Ok(Ok(output)) => {
                self.admission.record(start.elapsed());
                Ok(output)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(payload) => Err(EngineError::panicked(&*payload)),
        }
    }
}

/// A plain square of the bundle's own area, so that the first client's edit meets warm kernels.
fn warm_up_input(profile: &Profile) -> Result<EditInput, ImageError> {
    let side = profile.target_area_px.isqrt().clamp(1, u64::from(u16::MAX)) as u32;
    let limits = ImageLimits {
        max_pixels: u64::MAX,
        max_side_px: u32::MAX,
        max_bytes: usize::MAX,
    };
    let bytes = image::encode(&RgbImage::new(side, side), &OutputFormat::Png)?;
    Ok(EditInput {
        image: image::decode(&bytes, &limits)?,
        instruction: "warm up".to_owned(),
        noise: NoiseSource::Seeds(vec![0]),
        steps: profile.default_steps,
        size: OutputSize::Auto,
        preprocess: PreprocessRule::Area,
    })
}
