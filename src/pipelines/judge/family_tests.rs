use std::fs;

use candle_core::Device;
use image::RgbImage;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    models::{
        error::LoadError,
        files::{Files, JUDGE},
        random::{self, Preset},
        weights::Weights,
    },
    pipelines::questions::{Answer, QuestionKind},
};

/// The last of the random judge's tokens.
const IMAGE_TOKEN: u32 = 264;
const VOCABULARY: u32 = 265;
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{% for part in message.content %}{% if part.type == 'image' %}<IMG_CONTEXT>{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}<|im_start|>";

fn compute() -> Compute {
    Compute {
        device: Device::Cpu,
        dtype: DType::F32,
    }
}

fn settings() -> JudgeSettings {
    JudgeSettings {
        questions: QuestionSet::built_in(),
        spelling: Spelling::Exact,
        overall: Overall::Product,
        temperatures: Temperatures::default(),
    }
}

/// The folder of a random judge, in which `files` replace or join its own.
fn folder(files: &[(&str, String)]) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    random::write(&dir.path().join("bundle"), Preset::Tiny, 5).unwrap();
    let judge = dir.path().join("bundle").join(JUDGE);
    for (name, content) in files {
        fs::write(judge.join(name), content).unwrap();
    }
    let folder = Folder::root(Files::Directory(judge));
    (dir, folder)
}

fn text_config(kind: &str) -> Value {
    json!({
        "head_dim": 4, "hidden_size": 8, "intermediate_size": 8, "model_type": kind, "num_attention_heads": 2,
        "num_hidden_layers": 2, "num_key_value_heads": 1, "rope_theta": 10000.0, "vocab_size": VOCABULARY
    })
}

fn llava() -> [Value; 2] {
    let pinpoints = json!([[12, 12], [24, 36]]);
    let config = json!({
        "model_type": "llava_onevision", "image_token_index": IMAGE_TOKEN, "image_grid_pinpoints": pinpoints,
        "text_config": text_config("qwen2"),
        "vision_config": {
            "hidden_size": 8, "image_size": 12, "intermediate_size": 12, "num_attention_heads": 2,
            "num_hidden_layers": 1, "patch_size": 6
        }
    });
    let preprocessor = json!({
        "image_grid_pinpoints": pinpoints, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "size": {"height": 12, "width": 12}
    });
    [config, preprocessor]
}

fn qwen() -> [Value; 2] {
    let mut text = text_config("qwen3_vl_text");
    text["rope_scaling"] = json!({"mrope_interleaved": true, "mrope_section": [1, 1, 0]});
    let config = json!({
        "model_type": "qwen3_vl", "image_token_id": IMAGE_TOKEN, "text_config": text,
        "vision_config": {
            "deepstack_visual_indexes": [0], "depth": 1, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 8,
            "intermediate_size": 12, "num_heads": 2, "num_position_embeddings": 9, "out_hidden_size": 8,
            "patch_size": 2, "spatial_merge_size": 2, "temporal_patch_size": 2
        }
    });
    let preprocessor = json!({
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 64, "longest_edge": 160},
        "patch_size": 2, "temporal_patch_size": 2, "merge_size": 2
    });
    [config, preprocessor]
}

/// A judge of these configs, its weights made from their names.
fn judge([config, preprocessor]: [Value; 2]) -> Judge {
    let (_dir, folder) = folder(&[
        ("config.json", config.to_string()),
        ("preprocessor_config.json", preprocessor.to_string()),
        ("chat_template.jinja", TEMPLATE.into()),
    ]);
    let weights = Weights::drawn("random", |name, shape| {
        let seed: u32 = name.bytes().map(u32::from).sum();
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| ((i as f32 + 1.3) * 2.1 + seed as f32).sin() * 0.4);
        Tensor::from_iter(values, &Device::Cpu)?.reshape(shape)
    });
    let model = VisionLanguageModel::build(&folder, weights, &compute()).unwrap();
    let tokens = AnswerTokens::find(model.chat().tokenizer(), Spelling::Exact, &folder).unwrap();
    Judge {
        model,
        settings: settings(),
        tokens,
        identity: JudgeIdentity {
            name: "test".into(),
            sha256: String::new(),
        },
    }
}

fn picture(height: usize, width: usize) -> Picture {
    let values = (0..3 * height * width).map(|i| ((i * 37 % 255) as f32) / 255.0);
    let pixels = Tensor::from_iter(values, &Device::Cpu).unwrap();
    Picture {
        pixels: pixels.reshape((3, height, width)).unwrap(),
        rounding: Rounding::EightBit,
    }
}

fn question(text: &str, shows: Shows) -> Question {
    Question {
        kind: QuestionKind::Edit,
        shows,
        text: text.into(),
        expected: Answer::Yes,
    }
}

#[test]
fn a_batch_answers_as_its_questions_alone() {
    for configs in [llava(), qwen()] {
        let judge = judge(configs);
        let pair = Pair {
            reference: picture(17, 9),
            edited: picture(14, 30),
        };
        let questions = [
            question("Is it there?", Shows::Both),
            question("Is the rest as it was before?", Shows::Both),
            question("Gone?", Shows::Edited),
        ];
        let margins = |questions: &[Question]| {
            let margin = judge.ask(&pair, questions).unwrap().margin().unwrap();
            margin.to_vec1::<f32>().unwrap()
        };
        let alone = questions.clone().map(|question| margins(&[question])[0]);
        assert!(alone.iter().all(|margin| margin.is_finite()) && alone[0] != alone[1]);
        // the first two share their pictures, all three share nothing but the start
        for asked in [&questions[..2], &questions] {
            for (together, alone) in margins(asked).into_iter().zip(alone) {
                assert!((together - alone).abs() < 1e-5, "{together} {alone}");
            }
        }
    }
}

#[test]
fn scores_of_several_edits_are_those_of_each_alone() {
    let picture = |side: u32, seed: u32| {
        RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([
                (x * 7 + seed * 31) as u8,
                (y * 5) as u8,
                (x * y + seed) as u8,
            ])
        })
    };
    let input = |seed: u32, side: u32, instruction: &str| ScoreInput {
        reference: picture(side, seed),
        edited: picture(side, seed + 9),
        edit: EditDescription {
            instruction: instruction.into(),
            ..EditDescription::default()
        },
        questions: Vec::new(),
    };
    let mut own = input(3, 24, "add a boat");
    own.questions = vec![question("Is there a boat?", Shows::Edited)];
    let inputs = [
        input(0, 24, "make it red"),
        input(1, 24, "remove the large boat on the left of the lake"),
        // of another size, too small, too long, and with a question of one picture: each alone
        input(2, 31, "make it red"),
        input(4, 1, "make it red"),
        input(5, 24, &"long ".repeat(10_000)),
        own,
        input(6, 24, "a"),
    ];
    for judge in [internvl(), judge(qwen())] {
        let numbers = |score: Result<Score, JudgeError>| -> Result<Vec<f64>, String> {
            let score = score.map_err(|error| error.to_string())?;
            Ok(score
                .verdicts
                .iter()
                .map(|verdict| verdict.yes_logit)
                .collect())
        };
        let alone: Vec<_> = inputs
            .iter()
            .map(|input| numbers(judge.score(input)))
            .collect();
        let inputs: Vec<_> = inputs.iter().collect();
        let together = judge.score_together(&mut Looked::default(), &inputs);
        for (alone, together) in alone.into_iter().zip(together) {
            assert_eq!(alone, numbers(together));
        }
    }
}

/// A judge of the tiny bundle's own family.
fn internvl() -> Judge {
    let (_dir, folder) = folder(&[]);
    Judge::load("test", &folder, &compute(), settings()).unwrap()
}

#[test]
fn a_recomputed_judge_has_the_plain_gradient_to_the_bit() {
    use crate::nn::Collected;

    for make in [
        internvl as fn() -> Judge,
        || judge(llava()),
        || judge(qwen()),
    ] {
        let bits = |judge: Judge| -> Vec<u32> {
            let leaf = candle_core::Var::from_tensor(&picture(14, 30).pixels).unwrap();
            let pair = Pair {
                reference: picture(17, 19),
                edited: Picture {
                    pixels: leaf.as_tensor().clone(),
                    rounding: Rounding::Exact,
                },
            };
            let questions = [
                question("Is it there?", Shows::Both),
                question("Gone?", Shows::Edited),
            ];
            let margin = judge.ask(&pair, &questions).unwrap().margin().unwrap();
            let grads = margin.sum_all().unwrap().backward().unwrap();
            let grad = grads.get(&leaf).unwrap().flatten_all().unwrap();
            let values = grad.to_vec1::<f32>().unwrap();
            assert!(values.iter().any(|value| *value != 0.0));
            values.into_iter().map(f32::to_bits).collect()
        };
        let again = Activations::Recompute(Collected::default());
        assert_eq!(bits(make()), bits(make().with_activations(again)));
    }
}

#[test]
fn pictures_that_a_judge_cannot_take_are_refused() {
    let judge = judge(qwen());
    let refused = |reference, edited| {
        let pair = Pair { reference, edited };
        let asked = judge.ask(&pair, &[question("Is it there?", Shows::Both)]);
        asked.err().map(|error| error.to_string())
    };
    assert_eq!(refused(picture(4, 800), picture(9, 9)), None);
    let error = refused(picture(9, 9), picture(4, 801)).unwrap();
    assert!(
        error.starts_with("the edited picture is 801x4, and this judge"),
        "{error}"
    );
    let error = refused(picture(1, 9), picture(9, 9)).unwrap();
    assert!(
        error.starts_with("the reference picture is 9x1, and this judge"),
        "{error}"
    );
}

#[test]
fn a_tokenizer_without_an_answer_is_refused() {
    for (first, word) in [("Ye s", "Yes"), ("N o", "No")] {
        let (dir, folder) = folder(&[]);
        let file = dir.path().join("bundle").join(JUDGE).join("tokenizer.json");
        let mut tokenizer: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let merges = tokenizer["model"]["merges"].as_array_mut().unwrap();
        merges.retain(|merge| merge != first);
        fs::write(&file, tokenizer.to_string()).unwrap();
        let error = Judge::load("test", &folder, &compute(), settings()).unwrap_err();
        let LoadError::AnswerToken { word: named, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(named, word);
    }
}

#[test]
fn an_unknown_family_is_named_with_those_that_exist() {
    let (_dir, folder) = folder(&[("config.json", json!({"model_type": "blip"}).to_string())]);
    let error = Judge::load("test", &folder, &compute(), settings()).unwrap_err();
    let message = error.to_string();
    for part in ["blip", "internvl", "llava_onevision", "qwen3_vl"] {
        assert!(message.contains(part), "{message}");
    }
}
