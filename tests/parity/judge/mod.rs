//! The judge: prompts, pre-processing, image tokens, answers, and their gradients in the pixels.
mod asked;
mod internvl;
mod llava;
mod pictured;
mod qwen;

pub use internvl::questions;

use candle_core::DType;
use npedit::{
    models::{files::Files, folder::Folder},
    nn::Compute,
    pipelines::{
        judge::{Judge, JudgeSettings, Overall, Spelling, Temperatures},
        questions::QuestionSet,
    },
};

use crate::{
    golden::{Family, Variant},
    ledger::{Failure, Ledger},
    system::device,
};

pub fn compare(variant: &Variant, ledger: &mut Ledger) -> Result<(), Failure> {
    if variant.cases["judge"].is_null() {
        return Ok(());
    }
    match variant.family {
        Family::ZImage => internvl::compare(variant, ledger),
        Family::Klein => pictured::compare(variant, ledger),
    }
}

/// A judge beside the variant's bundle, in float32.
pub fn load(variant: &Variant, name: &str) -> Result<Judge, Failure> {
    let compute = Compute {
        device: device()?,
        dtype: DType::F32,
    };
    let settings = JudgeSettings {
        questions: QuestionSet::built_in(),
        spelling: Spelling::Exact,
        overall: Overall::Product,
        temperatures: Temperatures::default(),
    };
    let folder = Folder::root(Files::Directory(variant.dir.join(name)));
    Ok(Judge::load(name, &folder, &compute, settings)?)
}
