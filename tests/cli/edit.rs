//! Edits on the bundle inside the binary.
use std::{fs, path::Path};

use image::{ImageFormat, Rgb, RgbImage};

use crate::{
    process::{command, finish, npedit},
    stdin::npedit_with_stdin,
};

/// A picture with gradients, edges and grain, as a photo has them.
fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 27;
        let sky = 40 + 160 * y / height;
        let hill = u32::from(y * 3 > height + x % 70) * 90;
        Rgb([
            (sky + grain) as u8,
            (sky / 2 + hill + grain) as u8,
            (220 - sky + grain) as u8,
        ])
    })
}

fn dir_with_photo() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    photo(90, 60).save(dir.path().join("photo.png")).unwrap();
    dir
}

fn edit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["edit", "photo.png", "make it winter"];
    args.extend(more);
    args
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let dir = dir_with_photo();
    let run = npedit(dir.path(), &edit(&["-o", "a.png", "--seed", "7"]));
    run.succeeds();
    for part in ["is tiny", "a.png: 90x60, seed 7", "edited in "] {
        assert!(run.stderr.contains(part), "no {part:?} in: {}", run.stderr);
    }
    assert!(run.stdout.is_empty());
    let one_thread = command(dir.path(), &edit(&["-o", "b.png", "--seed", "7"]));
    let mut one_thread = one_thread;
    finish(
        one_thread
            .env("NPEDIT__ENGINE__THREADS", "1")
            .output()
            .unwrap(),
    )
    .succeeds();
    npedit(dir.path(), &edit(&["-o", "c.png", "--seed", "8"])).succeeds();
    assert_eq!(read(dir.path(), "a.png"), read(dir.path(), "b.png"));
    assert_ne!(read(dir.path(), "a.png"), read(dir.path(), "c.png"));
    assert_eq!(
        image::open(dir.path().join("a.png"))
            .unwrap()
            .to_rgb8()
            .dimensions(),
        (90, 60)
    );
}

#[test]
fn a_drawn_seed_is_told_and_repeats_the_image() {
    let dir = dir_with_photo();
    let run = npedit(dir.path(), &edit(&["-o", "a.png"]));
    run.succeeds();
    let line = run
        .stderr
        .lines()
        .find(|line| line.starts_with("a.png: "))
        .unwrap();
    let seed = line.rsplit(' ').next().unwrap();
    npedit(dir.path(), &edit(&["-o", "b.png", "--seed", seed])).succeeds();
    assert_eq!(read(dir.path(), "a.png"), read(dir.path(), "b.png"));
}

#[test]
fn many_images_take_the_seeds_that_follow() {
    let dir = dir_with_photo();
    npedit(
        dir.path(),
        &edit(&["-o", "many.png", "--n", "2", "--seed", "5"]),
    )
    .succeeds();
    npedit(dir.path(), &edit(&["-o", "second.png", "--seed", "6"])).succeeds();
    assert!(!dir.path().join("many.png").exists());
    assert_eq!(
        read(dir.path(), "many-2.png"),
        read(dir.path(), "second.png")
    );
    assert_ne!(
        read(dir.path(), "many-1.png"),
        read(dir.path(), "many-2.png")
    );
}

#[test]
fn stdin_and_stdout_give_the_bytes_of_files() {
    let dir = dir_with_photo();
    let args = ["edit", "-", "make it winter", "-o", "-", "--seed", "3"];
    let run = npedit_with_stdin(dir.path(), &args, &read(dir.path(), "photo.png"));
    run.succeeds();
    npedit(dir.path(), &edit(&["-o", "a.png", "--seed", "3"])).succeeds();
    assert_eq!(run.stdout, read(dir.path(), "a.png"));
    assert!(
        !run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'),
        "{:?}",
        run.stderr
    );
}

#[test]
fn the_extension_and_the_flags_choose_the_format() {
    let dir = dir_with_photo();
    for (args, format) in [
        (
            ["-o", "a.jpg", "--quality", "80"].as_slice(),
            ImageFormat::Jpeg,
        ),
        (&["-o", "a.webp"], ImageFormat::WebP),
        (&["-o", "a.bin", "--format", "png"], ImageFormat::Png),
        (&["-o", "plain"], ImageFormat::Png),
    ] {
        npedit(dir.path(), &edit(args)).succeeds();
        assert_eq!(
            image::guess_format(&read(dir.path(), args[1])).unwrap(),
            format
        );
    }
    npedit(dir.path(), &edit(&["-o", "a.gif"])).fails_with(2, &["gif", "png"]);
    npedit(dir.path(), &edit(&["-o", "a.png", "--quality", "80"])).fails_with(2, &["png"]);
    npedit(dir.path(), &edit(&["-o", "a.jpg", "--quality", "0"])).fails_with(2, &["quality"]);
}

#[test]
fn saved_noise_repeats_the_image() {
    let dir = dir_with_photo();
    npedit(
        dir.path(),
        &edit(&[
            "-o",
            "a.png",
            "--seed",
            "1",
            "--save-latents",
            "noise.safetensors",
        ]),
    )
    .succeeds();
    let run = npedit(
        dir.path(),
        &edit(&["-o", "b.png", "--latents", "noise.safetensors"]),
    );
    run.succeeds();
    assert!(run.stderr.contains("given noise"), "{}", run.stderr);
    assert_eq!(read(dir.path(), "a.png"), read(dir.path(), "b.png"));
    let steps = edit(&[
        "-o",
        "b.png",
        "--latents",
        "noise.safetensors",
        "--steps",
        "2",
    ]);
    npedit(dir.path(), &steps).fails_with(2, &["step_noise"]);
    npedit(
        dir.path(),
        &edit(&["-o", "b.png", "--latents", "photo.png"]),
    )
    .fails_with(2, &["photo.png"]);
    let both = edit(&[
        "-o",
        "b.png",
        "--latents",
        "noise.safetensors",
        "--seed",
        "1",
    ]);
    npedit(dir.path(), &both).fails_with(2, &["--seed"]);
}

#[test]
fn size_and_steps_are_honoured() {
    let dir = dir_with_photo();
    npedit(
        dir.path(),
        &edit(&["-o", "a.png", "--size", "120x80", "--steps", "1"]),
    )
    .succeeds();
    assert_eq!(
        image::open(dir.path().join("a.png"))
            .unwrap()
            .to_rgb8()
            .dimensions(),
        (120, 80)
    );
    npedit(dir.path(), &edit(&["-o", "a.png", "--size", "120"])).fails_with(2, &["120"]);
    npedit(dir.path(), &edit(&["-o", "a.png", "--steps", "9"]))
        .fails_with(2, &["--steps 9", "1 to 8"]);
    npedit(dir.path(), &edit(&["-o", "a.png", "--n", "0"])).fails_with(2, &["edit.max_n"]);
    let too_many = edit(&["-o", "a.png", "--n", "2", "--seed", "18446744073709551615"]);
    npedit(dir.path(), &too_many).fails_with(2, &["--seed"]);
}

#[test]
fn unusable_input_is_named() {
    let dir = dir_with_photo();
    let with =
        |image, instruction| npedit(dir.path(), &["edit", image, instruction, "-o", "out.png"]);
    with("missing.png", "x").fails_with(2, &["missing.png", "name a PNG"]);
    with("photo.png", " ").fails_with(2, &["instruction is empty"]);
    let long = "x".repeat(9000);
    with("photo.png", &long).fails_with(2, &["9000 bytes", "edit.instruction_max_bytes"]);
    fs::write(dir.path().join("text.png"), b"this is no image").unwrap();
    with("text.png", "x").fails_with(2, &["text.png"]);
    let whole = read(dir.path(), "photo.png");
    fs::write(dir.path().join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    with("cut.png", "x").fails_with(2, &["cut.png"]);
    let mut small_limit = command(dir.path(), &edit(&["-o", "out.png"]));
    finish(
        small_limit
            .env("NPEDIT__IMAGES__MAX_SIDE_PX", "64")
            .output()
            .unwrap(),
    )
    .fails_with(2, &["photo.png", "64"]);
    assert!(!dir.path().join("out.png").exists());
}

#[test]
fn outputs_that_cannot_be_written_are_refused_first() {
    let dir = dir_with_photo();
    let before = read(dir.path(), "photo.png");
    npedit(dir.path(), &edit(&["-o", "photo.png"]))
        .fails_with(2, &["photo.png would be overwritten"]);
    npedit(dir.path(), &edit(&["-o", "./photo.png"])).fails_with(2, &["would be overwritten"]);
    npedit(dir.path(), &edit(&["-o", "none/out.png"]))
        .fails_with(2, &["cannot write none/out.png"]);
    npedit(dir.path(), &edit(&["-o", "."])).fails_with(2, &["cannot write ."]);
    npedit(dir.path(), &edit(&["-o", "-", "--n", "2"])).fails_with(2, &["stdout takes one image"]);
    let same = edit(&["-o", "a.png", "--save-latents", "a.png"]);
    npedit(dir.path(), &same).fails_with(2, &["a.png would be overwritten"]);
    npedit(dir.path(), &edit(&[])).fails_with(2, &["--output"]);
    assert_eq!(read(dir.path(), "photo.png"), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_model_that_is_not_there_exits_with_3() {
    let dir = dir_with_photo();
    let missing = edit(&["-o", "a.png", "--model", "no/such"]);
    npedit(dir.path(), &missing).fails_with(3, &["no/such", "hf:no/such"]);
    let offline = edit(&["-o", "a.png", "--model", "hf:o/n", "--offline"]);
    npedit(dir.path(), &offline).fails_with(3, &["npedit pull hf:o/n"]);
    fs::create_dir(dir.path().join("empty")).unwrap();
    npedit(dir.path(), &edit(&["-o", "a.png", "--model", "empty"])).fails_with(3, &["empty"]);
    npedit(dir.path(), &edit(&["-o", "a.png", "--model", "hf:x"]))
        .fails_with(2, &["model.reference", "hf:owner/name"]);
    let generator = edit(&["-o", "a.png", "--generator", "g.pt"]);
    npedit(dir.path(), &generator).fails_with(2, &["model.generator", "flag --generator"]);
}

#[test]
fn a_random_bundle_edits() {
    let dir = dir_with_photo();
    npedit(dir.path(), &["bundle", "random", "mine", "--seed", "5"]).succeeds();
    let run = npedit(
        dir.path(),
        &edit(&["-o", "a.png", "--model", "mine", "--seed", "1"]),
    );
    run.succeeds();
    npedit(dir.path(), &edit(&["-o", "b.png", "--seed", "1"])).succeeds();
    assert_ne!(read(dir.path(), "a.png"), read(dir.path(), "b.png"));
    npedit(dir.path(), &["bundle", "random", "mine"]).fails_with(2, &["mine is not empty"]);
}
