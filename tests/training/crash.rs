//! Whatever ends a run, the same command brings it to the undisturbed run's end.
use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use crate::{process::command, setup::Workplace};

fn undisturbed() -> (Workplace, Duration) {
    let (place, start) = (Workplace::new(), Instant::now());
    place.train(&[]).succeeds();
    (place, start.elapsed())
}

#[test]
fn killed_runs_end_with_the_undisturbed_runs_bytes() {
    let (whole, took) = undisturbed();
    let place = Workplace::new();
    for share in [3, 5, 7] {
        let args = ["train", "recipe.toml", "--out", "out"];
        let mut child = command(place.path(), &args)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(took * share / 10);
        // SIGKILL
        let _ = child.kill();
        child.wait().unwrap();
    }
    place.train(&[]).succeeds();
    assert!(place.adapter() == whole.adapter());
    assert_eq!(place.metrics(), whole.metrics());
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_checkpoint_before_intact() {
    let (whole, _) = undisturbed();
    let place = Workplace::new();
    fs::create_dir_all(place.out("checkpoints")).unwrap();
    // writing there is "no space left on device"
    std::os::unix::fs::symlink("/dev/full", place.out("checkpoints/step-000003.part")).unwrap();
    let run = place.train(&[]);
    run.fails_with(
        1,
        &[
            "step-000003.safetensors",
            "No space left",
            "is intact",
            "same command",
        ],
    );
    assert!(place.out("checkpoints/step-000002.safetensors").is_file());
    assert!(!place.out("checkpoints/step-000003.safetensors").exists());
    let told = place.train(&[]);
    assert!(
        told.stderr.contains("going on after step 2"),
        "{}",
        told.stderr
    );
    assert!(place.adapter() == whole.adapter());
    assert_eq!(place.metrics(), whole.metrics());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_writes_a_checkpoint_and_goes_on() {
    let place = Workplace::with(&[
        ("steps = 4", "steps = 500"),
        ("every = 1\n", "every = 500\n"),
    ]);
    let args = ["train", "recipe.toml", "--out", "out"];
    let child = command(place.path(), &args)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !place.out("metrics.jsonl").exists() && begun.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let run = crate::process::finish(child.wait_with_output().unwrap());
    run.fails_with(
        130,
        &[
            "stopped after step",
            "the same command goes on",
            "checkpoints",
        ],
    );
    let done = place.metrics().len();
    let name = format!("checkpoints/step-{done:06}.safetensors");
    assert!(place.out(&name).is_file(), "{name}");
}
