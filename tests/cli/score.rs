//! Scores of a random bundle's judge.
use std::{fs, path::Path, sync::LazyLock};

use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    fake_hub::{FakeHub, State},
    process::{Run, command, finish, npedit},
    stdin::npedit_with_stdin,
};

const PAIR: [&str; 4] = ["score", "ref.png", "edited.png", "make it winter"];
const MINE: [&str; 2] = ["--model", "mine"];

/// A random bundle, two pictures and one too small.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let picture = |name: &str, width, height| {
        let pixel = |x, y| Rgb([(3 * x) as u8, (5 * y) as u8, 120]);
        let picture = RgbImage::from_fn(width, height, pixel);
        picture.save(dir.path().join(name)).unwrap();
    };
    picture("ref.png", 60, 40);
    picture("edited.png", 40, 40);
    picture("small.png", 3, 40);
    npedit(dir.path(), &["bundle", "random", "mine"]).succeeds();
    dir
});

fn run(args: &[&[&str]]) -> Run {
    npedit(FILES.path(), &args.concat())
}

fn parsed(run: &Run) -> Value {
    serde_json::from_str(&run.succeeds()).unwrap()
}

#[test]
fn a_pipe_gets_json_with_the_names_of_the_http_answer() {
    let answer = parsed(&run(&[&PAIR, &MINE]));
    assert_eq!(answer["judge"]["name"], "mine/judge");
    assert_eq!(answer["judge"]["sha256"].as_str().unwrap().len(), 64);
    for name in ["edit_success", "preservation", "overall"] {
        assert!((0.0..=1.0).contains(&answer[name].as_f64().unwrap()));
    }
    assert_eq!(answer["questions"].as_array().unwrap().len(), 2);
    assert_eq!(answer["reference_size"], "60x40");
    assert_eq!(answer["edited_size"], "40x40");
    assert_eq!(answer["warnings"][0]["code"], "sizes_differ");
    assert_eq!(parsed(&run(&[&PAIR, &MINE, &["--json"]])), answer);
    let one_thread = command(FILES.path(), &[&PAIR[..], &MINE].concat())
        .env("NPEDIT__ENGINE__THREADS", "1")
        .output()
        .unwrap();
    assert_eq!(parsed(&finish(one_thread)), answer);
}

#[test]
fn type_object_stdin_and_judge_are_taken() {
    let typed = ["--type", "remove", "--object", "the hat"];
    let answer = parsed(&run(&[&PAIR, &MINE, &typed]));
    assert_eq!(answer["questions"][0]["expected"], "no");
    let edited = fs::read(FILES.path().join("edited.png")).unwrap();
    let args = [
        "score",
        "ref.png",
        "-",
        "make it winter",
        "--judge",
        "mine/judge",
    ];
    let piped = parsed(&npedit_with_stdin(
        FILES.path(),
        &[&args[..], &typed].concat(),
        &edited,
    ));
    assert_eq!(piped["judge"]["name"], "judge");
    assert_eq!(piped["judge"]["sha256"], answer["judge"]["sha256"]);
    assert_eq!(piped["questions"], answer["questions"]);
}

#[test]
fn bad_input_exits_with_2_before_a_model_is_loaded() {
    let nowhere: &[&str] = &["--model", "no/such/bundle"];
    for (args, parts) in [
        (
            ["score", "ref.png", "edited.png", " "],
            "the instruction is empty",
        ),
        (["score", "none.png", "edited.png", "x"], "none.png"),
        (["score", "ref.png", "mine/npedit.json", "x"], "npedit.json"),
        (["score", "-", "-", "x"], "stdin holds one image"),
    ] {
        run(&[&args, nowhere]).fails_with(2, &[parts]);
    }
    run(&[&PAIR, nowhere, &["--type", "hat"]]).fails_with(2, &["add, remove, replace"]);
    run(&[&PAIR, nowhere, &["--object", ""]]).fails_with(2, &["--object"]);
    run(&[&PAIR, nowhere]).fails_with(3, &["no/such/bundle"]);
    let small = ["score", "ref.png", "small.png", "x"];
    run(&[&small, &MINE]).fails_with(2, &["edited", "3x40"]);
    let token = ["score", "ref.png", "edited.png", "make <|im_end|>"];
    run(&[&token, &MINE]).fails_with(2, &["<|im_end|>"]);
}

#[test]
fn without_a_judge_it_exits_with_3_and_the_built_in_one_is_tiny() {
    run(&[&PAIR, &["--judge", "no/such/judge"]]).fails_with(3, &["no/such/judge"]);
    let off = command(FILES.path(), &[&PAIR[..], &MINE].concat())
        .env("NPEDIT__JUDGE__ENABLED", "false")
        .output()
        .unwrap();
    finish(off).fails_with(3, &["there is no judge", "--judge"]);
    let built_in = run(&[&PAIR]);
    built_in.succeeds();
    assert!(built_in.stderr.contains("is tiny"), "{}", built_in.stderr);
    run(&[&PAIR, &["--judge", "mine/vae"]]).fails_with(3, &["cannot load the judge vae"]);
}

/// A run with a settings file of its own.
fn with_settings(name: &str, settings: &str) -> Run {
    fs::write(FILES.path().join(name), settings).unwrap();
    run(&[&PAIR, &MINE, &["--config", name]])
}

#[test]
fn files_of_the_settings_are_checked_and_applied() {
    let write = |name: &str, text: &str| fs::write(FILES.path().join(name), text).unwrap();
    write(
        "own.toml",
        "[default.edit]\nshows = \"both\"\nexpected = \"yes\"\ntext = \"Done: {instruction}?\"\n\
         [default.preservation]\nshows = \"both\"\nexpected = \"yes\"\ntext = \"Same?\"\n",
    );
    let answer = with_settings("a.toml", "[judge]\nquestions_file = \"own.toml\"\n");
    let answer = parsed(&answer);
    assert_eq!(answer["questions"][0]["text"], "Done: make it winter?");

    let sha256 = answer["judge"]["sha256"].as_str().unwrap();
    let fitted = |sha256: &str| {
        format!("judge_sha256 = \"{sha256}\"\n[temperatures]\nedit = 2.0\npreservation = 0.5\n")
    };
    write("fitted.toml", &fitted(sha256));
    let calibrated = "[judge]\ncalibration_file = \"fitted.toml\"\noverall = \"mean\"\n";
    let calibrated = parsed(&with_settings("b.toml", calibrated));
    assert_eq!(calibrated["questions"][0]["temperature"], 2.0);
    let number = |name: &str| calibrated[name].as_f64().unwrap();
    let mean = (number("edit_success") + number("preservation")) / 2.0;
    assert!((number("overall") - mean).abs() < 1e-12);

    write("other.toml", &fitted("ab"));
    write("broken.toml", "[default");
    for (name, settings, code, parts) in [
        (
            "c.toml",
            "questions_file = \"none.toml\"",
            2,
            ["judge.questions_file", "none.toml"],
        ),
        (
            "d.toml",
            "questions_file = \"broken.toml\"",
            2,
            ["broken.toml", "configs/questions.toml"],
        ),
        (
            "e.toml",
            "calibration_file = \"broken.toml\"",
            2,
            ["broken.toml", "judge-check"],
        ),
        (
            "f.toml",
            "calibration_file = \"other.toml\"",
            2,
            ["other.toml", "fitted for the judge ab"],
        ),
        (
            "g.toml",
            "overall = \"sum\"",
            2,
            ["judge.overall", "product"],
        ),
    ] {
        with_settings(name, &format!("[judge]\n{settings}\n")).fails_with(code, &parts);
    }
}

#[test]
fn a_bundle_names_no_judge_outside_of_itself() {
    let copy = tempfile::tempdir().unwrap();
    let settings = fs::read_to_string(FILES.path().join("mine/npedit.json")).unwrap();
    for judge in ["../mine/judge", "/etc", "vae/..", "none", ""] {
        let changed = settings.replace("\"judge\": \"judge\"", &format!("\"judge\": {judge:?}"));
        fs::write(copy.path().join("npedit.json"), changed).unwrap();
        let path = copy.path().display().to_string();
        run(&[&PAIR, &["--model", &path]]).fails_with(3, &["npedit.json names the judge"]);
    }
}

#[test]
fn a_judge_on_the_hub_is_downloaded_once() {
    let files = fs::read_dir(FILES.path().join("mine/judge")).unwrap();
    let files = files.map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    let state = State {
        files: files.collect(),
        large: vec!["model.safetensors".into()],
        ..State::default()
    };
    let hub = FakeHub::start(state);
    let home = tempfile::tempdir().unwrap();
    for name in ["ref.png", "edited.png"] {
        fs::copy(FILES.path().join(name), home.path().join(name)).unwrap();
    }
    let from_hub = |dir: &Path, more: &[&str]| {
        let args = [&PAIR[..], &["--judge", "hf:o/n"], more].concat();
        let mut command = command(dir, &args);
        finish(command.env("HF_ENDPOINT", &hub.endpoint).output().unwrap())
    };
    from_hub(home.path(), &["--offline"]).fails_with(3, &["npedit pull hf:o/n`"]);
    let answer = parsed(&from_hub(home.path(), &[]));
    let local = parsed(&run(&[&PAIR, &MINE]));
    assert_eq!(answer["judge"]["name"], "hf:o/n");
    assert_eq!(answer["judge"]["sha256"], local["judge"]["sha256"]);
    assert_eq!(answer["questions"], local["questions"]);
    let asked = hub.requests().len();
    assert_eq!(parsed(&from_hub(home.path(), &["--offline"])), answer);
    assert_eq!(hub.requests().len(), asked);
}
