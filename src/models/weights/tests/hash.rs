use std::{borrow::Cow, rc::Rc};

use candle_core::{DType, Device};

use super::*;

const STUDENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/zi_a/student.pt");

fn entry(bytes: &[u8], shape: &[usize], strides: &[usize]) -> BTreeMap<String, Entry> {
    let slice = Slice {
        blob: Rc::new(Blob::Memory {
            name: "memory".into(),
            bytes: Cow::Owned(bytes.to_vec()),
        }),
        start: 0,
        stored: Stored::F16,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    };
    let entry = Entry {
        shape: shape.to_vec(),
        source: Ok(Source::Slice(slice)),
    };
    BTreeMap::from([("w".to_owned(), entry)])
}

#[test]
fn a_checkpoint_has_one_hash_in_every_container() {
    let torch = Weights::file(Path::new(STUDENT)).unwrap();
    let tensors = candle_core::pickle::read_all(STUDENT).unwrap();
    let bare: Vec<_> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            (
                name.strip_prefix("transformer.").unwrap().to_owned(),
                tensor,
            )
        })
        .collect();
    let hash = torch.sha256("transformer").unwrap();
    assert_eq!(
        Weights::tensors("memory", bare.clone()).sha256("").unwrap(),
        hash
    );

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    ::safetensors::serialize_to_file(bare.clone(), None, &path).unwrap();
    assert_eq!(Weights::file(&path).unwrap().sha256("").unwrap(), hash);

    let mut other = bare;
    other[0].1 = (&other[0].1 + 1.0).unwrap();
    assert_ne!(Weights::tensors("memory", other).sha256("").unwrap(), hash);
}

#[test]
fn a_strided_tensor_hashes_by_its_rows() {
    let bytes: Vec<u8> = (0..12).collect();
    let strided = Weights::new("x".into(), entry(&bytes, &[2, 3], &[1, 2]));
    let tensor = Tensor::from_raw_buffer(&bytes, DType::F16, &[3, 2], &Device::Cpu).unwrap();
    let rows = Weights::tensors("x", [("w".into(), tensor.t().unwrap())]);
    let plain = Weights::new("x".into(), entry(&bytes, &[2, 3], &[3, 1]));
    assert_eq!(strided.sha256("").unwrap(), rows.sha256("").unwrap());
    assert_ne!(strided.sha256("").unwrap(), plain.sha256("").unwrap());
}
