//! Runs edits on demand for `side_by_side.py`: one JSON request per line in, one JSON answer out.
//!
//! The protocol is described in `peer/worker.py`, its other speaker. Threads: `RAYON_NUM_THREADS`.
#![allow(clippy::unwrap_used)]
use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device};
use npedit::{
    models::files::Files,
    pipelines::{
        bundle::{BundleSource, EditBundle, GeneratorWeights, Placement},
        edit::{EditPipeline, unobserved},
        image::{self, ImageLimits, OutputFormat, OutputSize},
        noise::NoiseDraw,
        request::{EditInput, NoiseSource, PreprocessRule},
    },
};
use serde::Deserialize;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Request {
    image: PathBuf,
    instruction: String,
    noise: PathBuf,
    sigmas: Vec<f64>,
    picture: PathBuf,
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let Some(bundle) = arguments.first() else {
        // `cargo bench` runs every bench without arguments; this one is only ever asked.
        println!("run benches/side_by_side.py");
        return;
    };
    let device = match option(&arguments, "--device") {
        Some("cuda") => Device::new_cuda(0).unwrap(),
        _ => Device::Cpu,
    };
    let dtype = match option(&arguments, "--dtype") {
        Some("bfloat16") => DType::BF16,
        _ => DType::F32,
    };
    let mut pipeline = load(Path::new(bundle), device, dtype);
    answer(&json!({ "ready": true }));
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line.unwrap()).unwrap();
        answer(&edit(&mut pipeline, request));
    }
}

fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn load(directory: &Path, device: Device, dtype: DType) -> EditPipeline {
    let source = BundleSource {
        name: directory.display().to_string(),
        files: Files::Directory(directory.to_owned()),
        generator: GeneratorWeights::Bundle,
    };
    let placement = Placement {
        device,
        transformer: dtype,
        text_encoder: dtype,
        vae: dtype,
    };
    EditPipeline {
        bundle: EditBundle::load(&source, &placement).unwrap(),
    }
}

fn edit(pipeline: &mut EditPipeline, request: Request) -> serde_json::Value {
    let bytes = std::fs::read(&request.image).unwrap();
    let source = image::decode(&bytes, &ImageLimits::default()).unwrap();
    let (width, height) = source.rgb.dimensions();
    pipeline.bundle.settings.target_area_px = u64::from(width) * u64::from(height);
    pipeline.bundle.settings.sigmas = request.sigmas;
    let input = EditInput {
        image: source,
        instruction: request.instruction,
        noise: NoiseSource::Given(
            NoiseDraw::load(&request.noise, &pipeline.bundle.device).unwrap(),
        ),
        steps: pipeline.bundle.settings.sigmas.len(),
        size: OutputSize::Auto,
        preprocess: PreprocessRule::Area,
    };
    let output = pipeline.run(&input, &mut unobserved).unwrap();
    let png = image::encode(&output.images[0].rgb, &OutputFormat::Png).unwrap();
    std::fs::write(&request.picture, png).unwrap();
    let ms: serde_json::Map<_, _> = output
        .timings
        .iter()
        .map(|(stage, time)| {
            let name = serde_json::to_value(stage)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned();
            (name, json!(time.as_secs_f64() * 1e3))
        })
        .collect();
    json!({ "ms": ms })
}

fn answer(value: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}
