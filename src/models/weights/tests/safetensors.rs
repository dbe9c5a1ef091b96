use std::{collections::HashMap, fs, path::Path};

use candle_core::{DType, Device};
use serde_json::json;
use tempfile::TempDir;

use super::*;

const FILE: &str = "diffusion_pytorch_model.safetensors";

/// A bundle whose `vae` directory is filled by the test.
fn bundle() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("vae")).unwrap();
    let files = Files::Directory(dir.path().into());
    (dir, files)
}

fn save(dir: &TempDir, file: &str, tensors: &[(&str, Tensor)]) {
    let tensors: HashMap<String, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect();
    candle_core::safetensors::save(&tensors, dir.path().join("vae").join(file)).unwrap();
}

fn ramp(count: u32) -> Tensor {
    Tensor::arange(0u32, count, &Device::Cpu)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap()
}

fn index(dir: &TempDir, map: &[(&str, &str)]) {
    let map: HashMap<&str, &str> = map.iter().copied().collect();
    let index = json!({"metadata": {}, "weight_map": map}).to_string();
    fs::write(
        dir.path().join("vae").join(format!("{FILE}.index.json")),
        index,
    )
    .unwrap();
}

#[test]
fn every_float_is_read_in_every_precision() {
    let (dir, files) = bundle();
    let tensors = [("a", DType::F32), ("b", DType::BF16), ("c", DType::F16)];
    save(
        &dir,
        FILE,
        &tensors.map(|(name, dtype)| {
            (
                name,
                ramp(6).reshape((2, 3)).unwrap().to_dtype(dtype).unwrap(),
            )
        }),
    );
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        let weights = Weights::safetensors(&files, "vae").unwrap();
        let compute = Compute {
            device: Device::Cpu,
            dtype,
        };
        for (name, _) in tensors {
            let tensor = weights.scope("", &compute).tensor(name, &[2, 3]).unwrap();
            assert_eq!(tensor.dtype(), dtype);
            let tensor = tensor.to_dtype(DType::F32).unwrap();
            assert_eq!(
                values(&tensor),
                [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
                "{name} as {dtype:?}"
            );
        }
        weights.finish().unwrap();
    }
}

#[test]
fn missing_misshaped_and_unused_tensors_are_named() {
    let (dir, files) = bundle();
    save(&dir, FILE, &[("a", ramp(6)), ("b", ramp(2))]);
    let weights = Weights::safetensors(&files, "vae").unwrap();
    let missing = take(&weights, "nothing", &[4]).unwrap_err().to_string();
    assert!(
        missing.contains(FILE) && missing.contains("nothing") && missing.contains("[4]"),
        "{missing}"
    );
    let shape = take(&weights, "a", &[2, 3]).unwrap_err().to_string();
    assert!(
        shape.contains(FILE) && shape.contains("[6]") && shape.contains("[2, 3]"),
        "{shape}"
    );
    let unused = weights.finish().unwrap_err().to_string();
    assert!(
        unused.contains(FILE) && unused.contains("b of shape [2]"),
        "{unused}"
    );
}

#[test]
fn a_tensor_of_another_kind_is_named_once_it_is_asked_for() {
    let (dir, files) = bundle();
    save(
        &dir,
        FILE,
        &[("steps", Tensor::new(&[1i64, 2], &Device::Cpu).unwrap())],
    );
    let weights = Weights::safetensors(&files, "vae").unwrap();
    let error = take(&weights, "steps", &[2]).unwrap_err();
    assert!(
        matches!(&error, LoadError::Dtype { tensor, .. } if tensor == "steps"),
        "{error}"
    );
}

#[test]
fn shards_are_read_through_their_index() {
    let (dir, files) = bundle();
    save(&dir, "one.safetensors", &[("a", ramp(2))]);
    save(&dir, "two.safetensors", &[("b", ramp(3))]);
    index(&dir, &[("a", "one.safetensors"), ("b", "two.safetensors")]);
    let weights = Weights::safetensors(&files, "vae").unwrap();
    assert_eq!(values(&take(&weights, "b", &[3]).unwrap()), [0.0, 1.0, 2.0]);
    assert_eq!(values(&take(&weights, "a", &[2]).unwrap()), [0.0, 1.0]);
}

#[test]
fn an_index_that_does_not_fit_its_shards_is_an_error() {
    let (dir, files) = bundle();
    let open = || Weights::safetensors(&files, "vae").err().unwrap();
    assert!(matches!(open(), LoadError::MissingFile { .. }));

    save(&dir, "one.safetensors", &[("a", ramp(2))]);
    index(&dir, &[("a", "one.safetensors"), ("b", "two.safetensors")]);
    assert!(matches!(open(), LoadError::MissingFile { file, .. } if file == "vae/two.safetensors"));

    save(&dir, "two.safetensors", &[("a", ramp(2))]);
    let twice = open().to_string();
    assert!(twice.contains("a is in two shards"), "{twice}");

    index(&dir, &[("a", "one.safetensors"), ("c", "one.safetensors")]);
    let absent = open().to_string();
    assert!(absent.contains("lists c"), "{absent}");

    for path in ["../secret.safetensors", "/etc/passwd", "a/../../b"] {
        index(&dir, &[("a", path)]);
        assert!(matches!(open(), LoadError::UnsafePath { .. }), "{path}");
    }
    fs::write(
        dir.path().join("vae").join(format!("{FILE}.index.json")),
        "{",
    )
    .unwrap();
    assert!(matches!(open(), LoadError::Json { .. }));
}

/// Writes a file from its header and `data` bytes of tensors.
fn write_raw(path: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn corrupt_headers_are_errors() {
    let (dir, files) = bundle();
    let path = dir.path().join("vae").join(FILE);
    let tensor = |offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#)
    };
    for (header, data) in [
        (String::new(), 0),
        ("{".into(), 0),
        ("[]".into(), 0),
        (tensor("[0,4]"), 8),
        (tensor("[0,8]"), 4),
        (tensor("[0,8]"), 12),
        (tensor("[4,12]"), 12),
        (tensor("[8,0]"), 8),
        (tensor("[0,18446744073709551615]"), 8),
        (
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#.into(),
            8,
        ),
    ] {
        write_raw(&path, &header, data);
        let error = Weights::safetensors(&files, "vae")
            .err()
            .unwrap_or_else(|| panic!("{header} with {data} bytes"));
        assert!(matches!(error, LoadError::Safetensors { .. }), "{error}");
    }
    for bytes in [
        &b""[..],
        b"short",
        &u64::MAX.to_le_bytes(),
        &90_000_000u64.to_le_bytes(),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Weights::safetensors(&files, "vae").err().unwrap();
        assert!(matches!(error, LoadError::Safetensors { .. }), "{error}");
    }
    write_raw(&path, &tensor("[0,8]"), 8);
    assert!(Weights::safetensors(&files, "vae").is_ok());
}
