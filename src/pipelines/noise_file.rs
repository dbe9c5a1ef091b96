//! Noise in a safetensors file, so that a run can be compared with another framework.
//!
//! `noise` `[B, C, h, w]` is the start, `step_noise` `[S, B, C, h, w]` what each step draws. A frame axis of one before the
//! last two, as video-shaped latents have it, is accepted.
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};

use super::noise::NoiseDraw;

const INITIAL: &str = "noise";
const STEPS: &str = "step_noise";

/// A noise file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoiseFileError {
    #[error(
        "cannot read noise from {path}: {source}; give a safetensors file with `noise` and `step_noise`"
    )]
    Read {
        path: PathBuf,
        #[source]
        source: candle_core::Error,
    },
    #[error(
        "{path} has no tensor `{tensor}`; give `noise` [B, C, h, w] and `step_noise` [S, B, C, h, w]"
    )]
    Missing { path: PathBuf, tensor: &'static str },
    #[error(
        "`{tensor}` in {path} has shape {found:?}; give `noise` [B, C, h, w] and `step_noise` [S, B, C, h, w]"
    )]
    Shape {
        path: PathBuf,
        tensor: &'static str,
        found: Vec<usize>,
    },
    #[error("cannot write noise to {path}: {source}; check the folder and the free space")]
    Write {
        path: PathBuf,
        #[source]
        source: candle_core::Error,
    },
}

impl NoiseDraw {
    /// Reads both tensors as float32 onto `device`.
    ///
    /// # Errors
    /// An unreadable file, a missing tensor, a tensor of another rank.
    pub fn load(path: &Path, device: &Device) -> Result<Self, NoiseFileError> {
        let read = |source| NoiseFileError::Read {
            path: path.to_owned(),
            source,
        };
        let mut tensors = candle_core::safetensors::load(path, device).map_err(read)?;
        let mut take = |tensor: &'static str, rank: usize| {
            let found = tensors.remove(tensor).ok_or(NoiseFileError::Missing {
                path: path.to_owned(),
                tensor,
            })?;
            let shape = || NoiseFileError::Shape {
                path: path.to_owned(),
                tensor,
                found: found.dims().to_vec(),
            };
            let framed = found.rank() == rank + 1 && found.dims()[rank - 2] == 1;
            let plain = if framed {
                found.squeeze(rank - 2).map_err(read)?
            } else {
                found.clone()
            };
            if plain.rank() != rank {
                return Err(shape());
            }
            plain.to_dtype(DType::F32).map_err(read)
        };
        let initial = take(INITIAL, 4)?;
        let steps = take(STEPS, 5)?;
        let count = steps.dims()[0];
        Ok(Self {
            initial,
            steps: (0..count)
                .map(|step| steps.get(step))
                .collect::<Result<_, _>>()
                .map_err(read)?,
        })
    }

    /// Writes both tensors; an existing file is replaced.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), NoiseFileError> {
        let write = |source| NoiseFileError::Write {
            path: path.to_owned(),
            source,
        };
        let steps = Tensor::stack(&self.steps, 0).map_err(write)?;
        let tensors = HashMap::from([(INITIAL, self.initial.clone()), (STEPS, steps)]);
        candle_core::safetensors::save(&tensors, path).map_err(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::noise::Grid;

    fn draw() -> NoiseDraw {
        let grid = Grid {
            channels: 3,
            height: 2,
            width: 5,
        };
        NoiseDraw::from_seeds(&[1, 2], 4, grid, &Device::Cpu).unwrap()
    }

    fn same(a: &Tensor, b: &Tensor) -> bool {
        a.dims() == b.dims()
            && a.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                == b.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("noise.safetensors");
        draw().save(&path).unwrap();
        let loaded = NoiseDraw::load(&path, &Device::Cpu).unwrap();
        assert!(same(&loaded.initial, &draw().initial));
        assert_eq!(loaded.steps.len(), 4);
        assert!(
            loaded
                .steps
                .iter()
                .zip(&draw().steps)
                .all(|(a, b)| same(a, b))
        );
    }

    #[test]
    fn a_frame_axis_of_one_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("video.safetensors");
        let tensors = HashMap::from([
            (INITIAL, draw().initial.unsqueeze(2).unwrap()),
            (
                STEPS,
                Tensor::stack(&draw().steps, 0)
                    .unwrap()
                    .unsqueeze(3)
                    .unwrap(),
            ),
        ]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let loaded = NoiseDraw::load(&path, &Device::Cpu).unwrap();
        assert!(same(&loaded.initial, &draw().initial) && same(&loaded.steps[3], &draw().steps[3]));
    }

    #[test]
    fn files_that_are_no_noise_say_what_to_give() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.safetensors");
        let missing = |path: &Path| NoiseDraw::load(path, &Device::Cpu).unwrap_err();
        assert!(matches!(missing(&path), NoiseFileError::Read { .. }));
        std::fs::write(&path, b"not a safetensors file").unwrap();
        assert!(matches!(missing(&path), NoiseFileError::Read { .. }));
        candle_core::safetensors::save(&HashMap::from([(INITIAL, draw().initial)]), &path).unwrap();
        assert!(matches!(
            missing(&path),
            NoiseFileError::Missing { tensor: STEPS, .. }
        ));
        candle_core::safetensors::save(
            &HashMap::from([(INITIAL, draw().initial.get(0).unwrap())]),
            &path,
        )
        .unwrap();
        assert!(matches!(
            missing(&path),
            NoiseFileError::Shape {
                tensor: INITIAL,
                ..
            }
        ));
    }
}
