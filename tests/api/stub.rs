//! An editor and a judge without a model: their answers say what was asked, and the test holds them or breaks them.
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use candle_core::Device;
use image::{Rgb, RgbImage};
use npedit::{
    engine::{
        AdapterBase, AppliedAdapter, BundleIdentity, DeviceClass, EditDescription, EditError,
        EditInput, EditOutput, EditTask, EditedImage, Grid, JudgeError, JudgeIdentity,
        JudgeProfile, Looked, Models, NoiseDraw, NoiseSource, Observer, Profile, Progress, Reuse,
        RoleDtypes, STEPS, Sampler, Score, ScoreInput, Sigmas, StageTimings, Tokens, Verdict,
    },
    nn::Compute,
};

/// Instruction that makes the stub panic.
pub const PANIC: &str = "panic with /secret/path";
/// Instruction that gives a judge's answer which is no number.
pub const BROKEN: &str = "broken";
/// Instruction that runs until the test opens the gate.
pub const HOLD: &str = "hold";

/// What the test and the stub know of each other.
#[derive(Debug, Default)]
pub struct Script {
    pub open: AtomicBool,
    pub started: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub finished: AtomicUsize,
    pub scored: AtomicUsize,
    pub judgeless: AtomicBool,
    /// Edits of every pass of the judge that requests for scores led to.
    pub passes: Mutex<Vec<usize>>,
}

pub struct Stub(pub Arc<Script>);

impl Stub {
    /// Edit success is how red the edited picture is.
    fn score_one(&self, input: &ScoreInput) -> Result<Score, JudgeError> {
        self.0.scored.fetch_add(1, SeqCst);
        match input.edit.instruction.as_str() {
            PANIC => panic!("{PANIC}"),
            BROKEN => return Err(JudgeError::NotFinite),
            HOLD => {
                while !self.0.open.load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            _ => {}
        }
        let edit_success = f64::from(input.edited.get_pixel(0, 0)[0]) / 256.0;
        let verdicts = input.questions.iter().map(|question| Verdict {
            question: question.clone(),
            yes_logit: 0.0,
            no_logit: 0.0,
            temperature: 1.0,
            p_yes: 0.5,
            p_correct: 0.5,
        });
        Ok(Score {
            verdicts: verdicts.collect(),
            edit_success,
            preservation: 0.5,
            overall: edit_success / 2.0,
            warnings: Vec::new(),
        })
    }

    fn hold(&self, observer: &mut Observer) -> Result<(), EditError> {
        let mut done = 0;
        while !self.0.open.load(SeqCst) {
            if let ControlFlow::Break(()) = observer(Progress::Step { done, of: done + 1 }) {
                self.0.cancelled.fetch_add(1, SeqCst);
                return Err(EditError::Cancelled { steps: done });
            }
            done += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Models for Stub {
    fn profile(&self) -> Profile {
        let dtype = || "f32".to_owned();
        Profile {
            identity: BundleIdentity {
                name: "stub".to_owned(),
                sha256: "ab".repeat(32),
                adapter: None,
                device: DeviceClass::Cpu,
                dtypes: RoleDtypes {
                    transformer: dtype(),
                    text_encoder: dtype(),
                    vae: dtype(),
                },
            },
            adapter_base: Arc::new(AdapterBase::new(
                BTreeMap::from([("layer".to_owned(), [3, 2])]),
                Compute::cpu(),
                || Ok("ef".repeat(32)),
            )),
            sampler: Sampler::Stochastic { eta: 1.0 },
            default_steps: 4,
            target_area_px: 64 * 64,
            schedules: STEPS
                .map(|steps| Sigmas::uniform(steps, 6.0).unwrap())
                .collect(),
            judge: (!self.0.judgeless.load(SeqCst)).then(|| JudgeProfile {
                identity: JudgeIdentity {
                    name: "stub judge".to_owned(),
                    sha256: "cd".repeat(32),
                },
                dtype: dtype(),
            }),
        }
    }

    fn check(&self, _: &EditDescription) -> Result<(), JudgeError> {
        Ok(())
    }

    fn score(&mut self, _: &mut Looked, inputs: &[&ScoreInput]) -> Vec<Result<Score, JudgeError>> {
        self.0.passes.lock().unwrap().push(inputs.len());
        inputs.iter().map(|input| self.score_one(input)).collect()
    }

    fn edit(
        &mut self,
        adapter: Option<&AppliedAdapter>,
        tasks: Vec<EditTask>,
    ) -> Vec<Result<EditOutput, EditError>> {
        let batch = tasks.len();
        let edit = |mut task: EditTask| {
            let output = self.edit_one(task.input, adapter, &mut task.observer)?;
            let reuse = Reuse {
                batch,
                ..output.reuse
            };
            Ok(EditOutput { reuse, ..output })
        };
        tasks.into_iter().map(edit).collect()
    }
}

impl Stub {
    fn edit_one(
        &self,
        input: &EditInput,
        adapter: Option<&AppliedAdapter>,
        observer: &mut Observer,
    ) -> Result<EditOutput, EditError> {
        self.0.started.fetch_add(1, SeqCst);
        match input.instruction.as_str() {
            PANIC => panic!("{PANIC}"),
            HOLD => self.hold(observer)?,
            _ => {}
        }
        let NoiseSource::Seeds(seeds) = &input.noise else {
            panic!("http sends seeds")
        };
        let source = input.image.rgb.dimensions();
        // The pipeline's own rule on what is too small or too long.
        let area = npedit::pipelines::image::Preprocess::Area {
            target_area_px: 4096,
            multiple: 16,
        };
        npedit::pipelines::image::model_size(source.0, source.1, &area)?;
        let (width, height) = input.size.resolve(source);
        let adapted = adapter.map_or(0, |applied| 1 + (applied.scale * 100.0) as u64);
        let images = seeds.iter().map(|&seed| {
            let [r, g, b, ..] = (seed ^ (input.steps as u64) << 20 ^ adapted << 8).to_le_bytes();
            EditedImage {
                rgb: RgbImage::from_pixel(width, height, Rgb([r, g, b])),
                seed: Some(seed),
            }
        });
        let grid = Grid {
            channels: 1,
            height: 1,
            width: 1,
        };
        self.0.finished.fetch_add(1, SeqCst);
        Ok(EditOutput {
            images: images.collect(),
            sigmas: Sigmas::uniform(input.steps, 6.0)?,
            model_size: source,
            noise: NoiseDraw::from_seeds(seeds, input.steps, grid, &Device::Cpu).unwrap(),
            timings: StageTimings::default(),
            warnings: Vec::new(),
            reuse: Reuse::default(),
            tokens: Tokens::default(),
        })
    }
}
