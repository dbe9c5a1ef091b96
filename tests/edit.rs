//! The edit pipeline on the built-in bundle: what it promises beyond the recorded numbers.
#![allow(clippy::unwrap_used)]
use std::ops::ControlFlow;

use candle_core::{DType, Device};
use npedit::{
    models::files::Files,
    pipelines::{
        bundle::{BundleSource, EditBundle, GeneratorWeights, Placement},
        edit::{EditPipeline, EditTask, Shared, unobserved},
        error::{EditError, Stage},
        image::{ImageLimits, OutputSize, decode},
        noise::NoiseDraw,
        progress::{Previews, Progress},
        request::{EditInput, EditOutput, EditWarning, NoiseSource, PreprocessRule},
    },
};

const PHOTO: &[u8] = include_bytes!("../examples/cat.jpg");

fn pipeline() -> EditPipeline {
    let source = BundleSource {
        name: "tiny".into(),
        files: Files::Embedded,
        generator: GeneratorWeights::Bundle,
    };
    let placement = Placement {
        device: Device::Cpu,
        transformer: DType::F32,
        text_encoder: DType::F32,
        vae: DType::F32,
    };
    EditPipeline {
        bundle: EditBundle::load(&source, &placement).unwrap(),
    }
}

fn input(noise: NoiseSource) -> EditInput {
    let limits = ImageLimits {
        max_pixels: 1 << 24,
        max_side_px: 8192,
        max_bytes: 1 << 24,
    };
    EditInput {
        image: decode(PHOTO, &limits).unwrap(),
        instruction: "make the sky purple".into(),
        noise,
        steps: 4,
        size: OutputSize::Auto,
        preprocess: PreprocessRule::Area,
    }
}

fn run(input: &EditInput) -> EditOutput {
    pipeline().run(input, &mut unobserved).unwrap()
}

fn bytes(output: &EditOutput) -> Vec<&[u8]> {
    output
        .images
        .iter()
        .map(|image| image.rgb.as_raw().as_slice())
        .collect()
}

#[test]
fn a_picture_does_not_depend_on_its_place_in_the_batch() {
    let five = run(&input(NoiseSource::Seeds(vec![1, 2, 3, 4, 5])));
    assert_eq!(five.images.len(), 5);
    for (index, seed) in [(0, 1), (2, 3), (4, 5)] {
        let alone = run(&input(NoiseSource::Seeds(vec![seed])));
        assert!(
            bytes(&alone)[0] == bytes(&five)[index],
            "seed {seed} differs in a batch"
        );
        assert_eq!(five.images[index].seed, Some(seed));
    }
    assert!(
        bytes(&five)[0] != bytes(&five)[1],
        "two seeds gave one picture"
    );
}

#[test]
fn a_picture_does_not_depend_on_the_number_of_threads() {
    let on_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .unwrap();
        pool.install(|| run(&input(NoiseSource::Seeds(vec![7]))))
    };
    assert!(bytes(&on_threads(1)) == bytes(&on_threads(3)));
}

#[test]
fn saved_noise_gives_the_picture_of_its_seed() {
    let seeded = run(&input(NoiseSource::Seeds(vec![7])));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("noise.safetensors");
    seeded.noise.save(&path).unwrap();
    let noise = NoiseDraw::load(&path, &Device::Cpu).unwrap();
    let given = run(&input(NoiseSource::Given(noise.clone())));
    assert!(bytes(&given) == bytes(&seeded));
    assert_eq!(given.images[0].seed, None);

    let other_steps = EditInput {
        steps: 3,
        ..input(NoiseSource::Given(noise))
    };
    let error = pipeline().run(&other_steps, &mut unobserved).unwrap_err();
    assert!(
        matches!(
            error,
            EditError::NoiseShape {
                tensor: "step_noise",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_answer_has_the_size_of_the_photo_unless_another_is_asked_for() {
    let auto = run(&input(NoiseSource::Seeds(vec![1])));
    assert_eq!(auto.images[0].rgb.dimensions(), (451, 300));
    assert_eq!(auto.model_size, (80, 56));
    let unknown = EditWarning::UnknownWords {
        words: vec!["sky".into()],
    };
    assert_eq!(auto.warnings, [unknown]);
    let square = EditInput {
        size: OutputSize::Exact {
            width: 64,
            height: 64,
        },
        ..input(NoiseSource::Seeds(vec![1]))
    };
    let square = run(&square);
    assert_eq!(square.images[0].rgb.dimensions(), (64, 64));
    assert!(matches!(
        square.warnings[..],
        [
            EditWarning::UnknownWords { .. },
            EditWarning::AspectChanged { .. }
        ]
    ));
}

#[test]
fn a_long_instruction_is_cut_and_said_so() {
    let long = EditInput {
        instruction: "lavender ".repeat(200),
        steps: 1,
        ..input(NoiseSource::Seeds(vec![1]))
    };
    let output = run(&long);
    assert!(
        matches!(output.warnings[0], EditWarning::InstructionTruncated { dropped } if dropped > 800)
    );
}

#[test]
fn every_stage_and_step_is_announced_and_each_can_stop_the_edit() {
    let pipeline = pipeline();
    let input = input(NoiseSource::Seeds(vec![1, 2]));
    let mut heard = Vec::new();
    pipeline
        .run(&input, &mut |progress| {
            heard.push(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(heard.first(), Some(&Progress::Began(Stage::Preprocess)));
    assert_eq!(heard.last(), Some(&Progress::Began(Stage::Postprocess)));
    let steps = heard.iter().filter_map(|p| match p {
        Progress::Step { done, of } => Some((*done, *of)),
        Progress::Began(_) | Progress::Preview { .. } => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), [(2, 8), (4, 8), (6, 8), (8, 8)]);

    for stop_at in 0..heard.len() {
        let mut count = 0;
        let stopped = pipeline.run(&input, &mut |_| {
            count += 1;
            if count > stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(
            matches!(stopped, Err(EditError::Cancelled { .. })),
            "at {stop_at}"
        );
        assert_eq!(count, stop_at + 1);
    }
}

#[test]
fn steps_that_no_edit_has_are_refused() {
    for steps in [0, 9] {
        let input = EditInput {
            steps,
            ..input(NoiseSource::Seeds(vec![1]))
        };
        let error = pipeline().run(&input, &mut unobserved).unwrap_err();
        assert!(matches!(error, EditError::Sigmas(_)), "{error}");
    }
}

fn task<'a>(input: &'a EditInput, previews: Previews) -> EditTask<'a> {
    EditTask {
        input,
        previews,
        observer: Box::new(unobserved),
    }
}

#[test]
fn edits_that_run_together_have_the_bits_that_they_have_alone() {
    let seeds = |seeds: &[u64]| input(NoiseSource::Seeds(seeds.to_vec()));
    let other = EditInput {
        instruction: "make the sky pink".into(),
        ..seeds(&[4])
    };
    let long = EditInput {
        instruction: "make the sky purple, and the water too, ".repeat(5),
        ..seeds(&[4])
    };
    let slower = EditInput {
        steps: 5,
        ..seeds(&[5])
    };
    let inputs = [seeds(&[1]), other, seeds(&[2, 3]), slower, long];
    let pipeline = pipeline();
    let lanes = pipeline.lanes(3).unwrap();
    let mut shared = Shared::new(1 << 24, 1 << 24, 3).on(lanes);
    let tasks = inputs.iter().map(|input| task(input, Previews::Off));
    let together = pipeline.run_together(&pipeline.bundle.generator, &mut shared, tasks.collect());
    let mut batches = Vec::new();
    for (input, output) in inputs.iter().zip(together) {
        let output = output.unwrap();
        assert_eq!(bytes(&output), bytes(&run(input)), "{}", input.instruction);
        batches.push(output.reuse.batch);
    }
    // Three pictures of the first three edits, then the last of them; other steps and longer captions go alone.
    assert_eq!(batches, [3, 3, 3, 1, 1]);
}

#[test]
fn what_was_encoded_before_is_not_encoded_again_and_changes_nothing() {
    let pipeline = pipeline();
    let input = input(NoiseSource::Seeds(vec![6]));
    let mut shared = Shared::new(1 << 24, 1 << 24, 4);
    let again = |input: &EditInput, shared: &mut Shared| {
        let tasks = vec![task(input, Previews::Off)];
        let mut outputs = pipeline.run_together(&pipeline.bundle.generator, shared, tasks);
        outputs.pop().unwrap().unwrap()
    };
    let known = |output: &EditOutput| (output.reuse.text, output.reuse.reference);
    let first = again(&input, &mut shared);
    let second = again(&input, &mut shared);
    assert_eq!(
        (known(&first), known(&second)),
        ((false, false), (true, true))
    );
    assert_eq!(bytes(&first), bytes(&second));
    let other = EditInput {
        instruction: "another".into(),
        ..input.clone()
    };
    assert_eq!(known(&again(&other, &mut shared)), (false, true));
    let exact = EditInput {
        preprocess: PreprocessRule::Reference,
        ..input.clone()
    };
    let exact_again = again(&exact, &mut shared);
    assert_eq!(bytes(&exact_again), bytes(&run(&exact)));
    let mut nothing = Shared::new(0, 0, 4);
    again(&input, &mut nothing);
    assert_eq!(known(&again(&input, &mut nothing)), (false, false));
}

#[test]
fn every_step_but_the_last_shows_what_it_is_getting_at() {
    let pipeline = pipeline();
    let input = input(NoiseSource::Seeds(vec![6, 7]));
    let mut seen = Vec::new();
    let observer = |progress| {
        if let Progress::Preview {
            picture,
            step,
            image,
        } = progress
        {
            seen.push((picture, step));
            assert!(
                image.width().max(image.height()) <= 256,
                "{:?}",
                image.dimensions()
            );
        }
        ControlFlow::Continue(())
    };
    let tasks = vec![EditTask {
        input: &input,
        previews: Previews::EachStep,
        observer: Box::new(observer),
    }];
    let generator = &pipeline.bundle.generator;
    let mut outputs = pipeline.run_together(generator, &mut Shared::default(), tasks);
    assert_eq!(bytes(&outputs.pop().unwrap().unwrap()), bytes(&run(&input)));
    assert_eq!(seen, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]);
}

#[test]
fn one_of_several_that_leaves_takes_nobody_along() {
    let pipeline = pipeline();
    let [leaves, stays] = [8, 9].map(|seed| input(NoiseSource::Seeds(vec![seed])));
    let breaks = |progress| match progress {
        Progress::Step { done: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let tasks = vec![
        EditTask {
            input: &leaves,
            previews: Previews::Off,
            observer: Box::new(breaks),
        },
        task(&stays, Previews::Off),
    ];
    let generator = &pipeline.bundle.generator;
    let mut outputs = pipeline.run_together(generator, &mut Shared::default(), tasks);
    let stayed = outputs.pop().unwrap().unwrap();
    assert_eq!(bytes(&stayed), bytes(&run(&stays)));
    assert!(matches!(
        outputs.pop().unwrap(),
        Err(EditError::Cancelled { steps: 2 })
    ));
}
