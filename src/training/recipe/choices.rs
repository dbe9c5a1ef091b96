//! Settings with a fixed list of names.
use crate::{
    config::Choice,
    pipelines::judge::Overall,
    training::{
        learning_rate::Decay, losses::dmd::Normaliser, stages::np_edit::AnswerLoss,
        unroll::GradientThrough,
    },
};

/// What a run trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageChoice {
    NpEdit,
    WarmUp,
    Supervised,
    FlowGrpo,
    TextToImage,
}

impl Choice for StageChoice {
    const ALL: &'static [(&'static str, Self)] = &[
        ("np_edit", Self::NpEdit),
        ("warm_up", Self::WarmUp),
        ("supervised", Self::Supervised),
        ("flow_grpo", Self::FlowGrpo),
        ("text_to_image", Self::TextToImage),
    ];
}

/// Which weights are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuningChoice {
    Lora,
    Full,
}

impl Choice for TuningChoice {
    const ALL: &'static [(&'static str, Self)] = &[("lora", Self::Lora), ("full", Self::Full)];
}

impl Choice for Overall {
    const ALL: &'static [(&'static str, Self)] =
        &[("product", Self::Product), ("mean", Self::Mean)];
}

impl Choice for Decay {
    const ALL: &'static [(&'static str, Self)] = &[
        ("constant", Self::Constant),
        ("cosine", Self::Cosine),
        ("linear", Self::Linear),
    ];
}

impl Choice for GradientThrough {
    const ALL: &'static [(&'static str, Self)] =
        &[("all_steps", Self::AllSteps), ("last_step", Self::LastStep)];
}

impl Choice for Normaliser {
    const ALL: &'static [(&'static str, Self)] = &[
        ("per_sample", Self::PerSample),
        ("per_pixel", Self::PerPixel),
    ];
}

impl Choice for AnswerLoss {
    const ALL: &'static [(&'static str, Self)] = &[
        ("binary", Self::Binary),
        ("full_vocabulary", Self::FullVocabulary),
    ];
}
