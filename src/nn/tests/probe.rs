//! Seeded inputs and the finite-difference check.
use candle_core::{DType, Device, Result, Tensor, Var};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / f64::from(u32::MAX)
    }

    /// As [`Self::tensor`], of values that single precision holds exactly.
    pub fn single(&mut self, shape: &[usize]) -> Tensor {
        let rounded = self.tensor(shape).to_dtype(DType::F32).unwrap();
        rounded.to_dtype(DType::F64).unwrap()
    }

    /// Roughly normal values, double precision.
    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count)
            .map(|_| (0..6).map(|_| self.unit() - 0.5).sum::<f64>() * 1.4)
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
}

pub fn max_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let difference = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    (difference(a) - difference(b))
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

/// Directional derivatives of `<f(inputs), probe>` by backward and by central differences, for each input in turn.
pub fn check_gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let mut random = Random::new(91);
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(x).unwrap())
        .collect();
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tracked).unwrap();
    let probe = random.tensor(y.dims());
    let loss = |y: &Tensor| (y * &probe).unwrap().sum_all().unwrap();
    let grads = loss(&y).backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let grad = grads
            .get(var.as_tensor())
            .unwrap_or_else(|| panic!("input {index} has no gradient"));
        assert_eq!(grad.shape(), var.shape(), "input {index}");
        let mut directions: Vec<Tensor> = (0..3).map(|_| random.tensor(var.dims())).collect();
        directions.extend((0..3).map(|_| one_hot(&mut random, var.dims())));
        for direction in directions {
            let analytic = (grad * &direction).unwrap().sum_all().unwrap();
            let analytic: f64 = analytic.to_scalar().unwrap();
            let step = 1e-5;
            let at = |h: f64| -> f64 {
                let mut moved = inputs.to_vec();
                moved[index] = (&inputs[index] + (&direction * h).unwrap()).unwrap();
                loss(&f(&moved).unwrap()).to_scalar().unwrap()
            };
            let numeric = (at(step) - at(-step)) / (2.0 * step);
            let size = analytic.abs().max(numeric.abs()).max(1e-2);
            assert!(
                (analytic - numeric).abs() < 2e-6 * size.max(1.0),
                "input {index}: backward {analytic}, differences {numeric}"
            );
        }
    }
}

fn one_hot(random: &mut Random, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let mut values = vec![0.0; count];
    values[((random.unit() * count as f64) as usize).min(count - 1)] = 1.0;
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// How many gradients a backward through `f` stores for the frozen operands of `f`.
pub fn gradients_left(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> usize {
    let var = Var::from_tensor(x).unwrap();
    let grads = f(var.as_tensor())
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert!(grads.get(var.as_tensor()).is_some());
    grads.get_ids().count() - 1
}
