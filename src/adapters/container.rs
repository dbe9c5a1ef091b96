//! The safetensors file that every layout is kept in.
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, tensor::Metadata};
use serde_json::{Map, Value};

use super::AdapterError;

/// The format's own limit, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of the header's own length.
const LENGTH: u64 = 8;
const METADATA: &str = "__metadata__";

/// An open file whose header is read: a checkpoint of many gigabytes is refused before its tensors are.
pub(super) struct Container {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// First byte of the tensors.
    start: u64,
}

impl Container {
    pub(super) fn open(path: &Path) -> Result<Self, AdapterError> {
        let unreadable = |source| AdapterError::Read {
            file: path.into(),
            source,
        };
        let invalid = |reason: String| AdapterError::Safetensors {
            file: path.into(),
            reason,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        if len < LENGTH {
            return Err(invalid(format!("it has {len} bytes")));
        }
        let mut length = [0; LENGTH as usize];
        file.read_exact(&mut length).map_err(unreadable)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES.min(len - LENGTH) {
            return Err(invalid(format!(
                "its header claims {length} bytes of {len}"
            )));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
        let start = LENGTH + length;
        let (described, held) = (header.data_len() as u64, len - start);
        if described != held {
            return Err(invalid(format!(
                "its header describes {described} bytes of tensors, the file holds {held}"
            )));
        }
        Ok(Self {
            path: path.into(),
            file,
            header,
            start,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// What the writer noted beside the tensors.
    pub(super) fn note(&self, key: &str) -> Option<&str> {
        self.header
            .metadata()
            .as_ref()?
            .get(key)
            .map(String::as_str)
    }

    /// One tensor, in the dtype it is stored in.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, AdapterError> {
        let unknown = || AdapterError::UnknownTensor {
            file: self.path.clone(),
            tensor: name.into(),
        };
        let info = self.header.info(name).ok_or_else(unknown)?;
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            other => {
                return Err(AdapterError::Dtype {
                    tensor: name.into(),
                    dtype: format!("{other:?}"),
                });
            }
        };
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to - from];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| AdapterError::Read {
                file: self.path.clone(),
                source,
            })?;
        Tensor::from_raw_buffer(&bytes, dtype, &info.shape, &Device::Cpu).map_err(|source| {
            AdapterError::Tensor {
                module: name.into(),
                source,
            }
        })
    }
}

/// The bytes of a file with these tensors and notes; the same for the same content.
pub(super) fn to_bytes(
    tensors: &BTreeMap<String, Tensor>,
    notes: BTreeMap<&str, String>,
) -> Vec<u8> {
    let unordered: HashMap<String, String> = notes
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect();
    let bytes = safetensors::serialize(tensors, Some(unordered))
        .expect("names differ, and tensors on the host have as many elements as their shape");
    with_sorted_notes(bytes)
}

/// The library writes its notes in another order each time; sorted, they take the same room.
fn with_sorted_notes(mut bytes: Vec<u8>) -> Vec<u8> {
    let (length, rest) = bytes.split_at_mut(LENGTH as usize);
    let length = u64::from_le_bytes(length.try_into().expect("split at eight"));
    let header = &mut rest[..length as usize];
    let mut json: Map<String, Value> =
        serde_json::from_slice(header).expect("the library wrote it");
    if let Some(Value::Object(notes)) = json.get_mut(METADATA) {
        notes.sort_keys();
    }
    let sorted = Value::Object(json).to_string();
    header.fill(b' ');
    header[..sorted.len()].copy_from_slice(sorted.as_bytes());
    bytes
}
