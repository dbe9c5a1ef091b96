//! Training without pairs: the judge's answers and distribution matching through the unrolled edit (paper, Algorithm 1).
mod at_x0;
mod batch;
mod columns;
mod fake_score;
mod judged;

use candle_core::Tensor;

use self::{at_x0::AtX0, batch::MicroBatch, fake_score::FakeScore};
pub use self::{batch::Rows, fake_score::FakeScoreSettings, judged::AnswerLoss};
use super::{Outcome, Stage, Step};
use crate::{
    models::{
        lpips::Lpips,
        zimage::{Captions, PaddingAttention, Transformer},
    },
    pipelines::{
        judge::Judge,
        noise::{Grid, NoiseDraw},
        questions::EditType,
        sigmas::Sigmas,
        velocity::{EditConditioning, Generator, VelocityModel},
    },
    training::{
        checkpoint::State,
        conditioning::Conditioner,
        draws::Purpose,
        error::TrainingResult,
        lanes::Lanes,
        losses::dmd::Normaliser,
        optimiser::Parameters,
        tuning::Tuned,
        unroll::{GradientThrough, LastStepOnly, Unroll, levels},
    },
};

/// What each loss counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    pub judge: f64,
    pub dmd: f64,
    /// Latents of "do nothing." items against the reference's.
    pub do_nothing: f64,
    /// x0 of replayed items against the base's.
    pub anchor: f64,
    /// Pixels against the reference's.
    pub pixel: f64,
    /// Perceptual distance to the reference.
    pub lpips: f64,
}

/// Classifier-free guidance of the teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct Guidance {
    pub scale: f64,
    /// For removal, shape, style and action.
    pub strong_scale: f64,
    pub negative_caption: String,
}

impl Guidance {
    /// `s` in `v_un + s (v_c - v_un)` (nupurkmr9/npedit @ a3cd76c: 7.5 for these types, 3.5 for the others).
    pub fn of(&self, edit_type: EditType) -> f64 {
        match edit_type {
            EditType::Remove | EditType::Shape | EditType::Style | EditType::Action => {
                self.strong_scale
            }
            _ => self.scale,
        }
    }
}

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Items of a generator step, and of a fake-score update.
    pub batch: usize,
    /// Items of one pass at most.
    pub micro: usize,
    /// Passes that run at the same time.
    pub at_once: usize,
    /// Items of one pass of decoder and judge at most.
    pub judged: usize,
    /// Levels that a path may end at, from 1 down.
    pub schedule: Vec<f64>,
    /// Steps of a path at most.
    pub depth: usize,
    pub gradient_through: GradientThrough,
    pub weights: Weights,
    pub guidance: Guidance,
    pub normaliser: Normaliser,
    pub answer_loss: AnswerLoss,
    /// Steps until the judge's answers count in full.
    pub ramp_steps: u64,
    /// Whether the judge is also asked what else changed.
    pub identity_question: bool,
    pub fake_score: FakeScoreSettings,
}

/// The frozen models of the stage.
#[derive(Clone, Copy)]
pub struct Frozen<'a> {
    /// Text-to-image.
    pub teacher: &'a Transformer,
    pub judge: &'a Judge,
    /// Where its loss counts.
    pub lpips: Option<&'a Lpips>,
}

/// The models that learn.
#[derive(Clone, Debug)]
pub struct Learners {
    pub generator: Tuned,
    /// Starts as the teacher.
    pub fake_score: Tuned,
}

/// The stage between two steps.
pub struct NpEdit<'a> {
    generator: Tuned,
    settings: Settings,
    rows: Rows,
    conditioner: Conditioner<'a>,
    frozen: Frozen<'a>,
    fake_score: FakeScore,
    lanes: Lanes,
    /// Encoded negative caption, `[1, L, D]`.
    negative: Tensor,
}

impl<'a> NpEdit<'a> {
    /// # Errors
    /// The negative caption cannot be encoded, or the system starts no threads.
    pub fn new(
        settings: Settings,
        rows: Rows,
        mut conditioner: Conditioner<'a>,
        frozen: Frozen<'a>,
        learners: Learners,
    ) -> TrainingResult<Self> {
        Ok(Self {
            generator: learners.generator,
            negative: conditioner.text(&settings.guidance.negative_caption)?,
            fake_score: FakeScore::new(&settings.fake_score, learners.fake_score),
            lanes: Lanes::new(settings.at_once)?,
            settings,
            rows,
            conditioner,
            frozen,
        })
    }

    /// A drawn path for the items of `batch`.
    fn path(&self, batch: &MicroBatch, step: &Step, purpose: Purpose) -> TrainingResult<Unroll> {
        let schedule = &self.settings.schedule;
        let last = step.draws.below(Purpose::Depth, schedule.len());
        let sigmas = Sigmas::from_levels(&levels(schedule, last, self.settings.depth))?;
        let seeds = batch.of_items(&step.draws.seeds(purpose, self.settings.batch));
        let reference = &batch.conditioning.reference;
        let (_, channels, height, width) = reference.dims4()?;
        let grid = Grid {
            channels,
            height,
            width,
        };
        let noise = NoiseDraw::from_seeds(&seeds, sigmas.steps(), grid, reference.device())?;
        Ok(Unroll { sigmas, noise })
    }

    /// One pass of a generator step: its part of the gradients.
    fn pass(&self, batch: &MicroBatch, step: &mut Step) -> TrainingResult<Outcome> {
        // 1 unroll      conditioning, noise -> x0, with gradients
        let path = self.path(batch, step, Purpose::Path)?;
        let x0 = self.unrolled(&path, &batch.conditioning)?;
        // 2 losses      x0 -> d loss / d x0, by decoder, judge and scores
        let AtX0 {
            gradient,
            loss,
            terms,
        } = self.at_x0(&x0.detach(), batch, &path, step)?;
        step.turn()?;
        // 3 backward    d loss / d x0 -> gradients, through the unrolled steps
        let mut grads = (x0 * gradient)?.sum_all()?.backward()?;
        Ok(Outcome {
            gradients: self.generator.gradients(&mut grads),
            loss,
            terms,
        })
    }

    fn unrolled(&self, path: &Unroll, conditioning: &EditConditioning) -> TrainingResult<Tensor> {
        let [tracked, frozen] = [&self.generator.tracked, &self.generator.frozen]
            .map(|transformer| Generator(transformer.clone()));
        let x0 = match self.settings.gradient_through {
            GradientThrough::AllSteps => run(path, &tracked, conditioning),
            GradientThrough::LastStep => {
                let levels = path.sigmas.as_slice();
                let model = LastStepOnly {
                    tracked: &tracked,
                    frozen: &frozen,
                    last: levels[levels.len() - 2],
                };
                run(path, &model, conditioning)
            }
        };
        Ok(x0?)
    }
}

fn run<M: VelocityModel<Conditioning = EditConditioning>>(
    path: &Unroll,
    model: &M,
    conditioning: &EditConditioning,
) -> candle_core::Result<Tensor> {
    path.run(model, conditioning, &mut |_| {})
}

/// The text-to-image path has no mask, whatever the editor does about pads.
fn unmasked(transformer: &Transformer) -> Transformer {
    transformer.with_padding(PaddingAttention::Attend)
}

/// The same text for every one of `count` items.
fn repeated(features: &Tensor, count: usize) -> TrainingResult<Captions> {
    Ok(Captions::new(&vec![features.clone(); count])?)
}

impl Stage for NpEdit<'_> {
    fn parameters(&self) -> &Parameters {
        &self.generator.parameters
    }

    fn rows_per_step(&self) -> u64 {
        (u64::from(self.settings.fake_score.updates) + 1) * self.settings.batch as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        let first = step.index * self.rows_per_step();
        let mut outcome = Outcome::default();
        // 1 the fake score follows the generator, on rows of its own
        for update in 0..self.settings.fake_score.updates {
            let from = first + u64::from(update) * self.settings.batch as u64;
            let loss = self.update_fake_score((update, from), step)?;
            outcome.terms.add("fake_score", loss);
        }
        // 2 the generator's gradients, pass by pass
        let from = first + u64::from(self.settings.fake_score.updates) * self.settings.batch as u64;
        let batches = self.batches(from)?;
        let pass = |batch: &MicroBatch, step: &mut Step| self.pass(batch, step);
        self.lanes
            .run(&batches, step, pass, |part| outcome.add(part))?;
        Ok(outcome)
    }

    fn save(&self, state: &mut State) {
        self.fake_score.save(state);
    }

    fn restore(&mut self, state: &State) -> TrainingResult<()> {
        self.fake_score.restore(state)
    }
}
