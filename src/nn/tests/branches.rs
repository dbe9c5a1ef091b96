//! Attention inside texts that start alike, and choices among logits.
use candle_core::{D, Device, Tensor};

use super::probe::{Random, check_gradients, max_difference};
use crate::nn::{Choice, KeyMask, attention, attention_in_branches, choice_losses};

#[test]
fn each_branch_attends_as_the_text_that_it_is_part_of() {
    let mut random = Random::new(80);
    let shape = |heads| [2, 11, heads, 4];
    let inputs = [4, 2, 2].map(|heads| random.tensor(&shape(heads)));
    let [q, k, v] = &inputs;
    let answer = attention_in_branches([q, k, v], 5, &[7, 11]).unwrap();
    for own in [5..7, 7..11] {
        let text = |x: &Tensor| {
            let own = x.narrow(1, own.start, own.len()).unwrap();
            Tensor::cat(&[&x.narrow(1, 0, 5).unwrap(), &own], 1).unwrap()
        };
        let alone = attention(&text(q), &text(k), &text(v), &KeyMask::Causal).unwrap();
        assert!(max_difference(&alone, &text(&answer)) < 1e-12);
    }
    check_gradients(&inputs, |x| {
        attention_in_branches([&x[0], &x[1], &x[2]], 5, &[7, 11])
    });
    check_gradients(&inputs, |x| {
        attention_in_branches([&x[0], &x[1], &x[2]], 0, &[4, 11])
    });
}

#[test]
fn a_choice_costs_what_its_candidates_say() {
    let logits = Random::new(81).tensor(&[3, 6]);
    let choices = [
        Choice {
            row: 2,
            candidates: &[5, 1],
            right: 1,
        },
        Choice {
            row: 0,
            candidates: &[0, 2, 3],
            right: 0,
        },
        Choice {
            row: 2,
            candidates: &[1, 4],
            right: 0,
        },
    ];
    let losses = choice_losses(&logits, &choices).unwrap();
    let losses = losses.to_vec1::<f64>().unwrap();
    for (choice, loss) in choices.iter().zip(losses) {
        let ids = Tensor::new(choice.candidates, &Device::Cpu).unwrap();
        let row = logits.get(choice.row).unwrap();
        let row = row.index_select(&ids, 0).unwrap();
        let all = row.log_sum_exp(D::Minus1).unwrap();
        let right = row.get(choice.right).unwrap();
        let expected = (all - right).unwrap().to_scalar::<f64>().unwrap();
        assert!((loss - expected).abs() < 1e-12, "{choice:?}");
    }
    check_gradients(std::slice::from_ref(&logits), |x| {
        choice_losses(&x[0], &choices)
    });
    let beyond = Choice {
        row: 3,
        candidates: &[0],
        right: 0,
    };
    assert!(choice_losses(&logits, &[beyond]).is_err());
}
