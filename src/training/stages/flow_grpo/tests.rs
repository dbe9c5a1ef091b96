use candle_core::{Device, Tensor, Var};

use super::{sde::SdeStep, *};
use crate::training::losses::grpo::advantages;

/// Two samples, two draws apart.
struct Setup {
    draw: SdeStep,
    now: Tensor,
    next: Tensor,
    base: Tensor,
}

fn setup() -> Setup {
    let tensor = |seed: f64| {
        let values: Vec<f64> = (0..12)
            .map(|at| (seed + f64::from(at) * 1.7).sin())
            .collect();
        Tensor::from_vec(values, (2, 3, 2, 1), &Device::Cpu).unwrap()
    };
    Setup {
        draw: SdeStep::new((0.9, 0.6), 0.5),
        now: tensor(0.3),
        next: tensor(5.0),
        base: tensor(2.0),
    }
}

impl Setup {
    /// A model whose velocity is `share` of the latents.
    fn mean(&self, share: &Tensor) -> Tensor {
        let velocity = self.now.broadcast_mul(share).unwrap();
        self.draw.mean(&self.now, &velocity).unwrap()
    }

    fn log_probs(&self, share: &Tensor) -> Tensor {
        self.draw.log_probs(&self.next, &self.mean(share)).unwrap()
    }

    /// Surrogate and divergence at `share`, of draws that were made at `before`.
    fn loss(&self, share: &Tensor, before: f64, advantages: &[f64]) -> Tensor {
        let before = Tensor::new(&[before], &Device::Cpu).unwrap();
        let ratios = (self.log_probs(share) - self.log_probs(&before)).unwrap();
        let surrogate = Surrogate::new(&ratios.exp().unwrap(), advantages, 0.5).unwrap();
        assert_eq!(surrogate.clipped, [false, false]);
        let divergences = divergences(&self.mean(share), &self.base, self.draw.std).unwrap();
        let losses = (surrogate.losses + (divergences * 0.04).unwrap()).unwrap();
        losses.sum_all().unwrap()
    }
}

fn scalar(value: &Tensor) -> f64 {
    value.to_scalar().unwrap()
}

#[test]
fn the_gradient_is_the_one_that_differences_show() {
    let setup = setup();
    let share = Var::new(&[0.7f64], &Device::Cpu).unwrap();
    let advantages = [1.3, -0.4];
    let grads = setup.loss(&share, 0.65, &advantages).backward().unwrap();
    let gradient = grads.get(&share).unwrap().to_vec1::<f64>().unwrap()[0];
    let at = |share: f64| {
        let share = Tensor::new(&[share], &Device::Cpu).unwrap();
        scalar(&setup.loss(&share, 0.65, &advantages))
    };
    let differences = (at(0.7 + 1e-5) - at(0.7 - 1e-5)) / 2e-5;
    assert!(gradient.abs() > 1e-3, "{gradient}");
    assert!(
        (gradient - differences).abs() < 1e-8 * gradient.abs().max(1.0),
        "{gradient} {differences}"
    );
}

#[test]
fn equal_rewards_teach_nothing() {
    let setup = setup();
    let share = Var::new(&[0.7f64], &Device::Cpu).unwrap();
    let before = setup.log_probs(&share.as_tensor().detach());
    let ratios = (setup.log_probs(&share) - before).unwrap().exp().unwrap();
    assert_eq!(ratios.to_vec1::<f64>().unwrap(), [1.0, 1.0]);
    let surrogate = Surrogate::new(&ratios, &advantages(&[0.3, 0.3]), 1e-5).unwrap();
    let grads = surrogate.losses.sum_all().unwrap().backward().unwrap();
    assert_eq!(grads.get(&share).unwrap().to_vec1::<f64>().unwrap(), [0.0]);
}

#[test]
fn a_batch_between_two_updates_is_kept_to_the_bit() {
    let setup = setup();
    let drawn = Drawn {
        latents: vec![setup.now.clone(), setup.next.clone()],
        log_probs: vec![setup.log_probs(&Tensor::new(&[0.1], &Device::Cpu).unwrap())],
        advantages: vec![1.0 / 3.0, -0.25],
    };
    let mut state = State::default();
    Drawn::save(std::slice::from_ref(&drawn), &mut state);
    let restored = Drawn::restore(&state).unwrap();
    assert_eq!(restored.len(), 1);
    assert_eq!(restored[0].advantages, drawn.advantages);
    let values = |tensor: &Tensor| {
        let flat = tensor.flatten_all().unwrap();
        flat.to_vec1::<f64>().unwrap()
    };
    for (found, kept) in restored[0].latents.iter().zip(&drawn.latents) {
        assert_eq!(values(found), values(kept));
    }
    assert_eq!(
        values(&restored[0].log_probs[0]),
        values(&drawn.log_probs[0])
    );
    state.tensors.remove("flow_grpo.0.latents.1");
    assert!(Drawn::restore(&state).is_err());
    let mut nothing = State::default();
    Drawn::save(&[], &mut nothing);
    assert!(Drawn::restore(&nothing).unwrap().is_empty());
}
