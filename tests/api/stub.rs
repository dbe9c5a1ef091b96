//! An editor without a model: its pictures say what was asked, and the test holds it or breaks it.
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use candle_core::Device;
use image::{Rgb, RgbImage};
use npedit::engine::{
    BundleIdentity, DeviceClass, EditError, EditInput, EditOutput, EditedImage, Editor, Grid,
    NoiseDraw, NoiseSource, Observer, Profile, Progress, RoleDtypes, STEPS, Sampler, Sigmas,
    StageTimings,
};

/// Instruction that makes the stub panic.
pub const PANIC: &str = "panic with /secret/path";
/// Instruction that runs until the test opens the gate.
pub const HOLD: &str = "hold";

/// What the test and the stub know of each other.
#[derive(Debug, Default)]
pub struct Script {
    pub open: AtomicBool,
    pub started: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub finished: AtomicUsize,
}

pub struct Stub(pub Arc<Script>);

impl Stub {
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

impl Editor for Stub {
    fn profile(&self) -> Profile {
        let dtype = || "f32".to_owned();
        Profile {
            identity: BundleIdentity {
                name: "stub".to_owned(),
                sha256: "ab".repeat(32),
                device: DeviceClass::Cpu,
                dtypes: RoleDtypes {
                    transformer: dtype(),
                    text_encoder: dtype(),
                    vae: dtype(),
                },
            },
            sampler: Sampler::Stochastic { eta: 1.0 },
            default_steps: 4,
            target_area_px: 64 * 64,
            schedules: STEPS
                .map(|steps| Sigmas::uniform(steps, 6.0).unwrap())
                .collect(),
        }
    }

    fn edit(
        &mut self,
        input: &EditInput,
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
        let images = seeds.iter().map(|&seed| {
            let [r, g, b, ..] = (seed ^ (input.steps as u64) << 20).to_le_bytes();
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
        })
    }
}
