//! Convolutions of tensors by Winograd's transforms.
use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Result, Tensor, bail};

use super::{
    conv::{Filter, Seen, windows_over},
    host::{for_float, values},
    norm::Channel,
    real::Real,
    scratch::zeros,
    window::Windows,
    winograd::{LEAST_CHANNELS, View, Winograd, Write},
};

/// Whether the transforms cost less than what they save.
pub(crate) fn suits(filter: Filter<'_>) -> Result<bool> {
    let (outputs, inputs, side, _) = filter.weight.dims4()?;
    Ok(side == 3 && filter.stride == 1 && inputs.min(outputs) >= LEAST_CHANNELS)
}

/// `filter` over what is `seen` of `x`, as [`super::conv::conv2d`].
pub(super) fn conv2d(x: &Tensor, filter: Filter<'_>, seen: Seen<'_>) -> Result<Tensor> {
    for_float!(x, conv2d_of(x, filter, seen))
}

/// Adds `filter` over what is `seen` of `x [B, I, H, W]` to `sum [B, O, H', W']`, in its memory. Host, not part of the graph.
pub(crate) fn add_conv2d(
    sum: &Tensor,
    x: &Tensor,
    filter: Filter<'_>,
    seen: Seen<'_>,
) -> Result<()> {
    for_float!(x, add_conv2d_of(sum, x, filter, seen))
}

fn conv2d_of<T: Real>(x: &Tensor, filter: Filter<'_>, seen: Seen<'_>) -> Result<Tensor> {
    let prepared = Prepared::<T>::new(x, filter, seen)?;
    let shape = prepared.shape;
    let x = x.contiguous()?;
    let (x, layout) = x.storage_and_layout();
    let mut y = zeros(shape.iter().product());
    let images = &values::<T>(&x, layout)?[..layout.shape().elem_count()];
    prepared.run(images, &mut y, Write::Replace)?;
    Tensor::from_vec(y, &shape, &Device::Cpu)
}

fn add_conv2d_of<T: Real>(
    sum: &Tensor,
    x: &Tensor,
    filter: Filter<'_>,
    seen: Seen<'_>,
) -> Result<()> {
    let prepared = Prepared::<T>::new(x, filter, seen)?;
    if sum.dims() != prepared.shape || !sum.is_contiguous() {
        bail!(
            "a convolution to {:?} cannot be added to {:?}",
            prepared.shape,
            sum.layout()
        )
    }
    sum.inplace_op2(&x.contiguous()?, &prepared)
}

/// All but the numbers of the image.
struct Prepared<'a, T> {
    filter: Filter<'a>,
    seen: Seen<'a>,
    /// Of a normal view, `[B, I]`.
    channels: Vec<Channel<T>>,
    windows: Windows,
    /// `[B, O, H', W']`
    shape: [usize; 4],
}

impl<'a, T: Real> Prepared<'a, T> {
    fn new(x: &Tensor, filter: Filter<'a>, seen: Seen<'a>) -> Result<Self> {
        let (batch, _, height, width) = x.dims4()?;
        let size = match seen {
            Seen::Plain | Seen::Normal(..) => [height, width],
            Seen::Enlarged => [2 * height, 2 * width],
        };
        let (windows, (rows, columns)) = windows_over(size, filter)?;
        Ok(Self {
            filter,
            seen,
            channels: match seen {
                Seen::Normal(norm, affine) => norm.channels::<T>(x, affine)?,
                Seen::Plain | Seen::Enlarged => Vec::new(),
            },
            windows,
            shape: [batch, filter.weight.dim(0)?, rows, columns],
        })
    }

    fn run(&self, images: &[T], y: &mut [T], write: Write) -> Result<()> {
        let [_, outputs, rows, columns] = self.shape;
        let (weight, bias) = (
            self.filter.weight.contiguous()?,
            self.filter.bias.contiguous()?,
        );
        let (weight, weight_layout) = weight.storage_and_layout();
        let (bias, bias_layout) = bias.storage_and_layout();
        let conv = Winograd {
            images,
            view: match self.seen {
                Seen::Plain => View::Plain,
                Seen::Normal(norm, _) => View::Normal(&self.channels, norm.then),
                Seen::Enlarged => View::Enlarged,
            },
            weight: &values::<T>(&weight, weight_layout)?[..weight_layout.shape().elem_count()],
            bias: &values::<T>(&bias, bias_layout)?[..outputs],
            windows: self.windows,
            output: (rows, columns),
        };
        conv.run(y, write);
        Ok(())
    }
}

impl<T: Real> InplaceOp2 for Prepared<'_, T> {
    fn name(&self) -> &'static str {
        "add-convolution"
    }

    fn cpu_fwd(
        &self,
        sum: &mut CpuStorage,
        sum_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<()> {
        let images = &T::cpu_storage_as_slice(x)?[x_layout.start_offset()..];
        let y = &mut T::slice_mut(sum)?[sum_layout.start_offset()..];
        self.run(
            &images[..x_layout.shape().elem_count()],
            &mut y[..sum_layout.shape().elem_count()],
            Write::Add,
        )
    }
}
