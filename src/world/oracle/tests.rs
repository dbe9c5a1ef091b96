//! Pictures that no control makes.
use image::{Rgb, RgbImage, imageops};

use super::*;
use crate::world::{Attempt, EditMix, EditType, SceneRng, Texture};

fn edits(edit_type: EditType) -> Vec<Edit> {
    let mix = EditMix::new(&[(edit_type, 1)]).unwrap();
    let draw = |index| Edit::draw(&mix, &mut SceneRng::new(40, index));
    (0..30).map(draw).collect()
}

fn judge(edit: &Edit, picture: &RgbImage) -> Verdict {
    Oracle::new(View::square(64)).judge(edit, picture).unwrap()
}

fn right(edit: &Edit) -> RgbImage {
    Attempt::right(edit).render(&View::square(64))
}

#[test]
fn pictures_of_another_size_are_refused() {
    let edit = &edits(EditType::Color)[0];
    let error = Oracle::new(View::square(64)).judge(edit, &RgbImage::new(64, 32));
    assert!(error.unwrap_err().to_string().contains("(64, 32)"));
}

#[test]
fn a_pixel_aside_is_forgiven_and_eight_are_not() {
    for edit in edits(EditType::Color) {
        if edit.after.background.texture != Texture::Flat {
            continue;
        }
        let shifted = |by: u32| {
            let picture = right(&edit);
            RgbImage::from_fn(64, 64, |x, y| *picture.get_pixel(x, y.saturating_sub(by)))
        };
        assert!(judge(&edit, &shifted(1)).success(), "{edit:?}");
        assert!(!judge(&edit, &shifted(8)).success(), "{edit:?}");
    }
}

#[test]
fn a_faded_object_is_not_kept() {
    for edit in edits(EditType::Style) {
        let mut picture = right(&edit);
        let mut empty = edit.after.clone();
        empty.objects.clear();
        let empty = empty.render(&View::square(64));
        for (pixel, empty) in picture.pixels_mut().zip(empty.pixels()) {
            *pixel =
                Rgb([0, 1, 2]
                    .map(|c| ((u32::from(pixel.0[c]) + 2 * u32::from(empty.0[c])) / 3) as u8));
        }
        let verdict = judge(&edit, &picture);
        assert!(!verdict.kept(), "{edit:?}");
    }
}

#[test]
fn an_added_object_may_be_anywhere_in_its_half_but_not_twice() {
    for edit in edits(EditType::Add) {
        let mut rng = SceneRng::new(1, 0);
        for _ in 0..5 {
            let attempt = Attempt::right_otherwise(&edit, &mut rng);
            assert!(judge(&edit, &attempt.render(&View::square(64))).success());
        }
        let mut twice = right(&edit);
        let copy = imageops::crop_imm(&twice, 0, 26, 64, 12).to_image();
        imageops::replace(&mut twice, &copy, 0, 50);
        assert!(!judge(&edit, &twice).success(), "{edit:?}");
    }
}

#[test]
fn noise_and_one_flat_colour_carry_nothing_out() {
    let mut rng = SceneRng::new(2, 0);
    let noise = RgbImage::from_fn(64, 64, |_, _| Rgb([0; 3].map(|_: u8| rng.below(256) as u8)));
    for edit_type in EditType::ALL {
        for edit in edits(edit_type) {
            for picture in [&noise, &RgbImage::from_pixel(64, 64, Rgb([128; 3]))] {
                assert!(!judge(&edit, picture).success(), "{edit:?}");
            }
        }
    }
}

#[test]
fn the_faults_name_what_is_wrong() {
    for edit in edits(EditType::Color) {
        let copy = edit.before.render(&View::square(64));
        let verdict = judge(&edit, &copy);
        assert!(verdict.kept(), "{verdict:?}");
        assert!(verdict.not_done.contains(&Fault::Colour), "{verdict:?}");
    }
}
