//! The steps, from noise to picture, in both attention modes.
use std::ops::ControlFlow;

use candle_core::Tensor;
use npedit::{
    models::zimage::{PaddingAttention, Position, Transformer, caption_positions, image_positions},
    pipelines::{
        denoise::Denoiser,
        image::from_pixels,
        noise::NoiseDraw,
        sampler::Sampler,
        sigmas::Sigmas,
        velocity::{EditConditioning, Generator},
    },
};

use super::{Case, Conditioned};
use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, numbers, texts},
};

/// Velocities and latents of a whole run, `[S, B, C, h, w]` each.
struct Run {
    velocities: Tensor,
    latents: Tensor,
}

pub fn compare(
    system: &System,
    case: &Case,
    conditioned: &Conditioned,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let conditioning = &conditioned.conditioning;
    let sigmas = Sigmas::from_levels(&numbers(&case.json["timesteps"]))?;
    let step_noise = system.latents(&case.input("step_noise"))?;
    let noise = NoiseDraw {
        initial: system.latents(&case.input("noise"))?,
        steps: (0..step_noise.dim(0)?)
            .map(|step| step_noise.get(step))
            .collect::<Result<_, _>>()?,
    };
    compare_times(system, case, &sigmas, conditioning, ledger)?;
    let mut velocities = Vec::new();
    for mode in texts(&case.json["modes"]) {
        let padding = match mode.as_str() {
            "fa4" => PaddingAttention::Attend,
            "masked" => PaddingAttention::Mask,
            other => return Err(format!("unknown mode {other}").into()),
        };
        let editor = system.bundle.generator.0.with_padding(padding);
        compare_taps(case, &mode, &editor, (&noise, conditioning), ledger)?;
        for method in texts(&case.json["methods"]) {
            let path = format!("{mode}.{method}");
            if !ledger.wants_below(&case.out(&path)) {
                continue;
            }
            let sampler = match method.as_str() {
                "ddim" => Sampler::Stochastic {
                    eta: case.json["eta"].as_f64().ok_or("a case has no eta")?,
                },
                "euler" => Sampler::Euler,
                other => return Err(format!("unknown method {other}").into()),
            };
            let generator = Generator(editor.clone());
            let denoiser = Denoiser {
                model: &generator,
                conditioning,
                sigmas: &sigmas,
                sampler,
            };
            let run = run(&denoiser, &noise)?;
            for (name, ours) in [("v", &run.velocities), ("x", &run.latents)] {
                let name = case.out(&format!("{path}.{name}"));
                if ledger.wants(&name) {
                    ledger.tensor(&name, &ours.unsqueeze(3)?, "velocities")?;
                }
            }
            if method == "ddim" {
                compare_picture(system, case, &mode, &run, ledger)?;
                velocities.push(run.velocities);
            }
        }
    }
    let gap = case.expected("max_abs_v_fa4_minus_masked");
    if let ([attend, mask], true) = (&velocities[..], ledger.wants(&gap)) {
        let ours = values(&(attend - mask)?)?
            .iter()
            .fold(0.0, |most: f64, gap| most.max(gap.abs()));
        let recorded = numbers(
            system
                .variant
                .expected(case.json, "expected.max_abs_v_fa4_minus_masked")?,
        );
        ledger.values(&gap, &[ours], &recorded, "velocities");
    }
    Ok(())
}

fn run(denoiser: &Denoiser<'_, Generator>, noise: &NoiseDraw) -> Result<Run, Failure> {
    let (mut velocities, mut latents) = (Vec::new(), Vec::new());
    denoiser.run(noise, &mut |step| {
        velocities.push(step.velocity.clone());
        latents.push(step.latents.clone());
        ControlFlow::Continue(())
    })?;
    Ok(Run {
        velocities: Tensor::stack(&velocities, 0)?,
        latents: Tensor::stack(&latents, 0)?,
    })
}

/// Time embeddings, positions and rotations, which no mode changes.
fn compare_times(
    system: &System,
    case: &Case,
    sigmas: &Sigmas,
    conditioning: &EditConditioning,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let editor = &system.bundle.generator.0;
    let EditConditioning {
        reference,
        instruction,
    } = conditioning;
    let layout = editor.layout(&[reference, reference], instruction)?;
    let (mut levels, mut noisy) = (Vec::new(), Vec::new());
    for (sigma, _) in sigmas.pairs() {
        let batch = Tensor::full(sigma as f32, reference.dim(0)?, reference.device())?;
        let times = editor.embed_times(&batch, &layout)?;
        noisy.push(times.noisy);
        levels.push(batch);
        if let (Some((clean, _)), true) = (times.clean, ledger.wants(&case.out("temb_clean"))) {
            ledger.tensor(&case.out("temb_clean"), &clean, "hidden states")?;
        }
    }
    ledger.tensor(
        &case.out("t_model"),
        &Tensor::stack(&levels, 0)?,
        "timesteps",
    )?;
    ledger.tensor(
        &case.out("temb_noisy"),
        &Tensor::stack(&noisy, 0)?,
        "hidden states",
    )?;
    if !case.json["detail"].as_bool().unwrap_or(false) {
        return Ok(());
    }
    let captions = instruction.features.dim(1)?;
    for (segment, positions, rotations) in [
        (
            "img",
            image_positions(captions, 2, layout.grid),
            &layout.image.rotations,
        ),
        (
            "cap",
            caption_positions(captions),
            &layout.caption.rotations,
        ),
    ] {
        let name = case.out(&format!("{segment}_pos_ids"));
        ledger.values(
            &name,
            &flat(&positions),
            &values(&system.tensor(&name)?)?,
            "position ids",
        );
        for (part, table) in [("cos", &rotations.cos), ("sin", &rotations.sin)] {
            ledger.tensor(
                &case.out(&format!("{segment}_rope_{part}")),
                table,
                "rope cos/sin",
            )?;
        }
    }
    Ok(())
}

fn flat(positions: &[Position]) -> Vec<f64> {
    positions
        .iter()
        .flatten()
        .map(|at| f64::from(*at))
        .collect()
}

/// Hidden states of the first step.
fn compare_taps(
    case: &Case,
    mode: &str,
    editor: &Transformer,
    (noise, conditioning): (&NoiseDraw, &EditConditioning),
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let tap = |name: &str| case.out(&format!("{mode}.ddim.{name}"));
    if !["noise_refiner", "context_refiner", "unified"]
        .iter()
        .any(|name| ledger.wants(&tap(name)))
    {
        return Ok(());
    }
    let first = numbers(&case.json["timesteps"])[0] as f32;
    let frames = [&conditioning.reference, &noise.initial];
    let sigma = Tensor::full(first, noise.initial.dim(0)?, noise.initial.device())?;
    let layout = editor.layout(&frames, &conditioning.instruction)?;
    let times = editor.embed_times(&sigma, &layout)?;
    let image = editor.refine_image(&editor.embed_image(&frames)?, &layout, &times)?;
    let caption =
        editor.refine_captions(&editor.embed_captions(&conditioning.instruction)?, &layout)?;
    let every_token = 0..image.dim(1)? + caption.dim(1)?;
    let unified = editor.mix([&image, &caption], &layout, &times, every_token)?;
    for (name, state) in [
        ("noise_refiner", &image),
        ("context_refiner", &caption),
        ("unified", &unified),
    ] {
        if ledger.wants(&tap(name)) {
            ledger.tensor(&tap(name), state, "hidden states")?;
        }
    }
    Ok(())
}

/// The decoded last latents, and the pictures.
fn compare_picture(
    system: &System,
    case: &Case,
    mode: &str,
    run: &Run,
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    let last = run.latents.get(run.latents.dim(0)? - 1)?;
    let decoded = system.bundle.vae.decode(&last)?;
    let name = case.out(&format!("{mode}.ddim.decoded"));
    if ledger.wants(&name) {
        ledger.tensor(&name, &decoded.unsqueeze(2)?, "decoded")?;
    }
    let key = format!("png_{mode}");
    if ledger.wants(&case.expected(&key)) {
        let paths = texts(
            system
                .variant
                .expected(case.json, &format!("expected.{key}"))?,
        );
        let mut recorded = Vec::new();
        for path in paths {
            recorded.extend(system.image(&path)?.into_raw());
        }
        let ours: Vec<u8> = from_pixels(&decoded)?
            .into_iter()
            .flat_map(|image| image.into_raw())
            .collect();
        let samples = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|sample| f64::from(*sample))
                .collect::<Vec<_>>()
        };
        ledger.values(
            &case.expected(&key),
            &samples(&ours),
            &samples(&recorded),
            "uint8 image",
        );
    }
    let key = format!("clipped_fraction_{mode}");
    if ledger.wants(&case.expected(&key)) {
        let recorded = numbers(
            system
                .variant
                .expected(case.json, &format!("expected.{key}"))?,
        );
        ledger.values(
            &case.expected(&key),
            &[clipped(&decoded)?],
            &recorded,
            "decoded",
        );
    }
    Ok(())
}

/// Share of samples outside of what a picture can show.
pub fn clipped(decoded: &Tensor) -> Result<f64, Failure> {
    let samples = values(decoded)?;
    let outside = samples.iter().filter(|sample| sample.abs() > 1.0).count();
    Ok(outside as f64 / samples.len() as f64)
}
