//! Shapes of a decoder, in both layouts of `config.json`.
use serde::Deserialize;

use crate::models::{
    error::{LoadResult, require},
    qwen3,
};

const FILE: &str = "config.json";

/// `text_config` of a vision-language model's `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    #[serde(default)]
    head_dim: Option<usize>,
    #[serde(default = "rms_norm_eps")]
    pub rms_norm_eps: f64,
    #[serde(default = "silu")]
    hidden_act: String,
    model_type: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    #[serde(default = "max_position_embeddings")]
    pub max_position_embeddings: usize,
    #[serde(default)]
    use_sliding_window: bool,
    /// As published checkpoints have it.
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default)]
    rope_scaling: Option<RopeScaling>,
    /// As transformers v5 writes it.
    #[serde(default)]
    rope_parameters: Option<RopeScaling>,
}

// transformers' defaults in `Qwen2Config`, which the published LLaVA-OneVision leaves out

fn rms_norm_eps() -> f64 {
    1e-6
}

fn silu() -> String {
    "silu".into()
}

fn max_position_embeddings() -> usize {
    32768
}

/// What changes rotary positions.
#[derive(Clone, Debug, Default, Deserialize)]
struct RopeScaling {
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default, alias = "type")]
    rope_type: Option<String>,
    #[serde(default)]
    mrope_section: Option<[usize; 3]>,
    #[serde(default)]
    mrope_interleaved: bool,
}

/// Which normalisations and biases the attention has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// Biases on queries, keys and values.
    Qwen2,
    /// A norm on the heads of queries and keys.
    Qwen3,
}

impl Config {
    /// # Errors
    /// Numbers that contradict each other, or a variant that npedit does not have.
    pub fn validate(&self) -> LoadResult<()> {
        for (key, value) in [
            ("text_config.vocab_size", self.vocab_size),
            ("text_config.hidden_size", self.hidden_size),
            ("text_config.intermediate_size", self.intermediate_size),
            ("text_config.num_hidden_layers", self.num_hidden_layers),
            ("text_config.num_attention_heads", self.num_attention_heads),
            ("text_config.num_key_value_heads", self.num_key_value_heads),
        ] {
            require(value > 0, (FILE, key), &value, "at least 1")?;
        }
        let heads = self.num_attention_heads;
        require(
            heads.is_multiple_of(self.num_key_value_heads),
            (FILE, "text_config.num_key_value_heads"),
            &self.num_key_value_heads,
            &format!("a divisor of num_attention_heads {heads}"),
        )?;
        require(
            self.head_dim() > 0 && self.head_dim().is_multiple_of(2),
            (FILE, "text_config.head_dim"),
            &self.head_dim(),
            "even and at least 2",
        )?;
        require(
            self.rms_norm_eps.is_finite() && self.rms_norm_eps > 0.0,
            (FILE, "text_config.rms_norm_eps"),
            &self.rms_norm_eps,
            "above 0",
        )?;
        require(
            self.hidden_act == "silu",
            (FILE, "text_config.hidden_act"),
            &self.hidden_act,
            "silu",
        )?;
        require(
            !self.use_sliding_window,
            (FILE, "text_config.use_sliding_window"),
            &self.use_sliding_window,
            "false",
        )?;
        require(
            matches!(
                self.model_type.as_str(),
                "qwen2" | "qwen3" | "qwen3_vl_text"
            ),
            (FILE, "text_config.model_type"),
            &self.model_type,
            "qwen2, qwen3 or qwen3_vl_text",
        )?;
        self.validate_rope()
    }

    fn validate_rope(&self) -> LoadResult<()> {
        let theta = self.theta();
        require(
            theta.is_finite() && theta > 0.0,
            (FILE, "text_config.rope_theta"),
            &theta,
            "above 0, here or in rope_parameters",
        )?;
        let scaling = self.scaling();
        // dynamic scaling starts beyond max_position_embeddings, where a question never comes
        let kind = scaling.rope_type.as_deref();
        require(
            matches!(kind, None | Some("default" | "mrope" | "dynamic")),
            (FILE, "text_config.rope_scaling.rope_type"),
            &kind,
            "default, mrope or dynamic",
        )?;
        let Some(sections) = scaling.mrope_section else {
            return Ok(());
        };
        require(
            scaling.mrope_interleaved,
            (FILE, "text_config.rope_scaling.mrope_interleaved"),
            &scaling.mrope_interleaved,
            "true",
        )?;
        let pairs = self.head_dim() / 2;
        require(
            sections.iter().sum::<usize>() == pairs,
            (FILE, "text_config.rope_scaling.mrope_section"),
            &sections,
            &format!("{pairs} in sum, half of head_dim"),
        )
    }

    /// The layers of a text encoder, which end before its last one.
    pub(in crate::models) fn of_text_encoder(encoder: &qwen3::Config) -> Self {
        let whole = Self::of_language_model(encoder);
        Self {
            num_hidden_layers: whole.num_hidden_layers - 1,
            ..whole
        }
    }

    /// All layers of a model whose config is a text encoder's.
    pub(in crate::models) fn of_language_model(encoder: &qwen3::Config) -> Self {
        Self {
            vocab_size: encoder.vocab_size,
            hidden_size: encoder.hidden_size,
            intermediate_size: encoder.intermediate_size,
            num_hidden_layers: encoder.num_hidden_layers,
            num_attention_heads: encoder.num_attention_heads,
            num_key_value_heads: encoder.num_key_value_heads,
            head_dim: Some(encoder.head_dim),
            rms_norm_eps: encoder.rms_norm_eps,
            hidden_act: encoder.hidden_act.clone(),
            model_type: "qwen3".into(),
            attention_bias: encoder.attention_bias,
            tie_word_embeddings: encoder.tie_word_embeddings,
            max_position_embeddings: qwen3::MAX_TOKENS,
            use_sliding_window: false,
            rope_theta: encoder.theta(),
            rope_scaling: None,
            rope_parameters: None,
        }
    }

    /// With the tie of the two ends that the level above may declare; where nobody does, transformers ties them.
    pub fn tied(self, above: Option<bool>) -> Self {
        Self {
            tie_word_embeddings: self.tie_word_embeddings || above.unwrap_or(true),
            ..self
        }
    }

    pub fn head_dim(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    pub(super) fn generation(&self) -> Generation {
        match self.model_type.as_str() {
            "qwen2" => Generation::Qwen2,
            _ => Generation::Qwen3,
        }
    }

    pub(super) fn has_query_bias(&self) -> bool {
        self.generation() == Generation::Qwen2 || self.attention_bias
    }

    pub(super) fn has_output_bias(&self) -> bool {
        self.generation() == Generation::Qwen3 && self.attention_bias
    }

    pub(super) fn theta(&self) -> f64 {
        let named = self.rope_theta.or(self.scaling().rope_theta);
        named.unwrap_or(f64::NAN)
    }

    /// Pairs of a head that turn with time, row and column; all with time where the model has no sections.
    pub(super) fn sections(&self) -> [usize; 3] {
        let whole = [self.head_dim() / 2, 0, 0];
        self.scaling().mrope_section.unwrap_or(whole)
    }

    fn scaling(&self) -> RopeScaling {
        let named = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        named.cloned().unwrap_or_default()
    }
}
