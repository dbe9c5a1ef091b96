//! The zip that `torch.save` writes: one pickle that describes tensors, one entry a storage.
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read},
    path::Path,
    rc::Rc,
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{
    Blob, Entry, LoadError, LoadResult, Slice, Source, Weights,
    pickle::{self, TensorRecord, TorchProblem},
};

/// A state dict of the largest known checkpoints is described in well under a megabyte.
const MAX_PICKLE_BYTES: u64 = 64 << 20;

/// Where a storage's bytes lie in the file.
struct Extent {
    start: u64,
    len: u64,
}

pub(super) fn read(path: &Path) -> LoadResult<Weights> {
    let blob = Rc::new(Blob::disk(path.into())?);
    let origin = blob.name().to_string();
    let refused = |problem| LoadError::Torch {
        file: origin.clone(),
        problem,
    };
    let (pickle, extents) = contents(path, &origin)?;
    let mut entries = BTreeMap::new();
    for (name, record) in pickle::state_dict(&pickle).map_err(refused)? {
        let start = locate(&record, &extents, blob.len()).map_err(refused)?;
        let shape = record.shape.clone();
        let source = Ok(Source::Slice(Slice {
            blob: blob.clone(),
            start,
            stored: record.stored,
            shape: record.shape,
            strides: record.strides,
        }));
        if entries
            .insert(name.clone(), Entry { shape, source })
            .is_some()
        {
            return Err(refused(TorchProblem::Duplicate { name }));
        }
    }
    Ok(Weights::new(origin, entries))
}

/// The pickle, and the extent of each stored entry by storage key.
fn contents(path: &Path, origin: &str) -> LoadResult<(Vec<u8>, HashMap<String, Extent>)> {
    let refused = |problem| LoadError::Torch {
        file: origin.into(),
        problem,
    };
    let broken = |error: ZipError| {
        refused(TorchProblem::Zip {
            reason: error.to_string(),
        })
    };
    let unreadable = |source| LoadError::Read {
        file: origin.into(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let mut pickle = None;
    let mut extents = HashMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let Some((_, inner)) = name.split_once('/') else {
            continue;
        };
        if inner == "data.pkl" {
            let mut bytes = Vec::new();
            entry
                .by_ref()
                .take(MAX_PICKLE_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(unreadable)?;
            if bytes.len() as u64 > MAX_PICKLE_BYTES {
                return Err(refused(TorchProblem::TooLarge));
            }
            pickle = Some(bytes);
        } else if inner == "byteorder" {
            let mut order = String::new();
            entry
                .by_ref()
                .take(16)
                .read_to_string(&mut order)
                .map_err(unreadable)?;
            if order != "little" {
                return Err(refused(TorchProblem::ByteOrder { order }));
            }
        } else if let Some(key) = inner.strip_prefix("data/") {
            if entry.compression() != CompressionMethod::Stored {
                return Err(refused(TorchProblem::Compressed { entry: name }));
            }
            let start = entry
                .data_start()
                .ok_or_else(|| refused(TorchProblem::NoStorage { key: key.into() }))?;
            let len = entry.size();
            extents.insert(key.into(), Extent { start, len });
        }
    }
    let pickle = pickle.ok_or_else(|| refused(TorchProblem::NoPickle))?;
    Ok((pickle, extents))
}

/// First byte of the tensor, after checking that all of it lies inside its storage.
fn locate(
    record: &TensorRecord,
    extents: &HashMap<String, Extent>,
    file_len: u64,
) -> Result<u64, TorchProblem> {
    let extent = extents
        .get(&record.storage)
        .ok_or_else(|| TorchProblem::NoStorage {
            key: record.storage.clone(),
        })?;
    let outside = || TorchProblem::OutOfStorage {
        key: record.storage.clone(),
    };
    let size = record.stored.size() as u64;
    let end = record.end().ok_or_else(outside)?;
    let in_file = extent.len.min(file_len.saturating_sub(extent.start));
    if end as u64 > in_file / size {
        return Err(outside());
    }
    Ok(extent.start + record.offset as u64 * size)
}
