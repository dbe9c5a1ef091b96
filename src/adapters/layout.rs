//! Whose file it is.
use std::fmt;

/// A way of naming an adapter's tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `pytorch_lora_weights.safetensors`, keys `transformer.MODULE.lora_A.weight`, settings in the file's metadata.
    Diffusers,
    /// `adapter_model.safetensors`, keys `base_model.model.transformer.MODULE.lora_A.weight`, beside `adapter_config.json`.
    Peft,
    /// Keys `diffusion_model.MODULE.lora_down.weight` or `.lora_A.weight`, an `.alpha` tensor beside each.
    ComfyUi,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diffusers => "diffusers",
            Self::Peft => "peft",
            Self::ComfyUi => "comfyui",
        })
    }
}
