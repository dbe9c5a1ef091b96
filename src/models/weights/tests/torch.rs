use std::{
    fs,
    io::{Cursor, Write},
};

use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::models::weights::pickle::{self, TensorRecord};

/// Pieces of a protocol 2 pickle.
fn text(value: &str) -> Vec<u8> {
    [
        b"X",
        &(value.len() as u32).to_le_bytes()[..],
        value.as_bytes(),
    ]
    .concat()
}

fn name(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

fn int(value: i32) -> Vec<u8> {
    [b"J", &value.to_le_bytes()[..]].concat()
}

fn ints(values: &[i32]) -> Vec<u8> {
    let items: Vec<u8> = values.iter().flat_map(|value| int(*value)).collect();
    [b"(", &items[..], b"t"].concat()
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())`
fn tensor(kind: &str, key: &str, offset: i32, [size, stride]: [&[i32]; 2]) -> Vec<u8> {
    let storage = [
        b"(".to_vec(),
        text("storage"),
        name("torch", kind),
        text(key),
        text("cpu"),
        int(6),
        b"tQ".to_vec(),
    ]
    .concat();
    let hooks = [name("collections", "OrderedDict"), b")R".to_vec()].concat();
    let arguments = [
        storage,
        int(offset),
        ints(size),
        ints(stride),
        b"\x89".to_vec(),
        hooks,
    ]
    .concat();
    [
        name("torch._utils", "_rebuild_tensor_v2"),
        b"(".to_vec(),
        arguments,
        b"tR".to_vec(),
    ]
    .concat()
}

fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"\x80\x02}(".to_vec(), items, b"u.".to_vec()].concat()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (path, bytes) in entries {
        zip.start_file(format!("archive/{path}"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> LoadResult<Weights> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.pt");
    fs::write(&path, bytes).unwrap();
    Weights::file(&path)
}

fn problem(bytes: &[u8]) -> TorchProblem {
    match open(bytes).err() {
        Some(LoadError::Torch { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// Six floats 0 to 5.
fn floats() -> Vec<u8> {
    (0..6)
        .flat_map(|value| (value as f32).to_le_bytes())
        .collect()
}

fn whole(pickle: &[u8]) -> Vec<u8> {
    archive(&[
        ("data.pkl", pickle),
        ("byteorder", b"little"),
        ("data/0", &floats()),
    ])
}

#[test]
fn views_of_a_shared_storage_are_read() {
    let pickle = dict(&[
        ("all", tensor("FloatStorage", "0", 0, [&[2, 3], &[3, 1]])),
        (
            "transposed",
            tensor("FloatStorage", "0", 0, [&[3, 2], &[1, 3]]),
        ),
        ("last", tensor("FloatStorage", "0", 4, [&[2], &[1]])),
        ("repeated", tensor("FloatStorage", "0", 5, [&[3], &[0]])),
        ("empty", tensor("FloatStorage", "0", 0, [&[0], &[1]])),
        ("scalar", tensor("FloatStorage", "0", 3, [&[], &[]])),
    ]);
    let weights = open(&whole(&pickle)).unwrap();
    let read = |name: &str, shape: &[usize]| values(&take(&weights, name, shape).unwrap());
    assert_eq!(read("all", &[2, 3]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(read("transposed", &[3, 2]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(read("last", &[2]), [4.0, 5.0]);
    assert_eq!(read("repeated", &[3]), [5.0, 5.0, 5.0]);
    assert_eq!(read("empty", &[0]), [0.0; 0]);
    assert_eq!(read("scalar", &[]), [3.0]);
    weights.finish().unwrap();
}

#[test]
fn what_is_not_a_tensor_is_never_run() {
    for (module, function) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("posix", "system"),
        ("torch", "load"),
    ] {
        let call = [
            name(module, function),
            b"(".to_vec(),
            text("touch /tmp/owned"),
            b"tR".to_vec(),
        ]
        .concat();
        let forbidden = TorchProblem::Forbidden {
            name: format!("{module}.{function}"),
        };
        assert_eq!(problem(&whole(&dict(&[("a", call)]))), forbidden);
    }
    // the other ways to name or build an object: STACK_GLOBAL, INST, OBJ, NEWOBJ, EXT1, and BYTEARRAY8
    for opcode in [0x93, b'i', b'o', 0x81, 0x82, 0x96] {
        let found = problem(&whole(&[0x80, 2, opcode]));
        assert_eq!(found, TorchProblem::Opcode { opcode, at: 2 });
    }
}

#[test]
fn tensors_outside_of_their_storage_are_refused() {
    for (offset, size, stride) in [
        (0, &[7][..], &[1][..]),
        (1, &[6], &[1]),
        (0, &[2, 3], &[4, 1]),
        (0, &[2], &[i32::MAX]),
        (i32::MAX, &[1], &[1]),
        (
            0,
            &[i32::MAX, i32::MAX, i32::MAX],
            &[i32::MAX, i32::MAX, i32::MAX],
        ),
    ] {
        let pickle = dict(&[("a", tensor("FloatStorage", "0", offset, [size, stride]))]);
        assert_eq!(
            problem(&whole(&pickle)),
            TorchProblem::OutOfStorage { key: "0".into() },
            "{size:?}"
        );
    }
    let negative = dict(&[("a", tensor("FloatStorage", "0", -1, [&[1], &[1]]))]);
    assert!(matches!(
        problem(&whole(&negative)),
        TorchProblem::Malformed { .. }
    ));
    let ragged = dict(&[("a", tensor("FloatStorage", "0", 0, [&[1, 1], &[1]]))]);
    assert!(matches!(
        problem(&whole(&ragged)),
        TorchProblem::Malformed { .. }
    ));
    let absent = dict(&[("a", tensor("FloatStorage", "9", 0, [&[1], &[1]]))]);
    assert_eq!(
        problem(&whole(&absent)),
        TorchProblem::NoStorage { key: "9".into() }
    );
}

#[test]
fn containers_that_torch_does_not_write_are_refused() {
    let pickle = dict(&[("a", tensor("FloatStorage", "0", 0, [&[6], &[1]]))]);
    assert!(matches!(problem(b"not a zip"), TorchProblem::Zip { .. }));
    assert_eq!(
        problem(&archive(&[("data/0", &floats())])),
        TorchProblem::NoPickle
    );
    let big = archive(&[
        ("data.pkl", &pickle),
        ("byteorder", b"big"),
        ("data/0", &floats()),
    ]);
    assert_eq!(
        problem(&big),
        TorchProblem::ByteOrder {
            order: "big".into()
        }
    );
    assert_eq!(problem(&whole(b"\x80\x02).")), TorchProblem::NotAStateDict);
    assert_eq!(
        problem(&whole(&dict(&[("epoch", int(3))]))),
        TorchProblem::NotAStateDict
    );
    let twice = tensor("FloatStorage", "0", 0, [&[6], &[1]]);
    let twice = dict(&[("a", twice.clone()), ("a", twice)]);
    assert_eq!(
        problem(&whole(&twice)),
        TorchProblem::Duplicate { name: "a".into() }
    );
    let integers = dict(&[("a", tensor("LongStorage", "0", 0, [&[1], &[1]]))]);
    assert_eq!(
        problem(&whole(&integers)),
        TorchProblem::Forbidden {
            name: "torch.LongStorage".into()
        }
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let pickle = dict(&[("a", tensor("FloatStorage", "0", 0, [&[6], &[1]]))]);
    let bytes = whole(&pickle);
    assert!(open(&bytes).is_ok());
    for len in 0..bytes.len() {
        assert!(
            open(&bytes[..len]).is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
    }
    for len in 0..pickle.len() {
        assert!(
            pickle::state_dict(&pickle[..len]).is_err(),
            "{len} of {} bytes",
            pickle.len()
        );
    }
}

#[test]
fn a_damaged_pickle_never_panics() {
    let pickle = dict(&[("a", tensor("HalfStorage", "0", 1, [&[2, 2], &[2, 1]]))]);
    for at in 0..pickle.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = pickle.clone();
            damaged[at] = byte;
            let read: Result<Vec<(String, TensorRecord)>, TorchProblem> =
                pickle::state_dict(&damaged);
            if let Ok(tensors) = read {
                assert!(tensors.len() <= 1);
            }
        }
    }
}

#[test]
fn the_recorded_checkpoint_reads_as_candle_reads_it() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zi_a/student.pt");
    let weights = Weights::file(&path).unwrap();
    for (name, theirs) in candle_core::pickle::read_all(&path).unwrap() {
        let ours = take(&weights, &name, theirs.dims()).unwrap();
        let theirs = theirs.to_dtype(candle_core::DType::F32).unwrap();
        assert_eq!(values(&ours), values(&theirs), "{name}");
    }
    weights.finish().unwrap();
}
