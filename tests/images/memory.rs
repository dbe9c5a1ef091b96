//! Small files that ask for much memory. Each is decoded in a process of its own, whose peak is read.
#![cfg(target_os = "linux")]
use crate::craft::{jpeg, png, png::Png};
use npedit::pipelines::image::{ImageLimits, decode};
use std::{fs, process::Command};

const FILE: &str = "NPEDIT_TEST_IMAGE_FILE";
const ALLOWED_KIB: u64 = 64 << 10;

/// A value of `/proc/self/status` in KiB.
fn status_kib(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In the child: decodes the file and prints by how much the peak is over the start.
fn measure(path: &str) {
    let file = fs::read(path).unwrap();
    let before = status_kib("VmRSS");
    let outcome = match decode(&file, &ImageLimits::default()) {
        Ok(image) => format!("accepted with {} warnings", image.warnings.len()),
        Err(error) => format!("refused: {error}"),
    };
    let grown = status_kib("VmHWM").saturating_sub(before);
    println!("grown_kib={grown} {outcome}");
}

#[test]
fn bombs_stay_small() {
    if let Ok(path) = std::env::var(FILE) {
        return measure(&path);
    }
    let runs = 400_000_000 / 258;
    let bomb = png::zeros(runs);
    let dot = || Png::new(1, 1, 8, png::GRAY);
    let files = [
        (
            "icc",
            dot().chunk(b"iCCP", &png::iccp(&bomb)).rows(&[&[7]]).file(),
            "accepted with 1",
        ),
        (
            "ztxt",
            dot().chunk(b"zTXt", &png::iccp(&bomb)).rows(&[&[7]]).file(),
            "accepted with 0",
        ),
        (
            "large",
            Png::new(12_000, 12_000, 8, png::GRAY)
                .chunk(b"IDAT", &bomb)
                .file(),
            "refused",
        ),
        ("excess", dot().chunk(b"IDAT", &bomb).file(), ""),
        (
            "jpeg",
            jpeg::header((65_500, 65_500), 3, jpeg::Marker::None),
            "refused",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, file, expected) in files {
        let path = dir.path().join(name);
        fs::write(&path, &file).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::bombs_stay_small", "--nocapture"])
            .env(FILE, &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{name}");
        let output = String::from_utf8(child.stdout).unwrap();
        let (_, line) = output.split_once("grown_kib=").unwrap();
        let line = line.lines().next().unwrap();
        println!("{name}: {} bytes, {line}", file.len());
        let (grown, outcome) = line.split_once(' ').unwrap();
        assert!(
            grown.parse::<u64>().unwrap() < ALLOWED_KIB,
            "{name}: {line}"
        );
        assert!(outcome.starts_with(expected), "{name}: {line}");
    }
}
