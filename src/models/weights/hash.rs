//! What a checkpoint's tensors are, in one hash.
use candle_core::{Device, Tensor};
use safetensors::View;
use sha2::{Digest, Sha256};

use super::{
    LoadError, LoadResult, Slice, Source, Weights,
    decode::{contiguous, gather, read, span},
};
use crate::models::files::hex;

const CHUNK_BYTES: usize = 1 << 20;

impl Weights {
    /// SHA-256 in hex over names (without `prefix` and its dot), dtypes, shapes and elements of all tensors that nobody took
    /// yet: the same whether one file holds them, shards or a torch checkpoint.
    ///
    /// # Errors
    /// A tensor of a dtype that npedit does not read, or a file that cannot be read.
    pub fn sha256(&self, prefix: &str) -> LoadResult<String> {
        let mut hash = Sha256::new();
        let below = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        for (name, entry) in self.left.borrow().iter() {
            let dtype = match &entry.source {
                Ok(Source::Slice(slice)) => slice.stored.name(),
                Ok(Source::Tensor(tensor)) => tensor.dtype().as_str(),
                Err(dtype) => {
                    return Err(LoadError::Dtype {
                        file: self.origin.clone(),
                        tensor: name.clone(),
                        dtype: dtype.clone(),
                    });
                }
            };
            let name = name.strip_prefix(&below).unwrap_or(name);
            hash.update(format!("{name} {dtype} {:?}\n", entry.shape));
            match &entry.source {
                Ok(Source::Slice(slice)) => add(&mut hash, slice)?,
                Ok(Source::Tensor(tensor)) => hash.update(self.host(name, tensor)?.data()),
                Err(_) => {}
            }
        }
        Ok(hex(&hash.finalize()))
    }

    fn host(&self, name: &str, tensor: &Tensor) -> LoadResult<Tensor> {
        let host = tensor.to_device(&Device::Cpu).and_then(|x| x.contiguous());
        host.map_err(|source| LoadError::Place {
            file: self.origin.clone(),
            tensor: name.into(),
            source: Box::new(source),
        })
    }
}

/// Elements as they are stored, row by row.
fn add(hash: &mut Sha256, slice: &Slice) -> LoadResult<()> {
    if slice.strides != contiguous(&slice.shape) {
        return match slice.stored.size() {
            4 => add_strided::<4>(hash, slice),
            _ => add_strided::<2>(hash, slice),
        };
    }
    let bytes = slice.shape.iter().product::<usize>() * slice.stored.size();
    let mut buffer = vec![0; CHUNK_BYTES.min(bytes)];
    for at in (0..bytes).step_by(CHUNK_BYTES) {
        let part = &mut buffer[..CHUNK_BYTES.min(bytes - at)];
        slice.blob.read_at(slice.start + at as u64, part)?;
        hash.update(part);
    }
    Ok(())
}

fn add_strided<const N: usize>(hash: &mut Sha256, slice: &Slice) -> LoadResult<()> {
    let elements: Vec<[u8; N]> = read(slice, span(&slice.shape, &slice.strides), |bytes| bytes)?;
    for element in gather(&elements, &slice.shape, &slice.strides) {
        hash.update(element);
    }
    Ok(())
}
