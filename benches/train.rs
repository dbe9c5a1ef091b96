//! Takes training steps on demand for the scripts beside it: one JSON request per line in, one JSON answer out.
//!
//! `train BUNDLE RECIPE` loads a recipe's run as `npedit train` does. `peer/train.py` speaks the same protocol.
//! Threads: `RAYON_NUM_THREADS`.
#![allow(clippy::unwrap_used)]
use std::{
    collections::HashMap,
    io::{BufRead, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{Device, Tensor};
use npedit::{
    app::{JudgeFiles, Loader},
    config::{Config, DeviceChoice, Given},
    models::hub::Silent,
    pipelines::{
        image::ImageLimits,
        noise::{Grid, NoiseDraw},
    },
    training::{
        draws::{Draws, Purpose},
        instruction_set::{BadPictures, InstructionSet},
        recipe::Recipe,
        run::{self, Models, Sets},
        trainer::Trainer,
        unroll::levels,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As deep as the graph of an unroll without recomputation.
const STACK_BYTES: usize = 256 << 20;
/// Steps that unroll to the full depth before any that does not.
const STEPS: u64 = 8;
/// Spread of the second factors, which a fresh run starts at zero.
const SPREAD: f64 = 0.02;
/// Marks of a step's parts, as the run asks for its turn.
const PARTS: [&str; 4] = [
    "fake score",
    "unroll and scores",
    "decode and judge",
    "backward and update",
];

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Writes branches, levels and noise of the first steps.
    Export { file: PathBuf, side: usize },
    /// One step.
    Step,
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [bundle, recipe] = arguments.as_slice() else {
        // `cargo bench` runs every bench without arguments; this one is only ever asked.
        println!("run benches/train_side_by_side.py");
        return;
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let (bundle, recipe) = (bundle.clone(), PathBuf::from(recipe));
    let run = move || serve(bundle, &recipe);
    thread.spawn(run).unwrap().join().unwrap();
}

fn serve(bundle: String, recipe: &Path) {
    let mut recipe = Recipe::read(recipe).unwrap().recipe;
    let (models, sets) = load(bundle, &recipe);
    let schedule = &models.bundle.settings.sigmas;
    recipe.seed = deep_seed(schedule.len(), recipe.unroll.depth);
    let generator = run::generator(&recipe, &models).unwrap();
    let mut trainer = run::trainer(&recipe, &models, &sets, generator).unwrap();
    branched(&mut trainer);
    answer(&json!({ "ready": true }));
    for line in std::io::stdin().lock().lines() {
        match serde_json::from_str(&line.unwrap()).unwrap() {
            Request::Export { file, side } => {
                let mut tensors: HashMap<_, _> = trainer.state().tensors.into_iter().collect();
                for step in 0..STEPS {
                    tensors.extend(drawn(
                        &recipe,
                        schedule,
                        step,
                        side / models.bundle.vae.downscale_factor(),
                    ));
                }
                candle_core::safetensors::save(&tensors, file).unwrap();
                answer(&json!({}));
            }
            Request::Step => answer(&step(&mut trainer)),
        }
    }
}

fn load(bundle: String, recipe: &Recipe) -> (Models, Sets) {
    let mut config = Config::load(&Given::default()).unwrap().config;
    config.model.device = DeviceChoice::Cpu;
    config.model.reference = Some(bundle);
    let files = JudgeFiles::read(&config.judge).unwrap();
    let models = Loader::new(&config, &Silent).unwrap();
    let models = models.training(recipe, &files).unwrap();
    let limits = ImageLimits::default();
    let rows = InstructionSet::read(&recipe.data.rows, &limits, BadPictures::Refuse).unwrap();
    let sets = Sets {
        rows,
        replay: None,
        limits,
    };
    (models, sets)
}

/// The first seed whose steps all unroll to `depth`, so that all cost the same.
fn deep_seed(levels: usize, depth: usize) -> u64 {
    let deep = |seed: u64, step| Draws::new(seed, step).below(Purpose::Depth, levels) + 1 >= depth;
    (0..)
        .find(|seed| (0..STEPS).all(|step| deep(*seed, step)))
        .unwrap()
}

/// Gives the branches second factors other than zero, without which half of the gradients are.
fn branched(trainer: &mut Trainer) {
    let mut state = trainer.state();
    for (seed, (name, tensor)) in state.tensors.iter_mut().enumerate() {
        let [height, width] = tensor.dims()[..] else {
            continue;
        };
        let drawn = gaussian(seed as u64, [1, height, width]);
        *tensor = if name.ends_with(".lora_B.weight") {
            (drawn.reshape((height, width)).unwrap() * SPREAD).unwrap()
        } else {
            tensor.copy().unwrap()
        };
    }
    trainer.restore(&state).unwrap();
}

/// What a step draws for its one item, on a picture of `side` latents.
fn drawn(recipe: &Recipe, schedule: &[f64], step: u64, side: usize) -> HashMap<String, Tensor> {
    let draws = Draws::new(recipe.seed, step);
    let path = levels(
        schedule,
        draws.below(Purpose::Depth, schedule.len()),
        recipe.unroll.depth,
    );
    let grid = Grid {
        channels: 16,
        height: side,
        width: side,
    };
    let mut tensors = HashMap::new();
    let mut put = |name: String, tensor: Tensor| tensors.insert(format!("{step}.{name}"), tensor);
    let one = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
    let noise = |purpose| {
        let seeds = draws.seeds(purpose, 1);
        let noise = NoiseDraw::from_seeds(&seeds, path.len(), grid, &Device::Cpu).unwrap();
        Tensor::cat(&[&[noise.initial], noise.steps.as_slice()].concat(), 0).unwrap()
    };
    put(
        "levels".into(),
        Tensor::new(path.as_slice(), &Device::Cpu).unwrap(),
    );
    put("path".into(), noise(Purpose::Path));
    put("dmd_noise".into(), noise(Purpose::DmdNoise));
    put(
        "dmd_level".into(),
        one(draws.uniform(Purpose::DmdSigma, 1)[0]),
    );
    for update in 0..recipe.fake_score.updates {
        put(
            format!("fake{update}.path"),
            noise(Purpose::FakePath { update }),
        );
        put(
            format!("fake{update}.noise"),
            noise(Purpose::FakeNoise { update }),
        );
        let level = draws.uniform(Purpose::FakeSigma { update }, 1)[0];
        put(format!("fake{update}.level"), one(level));
    }
    tensors
}

fn gaussian(seed: u64, [channels, height, width]: [usize; 3]) -> Tensor {
    let grid = Grid {
        channels,
        height,
        width,
    };
    NoiseDraw::from_seeds(&[seed], 0, grid, &Device::Cpu)
        .unwrap()
        .initial
}

fn step(trainer: &mut Trainer) -> Value {
    let mut turns = vec![Turn::now()];
    let report = trainer.step(&mut || {
        turns.push(Turn::now());
        ControlFlow::Continue(())
    });
    turns.push(Turn::now());
    // the turn before the first part is asked for at once
    turns.remove(0);
    let spans = turns
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_secs_f64() * 1e3);
    let ms: HashMap<_, _> = PARTS.into_iter().zip(spans).collect();
    let peaks = turns.iter().skip(1).map(|turn| turn.peak_mib);
    let peak_mib: HashMap<_, _> = PARTS.into_iter().zip(peaks).collect();
    json!({ "ms": ms, "peak_mib": peak_mib, "report": report.unwrap() })
}

/// The end of a part.
struct Turn {
    at: Instant,
    /// Most resident memory since the turn before.
    peak_mib: f64,
}

impl Turn {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            at: Instant::now(),
            peak_mib: peak / 1024.0,
        }
    }
}

fn answer(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}
