//! Recipes, rows and directories that no run can use.
use std::fs;

use crate::setup::{ROWS, Workplace};

#[test]
fn every_mistake_of_a_recipe_is_named() {
    let place = Workplace::with(&[
        ("steps = 4", "steps = 0\nstep = 3"),
        ("rank = 2", "rank = -1"),
    ]);
    place.train(&[]).fails_with(
        2,
        &[
            "3 mistakes",
            "steps = 0",
            "step (",
            "did you mean steps",
            "tuning.rank = -1",
            "recipe.toml",
        ],
    );
}

#[test]
fn rows_that_cannot_be_trained_on_are_listed() {
    let place = Workplace::new();
    fs::write(place.path().join("broken.png"), b"not a picture").unwrap();
    let broken = "{\"image\":\"broken.png\",\"instruction\":\"x\",\"edited_caption\":\"y\"}";
    let first = ROWS.lines().next().unwrap();
    place.write("rows.jsonl", &format!("{ROWS}{first}\n{broken}\n{{\n"));
    place
        .train(&["--skip-bad"])
        .fails_with(2, &["2 bad rows", "line 3", "as line 1", "line 5"]);
    place.write("rows.jsonl", &format!("{ROWS}{broken}\n"));
    place
        .train(&[])
        .fails_with(2, &["1 bad row", "line 3", "does not decode", "--skip-bad"]);
    let run = place.train(&["--skip-bad"]);
    run.succeeds();
    assert!(run.stderr.contains("left out line 3"), "{}", run.stderr);
    place.write("rows.jsonl", "\n");
    place.train(&[]).fails_with(2, &["has no rows"]);
}

#[test]
fn a_stage_names_the_rows_that_lack_what_it_reads() {
    let place = Workplace::new();
    place.write(
        "rows.jsonl",
        "{\"image\":\"a.png\",\"instruction\":\"make it red\"}\n",
    );
    place
        .train(&[])
        .fails_with(2, &["np_edit", "edited_caption", "line 1"]);
}

#[test]
fn unknown_targets_are_named_with_known_ones() {
    let place = Workplace::with(&[("[tuning]", "[tuning]\ntargets = \"to_q, to_z\"")]);
    place.train(&[]).fails_with(2, &["\"to_z\"", "to_k"]);
}

#[test]
fn a_directory_of_another_run_is_left_alone() {
    let place = Workplace::with(&[("steps = 4", "steps = 1")]);
    place.train(&[]).succeeds();
    let adapter = place.adapter();
    place.write("rows.jsonl", &ROWS.replace("red", "green"));
    place
        .train(&[])
        .fails_with(2, &["another run", "rows", "--out"]);
    assert!(place.adapter() == adapter);
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let place = Workplace::new();
    fs::create_dir_all(place.out("")).unwrap();
    let lock = fs::File::create(place.out("run.lock")).unwrap();
    lock.try_lock().unwrap();
    place
        .train(&[])
        .fails_with(2, &["in use by another process", "--out"]);
}

#[test]
fn steps_that_spike_are_skipped_and_end_the_run() {
    let place = Workplace::with(&[("ema_decay = 0.5", "spike_norm = 1e-6\ngive_up_after = 2")]);
    let run = place.train(&[]);
    run.fails_with(
        1,
        &[
            "step 1 was skipped",
            "gave up at step 2",
            "spiked",
            "no checkpoint was written",
            "learning_rate",
        ],
    );
    let metrics = place.metrics();
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0]["skipped"], "spike");
}

#[test]
fn a_perceptual_loss_needs_its_weights() {
    let place = Workplace::with(&[(
        "[fake_score]",
        "[losses]\nlpips = 0.1\nlpips_weights = \"vgg.safetensors\"\n[fake_score]",
    )]);
    place
        .train(&[])
        .fails_with(2, &["losses.lpips_weights", "vgg.safetensors", "README"]);
}
