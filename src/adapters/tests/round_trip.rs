//! Written adapters read back.
use std::collections::BTreeMap;

use candle_core::{DType, Var};
use proptest::prelude::*;

use super::sample::{adapter, config, pair, small, tensor};
use crate::{
    adapters::{Adapter, AdapterConfig, Pair, Scaling, Target, read, write},
    nn::Compute,
};

const MODULES: [&str; 5] = [
    "context_refiner.1.feed_forward.w3",
    "layers.0.attention.to_out.0",
    "layers.1.adaLN_modulation.0",
    "layers.11.attention.to_q",
    "layers.1.attention.to_q",
];

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![DType::F32, DType::BF16, DType::F16])
}

fn any_pair() -> impl Strategy<Value = Pair> {
    let alpha = prop_oneof![Just(4.0), Just(0.1), -1e3..-1e-3f64, 1e-3..1e6f64];
    let tensors = (any::<u64>(), 1..4usize, 1..5usize, 1..5usize);
    (tensors, any_dtype(), any_dtype(), alpha).prop_map(
        |((seed, rank, input, output), a, b, alpha)| Pair {
            a: tensor(seed % 1000, (rank, input), a),
            b: tensor(seed % 999, (output, rank), b),
            alpha,
        },
    )
}

fn any_adapter() -> impl Strategy<Value = Adapter> {
    let module = prop::sample::select(&MODULES[..]).prop_map(str::to_owned);
    let pairs = prop::collection::btree_map(module, any_pair(), 1..5);
    let scaling = prop::sample::select(vec![Scaling::Standard, Scaling::RankStabilised]);
    let base = prop::option::of("[0-9a-f]{64}");
    (pairs, scaling, base).prop_map(|(pairs, scaling, base)| {
        Adapter::new(pairs, AdapterConfig { scaling, base }).unwrap()
    })
}

proptest! {
    #[test]
    fn every_adapter_comes_back_as_it_was(adapter in any_adapter()) {
        let dir = tempfile::tempdir().unwrap();
        for target in [Target::Diffusers, Target::Peft] {
            // the second one replaces the first
            write(&small(), dir.path(), target).unwrap();
            let path = write(&adapter, dir.path(), target).unwrap();
            let again = read(&path).unwrap().adapter;
            prop_assert_eq!(again.id(), adapter.id());
            prop_assert_eq!(again.config(), adapter.config());
            let (ours, theirs) = (adapter.branches(&Compute::cpu()), again.branches(&Compute::cpu()));
            for ((module, ours), (same, theirs)) in ours.unwrap().iter().zip(theirs.unwrap()) {
                prop_assert_eq!((module, ours.scale), (&same, theirs.scale));
            }
        }
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        prop_assert_eq!(left, 3);
    }
}

#[test]
fn the_same_adapter_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let based = Adapter::new(
        small().pairs().clone(),
        AdapterConfig {
            base: Some("00".repeat(32)),
            ..config(Scaling::Standard)
        },
    )
    .unwrap();
    let bytes = |name: &str| {
        std::fs::read(write(&based, &dir.path().join(name), Target::Diffusers).unwrap()).unwrap()
    };
    for name in ["a", "b", "c", "d"] {
        assert_eq!(bytes(name), bytes("first"));
    }
}

#[test]
fn the_id_is_of_what_the_adapter_does() {
    let id = |adapter: &Adapter| adapter.id().clone();
    let with = |change: fn(&mut Pair)| {
        let mut pairs: BTreeMap<_, _> = small().pairs().clone();
        change(pairs.first_entry().unwrap().get_mut());
        id(&Adapter::new(pairs, config(Scaling::Standard)).unwrap())
    };
    let rank_stabilised = Adapter::new(small().pairs().clone(), config(Scaling::RankStabilised));
    let based = AdapterConfig {
        base: Some("x".into()),
        ..config(Scaling::Standard)
    };
    let others = [
        with(|pair| pair.alpha = 3.0),
        with(|pair| pair.a = (&pair.a + 1.0).unwrap()),
        with(|pair| pair.b = pair.b.to_dtype(DType::BF16).unwrap()),
        id(&rank_stabilised.unwrap()),
        id(&adapter([("layers.0.attention.to_q", pair(1, [6, 5], 2))])),
        id(&small().scaled(2.0).unwrap()),
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(
            !others[..at].contains(other) && *other != id(&small()),
            "{at}"
        );
    }
    let same = [
        with(|_| ()),
        with(|pair| pair.a = pair.a.t().unwrap().contiguous().unwrap().t().unwrap()),
        id(&Adapter::new(small().pairs().clone(), based).unwrap()),
        id(&small().scaled(1.0).unwrap()),
    ];
    assert!(same.iter().all(|same| *same == id(&small())));
}

#[test]
fn training_on_does_not_reach_into_an_adapter() {
    let Pair { a, b, alpha } = pair(1, [6, 5], 2);
    let var = Var::from_tensor(&a).unwrap();
    let kept = adapter([(
        "m",
        Pair {
            a: var.as_tensor().clone(),
            b,
            alpha,
        },
    )]);
    var.set(&a.zeros_like().unwrap()).unwrap();
    let branch = &kept.branches(&Compute::cpu()).unwrap()["m"];
    let sum = |x: &candle_core::Tensor| {
        x.abs()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    assert_eq!(sum(&branch.a), sum(&a));
    assert!(!branch.a.track_op());
}

#[test]
fn strength_follows_alpha_rank_and_rule() {
    let Pair { a, b, .. } = pair(1, [6, 5], 4);
    let scale = |scaling, factor| {
        let pairs = [(
            "m".to_owned(),
            Pair {
                a: a.clone(),
                b: b.clone(),
                alpha: 8.0,
            },
        )];
        let adapter = Adapter::new(pairs.into(), config(scaling)).unwrap();
        adapter
            .scaled(factor)
            .unwrap()
            .branches(&Compute::cpu())
            .unwrap()["m"]
            .scale
    };
    assert_eq!(scale(Scaling::Standard, 1.0), 2.0);
    assert_eq!(scale(Scaling::RankStabilised, 1.0), 4.0);
    assert_eq!(scale(Scaling::Standard, -0.5), -1.0);
}
