//! Adapters that PEFT wrote.
use std::path::PathBuf;

use candle_core::DType;

use crate::{
    adapters::{Layout, Target, read, write},
    nn::Compute,
};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/zi_a")
        .join(name)
}

#[test]
fn what_peft_wrote_keeps_its_id_in_every_layout() {
    let mut ids = Vec::new();
    for name in ["student_lora", "fake_lora"] {
        let found = read(&golden(name)).unwrap();
        assert_eq!(found.layout, Layout::Peft);
        let adapter = found.adapter;
        assert_eq!(adapter.pairs().len(), 49);
        assert!(adapter.pairs().values().all(|pair| pair.rank() == 4));
        assert_eq!(
            adapter.pairs()["layers.0.feed_forward.w1"].shape(),
            [85, 32]
        );
        let dir = tempfile::tempdir().unwrap();
        for (target, layout) in [
            (Target::Diffusers, Layout::Diffusers),
            (Target::Peft, Layout::Peft),
        ] {
            let path = dir.path().join(layout.to_string());
            let file = write(&adapter, &path, target).unwrap();
            for path in [path, file] {
                let again = read(&path).unwrap();
                assert_eq!((again.adapter.id(), again.layout), (adapter.id(), layout));
            }
        }
        ids.push(adapter.id().clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn branches_have_the_scale_and_place_asked_for() {
    let adapter = read(&golden("student_lora")).unwrap().adapter;
    let compute = Compute {
        dtype: DType::BF16,
        ..Compute::cpu()
    };
    let branches = adapter.branches(&compute).unwrap();
    assert_eq!(branches.len(), 49);
    for (module, lora) in &branches {
        assert_eq!(lora.scale, 1.0, "{module}");
        assert_eq!((lora.a.dtype(), lora.b.dtype()), (DType::BF16, DType::BF16));
    }
}
