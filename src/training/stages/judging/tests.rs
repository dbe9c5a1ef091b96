use candle_core::{Tensor, Var};

use super::*;
use crate::{
    models::{
        files::{Files, JUDGE},
        folder::Folder,
        random::{self, Preset},
        weights::Weights,
    },
    nn::Compute,
    pipelines::{
        judge::{Judge, JudgeSettings, Overall, ScoreInput, Spelling, Temperatures},
        questions::{EditDescription, EditType, QuestionSet},
    },
    training::{
        draws::Draws,
        optimiser::{AdamWSettings, Hidden, Optimiser},
    },
    world::View,
};

struct Start {
    _dir: tempfile::TempDir,
    folder: Folder,
    stage: Judging,
}

fn start(batch: usize) -> Start {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("world");
    random::write(&root, Preset::World, 3).unwrap();
    let folder = Folder::root(Files::Directory(root.join(JUDGE)));
    let weights = folder.weights().unwrap();
    let weights = weights.into_tensors("", &Compute::cpu()).unwrap();
    let var = |(name, tensor)| (name, Var::from_tensor(&tensor).unwrap());
    let parameters: Parameters = weights.into_iter().map(var).collect();
    let tracked = parameters.iter();
    let tracked = tracked.map(|(name, var)| (name.clone(), var.as_tensor().clone()));
    let weights = Weights::tensors("the trained weights", tracked.collect::<Vec<_>>());
    let model = VisionLanguageModel::build(&folder, weights, &Compute::cpu()).unwrap();
    let stage = Judging::new(model, parameters, (batch, vec![Degradation::Nothing])).unwrap();
    Start {
        _dir: dir,
        folder,
        stage,
    }
}

fn step(stage: &mut Judging, index: u64) -> Outcome {
    let mut go_on = || std::ops::ControlFlow::Continue(());
    let mut step = Step {
        index,
        draws: Draws::new(5, index),
        go_on: &mut go_on,
    };
    stage.step(&mut step).unwrap()
}

#[test]
fn every_weight_has_a_gradient_and_the_loss_falls_on_one_batch() {
    let Start { mut stage, .. } = start(3);
    let parameters = stage.parameters().clone();
    let adam = AdamWSettings {
        learning_rate: 2e-3,
        betas: [0.9, 0.99],
        ..AdamWSettings::default()
    };
    let mut optimiser = Optimiser::new(adam, Hidden::none());
    let first = step(&mut stage, 0);
    for (name, var) in &parameters {
        let grad = first
            .gradients
            .get(name)
            .unwrap_or_else(|| panic!("{name} has none"));
        assert_eq!(grad.dims(), var.dims());
        let size: f32 = grad.abs().unwrap().sum_all().unwrap().to_scalar().unwrap();
        assert!(size > 0.0 && size.is_finite(), "{name}: {size}");
    }
    for _ in 0..12 {
        let gradients = step(&mut stage, 0).gradients;
        optimiser.update(&parameters, &gradients, 2e-3).unwrap();
    }
    let last = step(&mut stage, 0).loss;
    assert!(last < 0.7 * first.loss, "{} to {last}", first.loss);
}

#[test]
fn labels_count_beside_what_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([9, 99, 199]));
    picture.save(dir.path().join("a.png")).unwrap();
    let list = dir.path().join("pairs.jsonl");
    let row = r#"{"reference": "a.png", "edited": "a.png", "instruction": "remove the circle", "question": "edit", "expected": "no"}"#;
    std::fs::write(&list, row).unwrap();
    let Start {
        mut stage, _dir, ..
    } = start(1);
    let drawn = step(&mut stage, 0);
    let edits = Labelled::read(&list).unwrap();
    let mut stage = stage.with_labelled(LabelledEdits { edits, batch: 2 });
    let both = step(&mut stage, 0);
    let terms = both.terms.means();
    assert_eq!(terms["done"], drawn.terms.means()["done"]);
    let labelled = -terms["labelled_done"].ln();
    let more = (both.loss - drawn.loss) / Matter::Done.weight();
    // a mean of probabilities beside one of their logarithms: both pairs differ in their light alone
    assert!(
        (more - labelled).abs() < 0.05 * labelled,
        "{more} {labelled}"
    );
    assert!(!terms.contains_key("labelled_kept"));
}

/// What is trained is what serves: the same answers as one question after the other, by the judge's own files.
#[test]
fn a_batch_answers_as_the_judge_that_serves() {
    let Start {
        folder,
        mut stage,
        _dir,
    } = start(1);
    let settings = JudgeSettings {
        questions: QuestionSet::of_judge(&folder).unwrap(),
        spelling: Spelling::Exact,
        overall: Overall::Product,
        temperatures: Temperatures::default(),
    };
    let judge = Judge::load("world", &folder, &Compute::cpu(), settings).unwrap();
    let pairs: Vec<Pair> = (0..3)
        .map(|index| Pair::draw(&mut SceneRng::new(8, index)))
        .filter(|pair| !pair.is_damaged())
        .collect();
    let seeds = vec![1; pairs.len()];
    // what the batch shows is drawn from its seeds: the same pixels go to the judge
    let drawn = pictures::draw(&pairs, &seeds, ((64, 64), 4), &[Degradation::Nothing]);
    let answers = stage.ask((&pairs, &seeds), (64, 64)).unwrap();
    for ((pair, drawn), answers) in pairs.iter().zip(&drawn).zip(answers) {
        let [reference, edited] = drawn.pixels.each_ref().map(|values| {
            image::RgbImage::from_fn(64, 64, |x, y| {
                let at = |c: usize| values[c * 4096 + (y * 64 + x) as usize];
                image::Rgb([0, 1, 2].map(|c| (at(c) * 255.0).round() as u8))
            })
        });
        for (asked, [done, kept]) in pair.asked.iter().zip(answers) {
            let input = ScoreInput {
                reference: reference.clone(),
                edited: edited.clone(),
                edit: EditDescription {
                    instruction: asked.instruction.clone(),
                    edit_type: EditType::Other,
                    object: String::new(),
                },
                questions: Vec::new(),
            };
            let score = judge.score(&input).unwrap();
            // tints are not rounded to 8 bit in the batch
            assert!((score.edit_success - done).abs() < 0.02, "{score:?} {done}");
            assert!((score.preservation - kept).abs() < 0.02, "{score:?} {kept}");
        }
    }
}

#[test]
fn hints_stand_at_their_words() {
    let Start { mut stage, .. } = start(1);
    let pairs: Vec<Pair> = (0..20)
        .map(|index| Pair::draw(&mut SceneRng::new(9, index)))
        .collect();
    let instructions = pairs.iter().flat_map(|pair| &pair.asked);
    let instructions = instructions.map(|asked| asked.instruction.as_str());
    let questions = stage.prompts.questions(&stage.model, instructions).unwrap();
    let row = stage.prompts.row(&questions);
    let drawn = pictures::draw(&pairs, &[0; 20], ((64, 64), 4), &[Degradation::Nothing]);
    let tokens = Tensor::zeros((40, 16, 96), DType::F32, &candle_core::Device::Cpu).unwrap();
    let sequence = stage
        .prompts
        .sequence(&stage.model, &questions, &tokens)
        .unwrap();
    assert_eq!(sequence.embeddings.dims(), [20, row, 96]);
    assert_eq!(sequence.positions.len(), row);
    let word = |at: usize, word: &str, pair: usize| {
        let id = stage.model.chat().tokenizer().token_to_id(word).unwrap();
        let own = sequence.embeddings.get(pair).unwrap().get(at).unwrap();
        let embedded = stage.model.decoder().embed(&[id]).unwrap().get(0).unwrap();
        assert_eq!(
            own.to_vec1::<f32>().unwrap(),
            embedded.to_vec1::<f32>().unwrap()
        );
    };
    for (at, (pair, drawn)) in pairs.iter().zip(&drawn).enumerate() {
        assert_eq!(drawn.view.height_px, View::square(64).height_px);
        let answers: Vec<_> = (0..QUESTIONS)
            .map(|question| stage.prompts.answers(&questions, at, question))
            .collect();
        for places in &answers {
            word(places.colon, ":", at);
            word(places.done, "done", at);
            word(places.kept, "unchanged", at);
        }
        for hint in hints::hints(pair, drawn, (&stage.prompts.shared, &answers)) {
            assert!(hint.token < row);
            assert!(hint.right < stage.vocabulary.candidates(hint.matter).len());
            match hint.matter {
                Matter::Done => word(hint.token, "done", at),
                Matter::Texture | Matter::Ground => word(hint.token, "background", at),
                Matter::Style | Matter::Damaged => word(hint.token, "image", at),
                _ => {}
            }
        }
    }
}
