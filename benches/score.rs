//! Judges edits on demand for `score_side_by_side.py`: one JSON request per line in, one JSON answer out.
//!
//! The protocol is described in `peer/judge.py`, its other speaker. Threads: `RAYON_NUM_THREADS`.
#![allow(clippy::unwrap_used)]
use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Device, Tensor, Var};
use npedit::{
    models::{
        files::{Files, JUDGE},
        folder::Folder,
        vlm::{Picture, Rounding},
    },
    nn::Compute,
    pipelines::{
        image::{self, ImageLimits, to_pixels},
        judge::{AnswerLogits, Judge, JudgeSettings, Overall, Pair, Spelling, Temperatures, unit},
        questions::{Answer, Question, QuestionKind, QuestionSet, Shows},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Request {
    reference: PathBuf,
    edited: PathBuf,
    questions: Vec<String>,
    way: Way,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Together,
    Separate,
    Backward,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let Some(bundle) = arguments.next() else {
        // `cargo bench` runs every bench without arguments; this one is only ever asked.
        println!("run benches/score_side_by_side.py");
        return;
    };
    let judge = load(Path::new(&bundle));
    answer(&json!({ "ready": true }));
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line.unwrap()).unwrap();
        answer(&score(&judge, &request));
    }
}

fn load(bundle: &Path) -> Judge {
    let folder = Folder::below(Files::Directory(bundle.to_owned()), JUDGE);
    let compute = Compute {
        device: Device::Cpu,
        dtype: DType::F32,
    };
    let settings = JudgeSettings {
        questions: QuestionSet::built_in(),
        spelling: Spelling::Exact,
        overall: Overall::Product,
        temperatures: Temperatures::default(),
    };
    Judge::load("bench", &folder, &compute, settings).unwrap()
}

fn score(judge: &Judge, request: &Request) -> Value {
    let asked = request.questions.iter();
    let questions: Vec<_> = asked.map(|text| question(text)).collect();
    let (reference, edited) = (pixels(&request.reference), pixels(&request.edited));
    let start = Instant::now();
    let edited = Var::from_tensor(&edited).unwrap();
    let picture = |pixels: &Tensor| Picture {
        pixels: unit(pixels).unwrap(),
        rounding: Rounding::Exact,
    };
    let pair = |edited: &Tensor| Pair {
        reference: picture(&reference),
        edited: picture(edited),
    };
    let (logits, gradient) = match request.way {
        Way::Together => (
            vec![judge.ask(&pair(&edited.detach()), &questions).unwrap()],
            None,
        ),
        Way::Separate => {
            let pair = pair(&edited.detach());
            let one = |question| judge.ask(&pair, std::slice::from_ref(question)).unwrap();
            (questions.iter().map(one).collect(), None)
        }
        Way::Backward => {
            let logits = judge.ask(&pair(edited.as_tensor()), &questions).unwrap();
            let loss = loss(&logits);
            let gradients = loss.backward().unwrap();
            (vec![logits], gradients.get(edited.as_tensor()).cloned())
        }
    };
    let p_yes: Vec<f64> = logits.iter().flat_map(p_yes).collect();
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let gradient_norm = gradient.map(|grad| {
        let squares = grad.sqr().unwrap().sum_all().unwrap();
        squares.to_scalar::<f32>().unwrap().sqrt()
    });
    json!({ "ms": ms, "p_yes": p_yes, "gradient_norm": gradient_norm })
}

fn question(text: &str) -> Question {
    Question {
        kind: QuestionKind::Custom,
        shows: Shows::Both,
        text: text.to_owned(),
        expected: Answer::Yes,
    }
}

/// `[3, H, W]` in [-1, 1].
fn pixels(path: &Path) -> Tensor {
    let image = image::decode(&std::fs::read(path).unwrap(), &ImageLimits::default()).unwrap();
    let pixels = to_pixels(&image.rgb, &Device::Cpu).unwrap();
    pixels.squeeze(0).unwrap()
}

/// Mean binary cross-entropy towards Yes.
fn loss(logits: &AnswerLogits) -> Tensor {
    let margin = logits.margin().unwrap();
    let odds = margin.neg().unwrap().exp().unwrap();
    (odds + 1.0).unwrap().log().unwrap().mean_all().unwrap()
}

fn p_yes(logits: &AnswerLogits) -> Vec<f64> {
    let margins = logits.margin().unwrap().to_vec1::<f32>().unwrap();
    let p = |margin: f32| 1.0 / (1.0 + f64::from(-margin).exp());
    margins.into_iter().map(p).collect()
}

fn answer(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}
