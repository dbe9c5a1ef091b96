//! The procedural scene world behind the tiny bundle: small pictures, what can be said of them, edits that are asked of
//! them, wrong edits, and an oracle that says from pixels whether an edit was carried out.
//!
//! It trains nothing. All of it is drawn from seeds with additions, products and IEEE square roots alone, so every machine
//! draws the same bytes. Lengths are in sides of the square scene, angles do not occur.
mod attempt;
mod background;
mod caption;
mod change;
mod colour;
mod controls;
mod edit;
mod edit_type;
mod finish;
mod instruction;
mod looks;
mod mention;
mod object;
mod oracle;
mod render;
mod rng;
mod scene;
mod shape;
mod words;

pub use self::{
    attempt::{Attempt, WrongEdit},
    background::{Background, Texture},
    caption::Telling,
    change::Change,
    colour::{Colour, Shades},
    controls::{Control, Controls, Share, Tally, Trial, balanced_accuracy},
    edit::Edit,
    edit_type::{EditMix, EditType, EmptyMix},
    finish::Finish,
    looks::Looks,
    object::{Object, Side, Size},
    oracle::{Fault, Oracle, OtherSize, Verdict},
    render::{Edges, View},
    rng::SceneRng,
    scene::{Scene, Style},
    shape::Shape,
    words::{JUDGING_WORDS, WORDS, unknown_words},
};
