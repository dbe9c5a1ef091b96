//! The values an edit takes and gives.
use ::image::RgbImage;

use super::{
    image::{ImageWarning, OutputSize, SourceImage},
    noise::NoiseDraw,
    progress::StageTimings,
    sigmas::Sigmas,
};

/// What one request asks for.
#[derive(Debug, Clone)]
pub struct EditInput {
    pub image: SourceImage,
    pub instruction: String,
    pub noise: NoiseSource,
    /// Denoising steps, within [`super::sigmas::STEPS`].
    pub steps: usize,
    pub size: OutputSize,
    pub preprocess: PreprocessRule,
}

/// Where the noise comes from.
#[derive(Debug, Clone)]
pub enum NoiseSource {
    /// One picture per seed.
    Seeds(Vec<u64>),
    /// Tensors of another framework or an earlier run; as many pictures as they hold.
    Given(NoiseDraw),
}

/// Which rule sizes the picture for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreprocessRule {
    /// Keeps the aspect at the bundle's target area.
    Area,
    /// The Python reference's exact rule, for comparisons.
    Reference,
}

/// What one request gets.
#[derive(Debug, Clone)]
pub struct EditOutput {
    pub images: Vec<EditedImage>,
    pub sigmas: Sigmas,
    /// Width and height that the model worked at.
    pub model_size: (u32, u32),
    /// The noise of every picture, for a run elsewhere.
    pub noise: NoiseDraw,
    pub timings: StageTimings,
    pub warnings: Vec<EditWarning>,
    pub reuse: Reuse,
    pub tokens: Tokens,
}

/// What the generator reads and writes for one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the instruction, its template included.
    pub text: usize,
    /// Of the reference, and as many of the edited picture.
    pub image: usize,
}

/// What an edit had in common with others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reuse {
    /// Whether the instruction was encoded before.
    pub text: bool,
    /// Whether the picture was encoded before.
    pub reference: bool,
    /// Most pictures that shared a denoising batch with one of this edit's, itself included.
    pub batch: usize,
}

/// One edited picture.
#[derive(Debug, Clone)]
pub struct EditedImage {
    pub rgb: RgbImage,
    /// The seed of its noise; none when the noise was given.
    pub seed: Option<u64>,
}

/// Something that was honoured only in part: told, never hidden.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EditWarning {
    #[error("the instruction is {dropped} tokens too long and its end was not read; shorten it")]
    InstructionTruncated { dropped: usize },
    #[error("this bundle was never taught the words {}, so it will not follow them; say it in its own words, or serve another bundle", words.join(", "))]
    UnknownWords { words: Vec<String> },
    #[error("the asked size {}x{} has another aspect than the picture's {}x{}, so the answer is stretched; ask for the same aspect", asked.0, asked.1, source_size.0, source_size.1)]
    AspectChanged {
        asked: (u32, u32),
        source_size: (u32, u32),
    },
    #[error(transparent)]
    Image(#[from] ImageWarning),
}

impl NoiseSource {
    /// Pictures that will come out.
    pub fn count(&self) -> usize {
        match self {
            Self::Seeds(seeds) => seeds.len(),
            Self::Given(noise) => noise.initial.dims().first().copied().unwrap_or(0),
        }
    }

    /// The seed of every picture.
    pub(super) fn seeds(&self) -> Vec<Option<u64>> {
        match self {
            Self::Seeds(seeds) => seeds.iter().copied().map(Some).collect(),
            Self::Given(_) => vec![None; self.count()],
        }
    }
}

/// What of an instruction the editor makes nothing of.
pub(super) struct Unread {
    /// Tokens cut off at the end.
    pub dropped: usize,
    /// Words that the bundle was never taught.
    pub words: Vec<String>,
}

/// Largest relative difference of aspects that nobody sees: one pixel in a hundred.
const ASPECT_TOLERANCE: f64 = 0.01;

impl EditInput {
    /// What of this request was honoured only in part.
    pub(super) fn warnings(&self, unread: Unread, size: (u32, u32)) -> Vec<EditWarning> {
        let Unread { dropped, words } = unread;
        let mut warnings: Vec<EditWarning> = self
            .image
            .warnings
            .iter()
            .cloned()
            .map(Into::into)
            .collect();
        if dropped > 0 {
            warnings.push(EditWarning::InstructionTruncated { dropped });
        }
        if !words.is_empty() {
            warnings.push(EditWarning::UnknownWords { words });
        }
        let source_size = self.image.rgb.dimensions();
        let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height);
        if (aspect(size) / aspect(source_size) - 1.0).abs() > ASPECT_TOLERANCE {
            warnings.push(EditWarning::AspectChanged {
                asked: size,
                source_size,
            });
        }
        warnings
    }
}
