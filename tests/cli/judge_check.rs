//! Random judges, and folders that cannot be used.
use std::{fs, path::Path, sync::LazyLock};

use image::{Rgb, RgbImage};
use npedit::models::random::{self, Preset};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Run, command, finish, npedit};

const CHECK: [&str; 4] = ["judge-check", "labelled", "--model", "mine"];
/// Pictures of the folder.
const PICTURES: usize = 12;

/// A random bundle, and a folder whose labels have nothing to do with its pictures.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    random::write(&dir.path().join("mine"), Preset::Tiny, 0).unwrap();
    folder(dir.path(), "labelled", &rows());
    dir
});

fn row(number: usize, question: &str, label: &str) -> Value {
    json!({
        "reference": format!("{}.png", number % PICTURES),
        "edited": format!("{}.png", (number + 1) % PICTURES),
        "instruction": format!("add {number} hats"),
        "edit_type": (["add", "remove"][number % 2]),
        "object": "the hat",
        "question": question,
        "expected": label,
    })
}

/// Two questions about each of 24 edits; labels in runs of two, so that each type has both.
fn rows() -> Vec<Value> {
    let both = |number| {
        let label = ["yes", "no"][(number / 2) % 2];
        [
            row(number, "edit", label),
            row(number, "preservation", label),
        ]
    };
    (0..24).flat_map(both).collect()
}

fn folder(root: &Path, name: &str, rows: &[Value]) {
    let dir = root.join(name);
    fs::create_dir_all(&dir).unwrap();
    for number in 0..PICTURES as u32 {
        let pixel = |x, y| {
            Rgb([
                (number * 20 + 3 * x) as u8,
                (5 * y) as u8,
                (number * x) as u8,
            ])
        };
        let picture = RgbImage::from_fn(40, 32, pixel);
        picture.save(dir.join(format!("{number}.png"))).unwrap();
    }
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(dir.join("pairs.jsonl"), lines).unwrap();
}

fn run(args: &[&[&str]]) -> Run {
    npedit(FILES.path(), &args.concat())
}

fn parsed(run: &Run) -> Value {
    serde_json::from_str(&run.succeeds()).unwrap()
}

#[test]
fn a_random_judge_is_called_no_better_than_chance() {
    let run = run(&[&CHECK, &["--plot", "plot.svg"]]);
    let report = parsed(&run);
    let verdict = report["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("no better than chance"), "{verdict}");
    assert_eq!(
        (report["rows"].as_u64(), report["good"].as_u64()),
        (Some(48), Some(24))
    );
    assert_eq!(report["judge"]["name"], "mine/judge");
    assert!(report["auc_interval"][0].as_f64().unwrap() <= 0.5);
    let names: Vec<_> = report["groups"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names
        .iter()
        .map(|group| {
            (
                group["question"].as_str().unwrap(),
                group["edit_type"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("edit", None),
            ("edit", Some("add")),
            ("edit", Some("remove")),
            ("preservation", None),
            ("preservation", Some("add")),
            ("preservation", Some("remove")),
        ]
    );
    let bins = report["groups"][0]["reliability"].as_array().unwrap();
    let rows: u64 = bins.iter().map(|bin| bin["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 24);
    let plot = fs::read_to_string(FILES.path().join("plot.svg")).unwrap();
    assert!(plot.contains("preservation, remove: 12 rows"), "{plot}");
    assert!(run.stderr.contains("plot.svg"), "{}", run.stderr);
}

#[test]
fn one_label_has_no_auc_and_says_so() {
    let rows: Vec<_> = (0..3).map(|number| row(number, "edit", "yes")).collect();
    folder(FILES.path(), "good", &rows);
    let report = parsed(&run(&[&["judge-check", "good", "--model", "mine"]]));
    assert_eq!(report["auc"], Value::Null);
    let verdict = report["verdict"].as_str().unwrap();
    assert!(verdict.contains("AUC cannot be computed"), "{verdict}");
}

#[test]
fn a_label_is_about_the_edit_and_not_about_the_answer() {
    let score = ["score", "labelled/1.png", "labelled/2.png", "add 1 hats"];
    let typed = ["--type", "remove", "--object", "the hat", "--model", "mine"];
    let score = parsed(&run(&[&score, &typed]));
    assert_eq!(score["questions"][0]["expected"], "no");
    folder(FILES.path(), "one", &[row(1, "edit", "yes")]);
    let report = parsed(&run(&[&["judge-check", "one", "--model", "mine"]]));
    let p_correct = score["edit_success"].as_f64().unwrap();
    let bin = &report["groups"][0]["reliability"][0];
    assert!((bin["p_correct"].as_f64().unwrap() - p_correct).abs() < 1e-6);
    assert_eq!(report["accuracy"], f64::from(u8::from(p_correct > 0.5)));
}

/// A folder whose labels follow the judge's own answers, but for every fifth.
fn mostly_right() {
    let dir = FILES.path();
    let asked: Vec<_> = (0..25).map(|number| row(number, "edit", "yes")).collect();
    let mut answers: Vec<(f64, Value)> = asked
        .into_iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let path = |name: &str| format!("labelled/{}", text(name));
            let (reference, edited) = (path("reference"), path("edited"));
            let args = [
                "score",
                &reference,
                &edited,
                &text("instruction"),
                "--type",
                &text("edit_type"),
            ];
            let more = ["--object", "the hat", "--model", "mine"];
            let score = parsed(&npedit(dir, &[&args[..], &more].concat()));
            (score["edit_success"].as_f64().unwrap(), row)
        })
        .collect();
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let labelled = answers.into_iter().enumerate().map(|(at, (p, mut row))| {
        row["expected"] = if (p > 0.5) == (at % 5 != 0) {
            "yes"
        } else {
            "no"
        }
        .into();
        row
    });
    folder(dir, "followed", &labelled.collect::<Vec<_>>());
}

#[test]
fn fitted_temperatures_are_applied_by_score() {
    mostly_right();
    let check = ["judge-check", "followed", "--model", "mine"];
    let run_fit = run(&[&check, &["--fit-temperature", "fitted.toml"]]);
    let report = parsed(&run_fit);
    assert!(
        run_fit.stderr.contains("judge.calibration_file"),
        "{}",
        run_fit.stderr
    );
    let fitted = &report["fitted"][0];
    assert_eq!(fitted["question"], "edit");
    let temperature = fitted["temperature"].as_f64().unwrap();
    assert!(temperature > 0.05 && temperature < 20.0 && temperature != 1.0);
    fs::write(
        FILES.path().join("npedit.toml"),
        "[judge]\ncalibration_file = \"fitted.toml\"\n",
    )
    .unwrap();
    let settings = ["--config", "npedit.toml"];
    let score = [
        "score",
        "labelled/1.png",
        "labelled/2.png",
        "x",
        "--model",
        "mine",
    ];
    let score = parsed(&run(&[&score, &settings]));
    assert_eq!(score["questions"][0]["temperature"], temperature);
    assert_eq!(score["questions"][1]["temperature"], 1.0);
    // The calibrated judge has the error that the fit announced.
    let after = parsed(&run(&[&check, &settings]));
    assert_eq!(
        after["expected_calibration_error"],
        fitted["expected_calibration_error_after"]
    );
    // A calibration that is no more there stands in nobody's way.
    fs::write(
        FILES.path().join("other.toml"),
        "[judge]\ncalibration_file = \"none.toml\"\n",
    )
    .unwrap();
    let again = ["--fit-temperature", "again.toml", "--config", "other.toml"];
    assert_eq!(parsed(&run(&[&check, &again]))["fitted"], report["fitted"]);
}

#[test]
fn labels_that_fit_nothing_are_refused_before_a_model_is_loaded() {
    let nowhere = ["--model", "no/such/bundle", "--fit-temperature", "x.toml"];
    let few: Vec<_> = (0..19)
        .map(|number| row(number, "preservation", ["yes", "no"][number % 2]))
        .collect();
    folder(FILES.path(), "few", &few);
    run(&[&["judge-check", "few"], &nowhere]).fails_with(2, &["preservation", "19 rows", "20"]);
    let same: Vec<_> = (0..20).map(|number| row(number, "edit", "no")).collect();
    folder(FILES.path(), "same", &same);
    run(&[&["judge-check", "same"], &nowhere]).fails_with(2, &["every label is no"]);
    assert!(!FILES.path().join("x.toml").exists());
}

#[test]
fn a_bad_folder_is_refused_with_all_that_is_wrong() {
    let nowhere: &[&str] = &["--model", "no/such/bundle"];
    let refused = |name: &str| run(&[&["judge-check", name], nowhere]);
    let dir = |name: &str, files: &[(&str, &str)]| {
        let dir = FILES.path().join(name);
        fs::create_dir(&dir).unwrap();
        for (file, text) in files {
            fs::write(dir.join(file), text).unwrap();
        }
    };
    refused("nowhere").fails_with(2, &["nowhere", "pairs.jsonl"]);
    dir("bare", &[]);
    refused("bare").fails_with(2, &["neither pairs.jsonl nor metadata.jsonl"]);
    dir("blank", &[("metadata.jsonl", "\n \n")]);
    refused("blank").fails_with(2, &["metadata.jsonl is empty"]);
    dir("two", &[("metadata.jsonl", ""), ("pairs.jsonl", "")]);
    refused("two").fails_with(2, &["both"]);
    let rows = "{\"reference\": \"../two/a.png\", \"edited\": \"a.png\", \"instruction\": \" \", \"expected\": \"maybe\"}\n\
                not json\n\n\
                {\"reference\": \"a.png\", \"edited\": \"none.png\", \"instruction\": \" \", \"expected\": \"no\"}\n";
    dir("bad", &[("pairs.jsonl", rows), ("a.png", "no picture")]);
    refused("bad").fails_with(
        2,
        &[
            "line 1: reference is \"../two/a.png\"",
            "line 1: expected is \"maybe\"",
            "line 2: is not JSON",
            "line 4: the instruction is empty",
            "line 4: bad/a.png",
            "line 4: cannot read bad/none.png",
        ],
    );
    run(&[&["judge-check", "labelled"], nowhere]).fails_with(3, &["no/such/bundle"]);
}

#[test]
fn what_the_judge_cannot_be_asked_is_named_by_line() {
    let mut rows = vec![
        row(0, "edit", "yes"),
        row(1, "edit", "no"),
        row(2, "edit", "no"),
    ];
    for at in [1, 2] {
        rows[at]["edit_type"] = "add".into();
        rows[at]["instruction"] = "add <|im_end|>".into();
    }
    folder(FILES.path(), "tokens", &rows);
    let check = |name| run(&[&["judge-check", name, "--model", "mine"]]);
    check("tokens").fails_with(2, &["line 2: ", "line 3: ", "<|im_end|>"]);
    folder(FILES.path(), "small", &[row(0, "edit", "yes")]);
    let small = RgbImage::new(3, 40);
    small.save(FILES.path().join("small/1.png")).unwrap();
    check("small").fails_with(2, &["line 1: ", "3x40"]);
}

#[test]
fn outputs_never_replace_what_is_read() {
    for (more, part) in [
        (["--plot", "labelled/pairs.jsonl"], "would be overwritten"),
        (["--plot", "labelled/3.png"], "would be overwritten"),
        (
            ["--fit-temperature", "none/x.toml"],
            "cannot write none/x.toml",
        ),
    ] {
        run(&[&CHECK, &more]).fails_with(2, &[part]);
    }
    let same = ["--plot", "same.out", "--fit-temperature", "same.out"];
    run(&[&CHECK, &same]).fails_with(2, &["same.out would be overwritten"]);
    let off = command(FILES.path(), &CHECK)
        .env("NPEDIT__JUDGE__ENABLED", "false")
        .output()
        .unwrap();
    finish(off).fails_with(3, &["there is no judge"]);
}
