//! Named tensors of a checkpoint, each taken exactly once.
mod decode;
mod hash;
mod pickle;
mod safetensors;
mod scope;
mod torch;

use std::{cell::RefCell, collections::BTreeMap, path::Path, rc::Rc};

use candle_core::Tensor;

pub use self::{pickle::TorchProblem, scope::Scope};
use super::{
    error::{LoadError, LoadResult},
    files::{Blob, Files},
};
use crate::nn::Compute;

/// How the elements of a stored tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    F32,
    Bf16,
    F16,
}

impl Stored {
    /// The element type's usual name.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
}

/// Where one tensor lies inside a file.
#[derive(Clone, Debug)]
struct Slice {
    blob: Rc<Blob>,
    /// First byte of the tensor's first element.
    start: u64,
    stored: Stored,
    shape: Vec<usize>,
    /// In elements, one a dimension.
    strides: Vec<usize>,
}

/// What a tensor is made from.
#[derive(Clone, Debug)]
enum Source {
    Slice(Slice),
    /// Already in memory; kept as it is, so a `Var` stays a `Var`.
    Tensor(Tensor),
}

/// One named tensor of a checkpoint.
#[derive(Clone, Debug)]
struct Entry {
    shape: Vec<usize>,
    /// `Err` holds the name of a dtype that npedit does not read: an error once somebody asks for the tensor.
    source: Result<Source, String>,
}

/// Makes the tensor of a name and shape.
type Draw = Box<dyn Fn(&str, &[usize]) -> candle_core::Result<Tensor>>;

/// All tensors of one model, by checkpoint name. Nothing is read before it is asked for.
pub struct Weights {
    /// Names the checkpoint in messages.
    origin: String,
    left: RefCell<BTreeMap<String, Entry>>,
    /// Where a tensor comes from that no file holds; without one it is missing.
    draw: Option<Draw>,
}

impl Weights {
    /// The weights of a diffusers or transformers directory inside a bundle: one safetensors file, or shards with an index.
    ///
    /// # Errors
    /// No weights in the directory, a shard missing or outside of it, or a file that is not safetensors.
    pub fn safetensors(files: &Files, directory: &str) -> LoadResult<Self> {
        safetensors::directory(files, directory)
    }

    /// A single checkpoint file: `.safetensors`, or the zip that `torch.save` writes.
    ///
    /// # Errors
    /// The file is missing or neither of the two.
    pub fn file(path: &Path) -> LoadResult<Self> {
        if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            let blob = Blob::disk(path.into())?;
            let mut entries = BTreeMap::new();
            let origin = blob.name().to_string();
            safetensors::read_header(blob, &mut entries)?;
            Ok(Self::new(origin, entries))
        } else {
            torch::read(path)
        }
    }

    /// Tensors that are in memory already. Those of the wanted device and dtype are used as they are, with their gradients.
    pub fn tensors(origin: &str, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let entries = tensors.into_iter().map(|(name, tensor)| {
            let shape = tensor.dims().to_vec();
            let source = Ok(Source::Tensor(tensor));
            (name, Entry { shape, source })
        });
        let entries = entries.collect();
        Self::new(origin.into(), entries)
    }

    /// Every tensor that a model asks for, made by `draw` from its name and shape.
    pub fn drawn(
        origin: &str,
        draw: impl Fn(&str, &[usize]) -> candle_core::Result<Tensor> + 'static,
    ) -> Self {
        Self {
            draw: Some(Box::new(draw)),
            ..Self::new(origin.into(), BTreeMap::new())
        }
    }

    fn new(origin: String, left: BTreeMap<String, Entry>) -> Self {
        Self {
            origin,
            left: RefCell::new(left),
            draw: None,
        }
    }

    /// All tensors by name, without `prefix` where they have it.
    ///
    /// # Errors
    /// A tensor cannot be read or placed.
    pub fn into_tensors(
        self,
        prefix: &str,
        compute: &Compute,
    ) -> LoadResult<BTreeMap<String, Tensor>> {
        let entries = self.left.borrow();
        let shapes: Vec<_> = entries
            .iter()
            .map(|(name, entry)| (name.clone(), entry.shape.clone()))
            .collect();
        drop(entries);
        let scope = self.scope("", compute);
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let bare = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
            Ok((bare, scope.tensor(&name, &shape)?))
        });
        tensors.collect()
    }

    /// A view that takes tensors below `prefix` (empty: all) and places them for `compute`.
    pub fn scope<'a>(&'a self, prefix: &str, compute: &'a Compute) -> Scope<'a> {
        Scope::new(self, prefix.into(), compute)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.left.borrow().contains_key(name)
    }

    /// Call after the model is built.
    ///
    /// # Errors
    /// A tensor of the checkpoint was not used.
    pub fn finish(self) -> LoadResult<()> {
        let left = self.left.into_inner();
        match left.first_key_value() {
            None => Ok(()),
            Some((tensor, entry)) => Err(LoadError::UnusedTensors {
                file: self.origin,
                count: left.len(),
                tensor: tensor.clone(),
                found: entry.shape.clone(),
            }),
        }
    }

    /// Removes and checks one tensor.
    fn take(&self, name: &str, expected: &[usize]) -> LoadResult<Source> {
        if let Some(draw) = &self.draw {
            return draw(name, expected)
                .map(Source::Tensor)
                .map_err(|source| LoadError::Place {
                    file: self.origin.clone(),
                    tensor: name.into(),
                    source: Box::new(source),
                });
        }
        let Some(entry) = self.left.borrow_mut().remove(name) else {
            return Err(LoadError::MissingTensor {
                file: self.origin.clone(),
                tensor: name.into(),
                expected: expected.to_vec(),
            });
        };
        let file = self.file_of(&entry.source);
        if entry.shape != expected {
            return Err(LoadError::Shape {
                file,
                tensor: name.into(),
                expected: expected.to_vec(),
                found: entry.shape,
            });
        }
        entry.source.map_err(|dtype| LoadError::Dtype {
            file,
            tensor: name.into(),
            dtype,
        })
    }

    fn file_of(&self, source: &Result<Source, String>) -> String {
        match source {
            Ok(Source::Slice(slice)) => slice.blob.name().into(),
            _ => self.origin.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
