//! The validated settings.
use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{auth::Auth, captions::Captions, fetch::Fetch};

/// Everything that can be set, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    pub model: Model,
    pub edit: Edit,
    pub judge: Judge,
    pub adapters: Adapters,
    pub engine: Engine,
    pub cache: Cache,
    pub results: Results,
    pub images: Images,
    pub fetch: Fetch,
    pub storage: Storage,
    pub finetune: Finetune,
    /// `None` asks no model about rows.
    pub captions: Option<Captions>,
    pub capture: Capture,
    pub log: Log,
    pub traces: Traces,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub host: IpAddr,
    /// 0 takes a free port.
    pub port: u16,
    pub max_body_bytes: usize,
    /// Time to receive a whole request.
    pub request_timeout: Duration,
    /// Time of an edit, waiting included.
    pub edit_timeout: Duration,
    /// Time between a signal to stop and the end of accepting.
    pub drain_delay: Duration,
    /// Time for running edits after that.
    pub shutdown_grace: Duration,
    /// Pages of these origins may call from a browser; `*` is all.
    pub cors_origins: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Directory or `hf:` reference of a bundle; `None` is the embedded one.
    pub reference: Option<String>,
    /// File or `hf:` reference of generator weights; `None` keeps the bundle's transformer.
    pub generator: Option<String>,
    /// Whether connections to the hub are forbidden.
    pub offline: bool,
    pub device: DeviceChoice,
    pub transformer_dtype: DtypeChoice,
    pub text_encoder_dtype: DtypeChoice,
    pub vae_dtype: DtypeChoice,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Images of one request, 1..=64.
    pub max_n: usize,
    /// Denoising steps of one request, 1..=8.
    pub max_steps: usize,
    pub instruction_max_bytes: usize,
    pub output_format: FormatChoice,
    /// 1..=100, of JPEG.
    pub output_quality: u8,
    pub preprocess: PreprocessChoice,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// Directory or `hf:` reference of a judge; `None` is the bundle's own, if it has one.
    pub reference: Option<String>,
    /// Whether a judge is loaded at all.
    pub enabled: bool,
    pub dtype: DtypeChoice,
    /// `None` is the built-in table.
    pub questions_file: Option<PathBuf>,
    pub calibration_file: Option<PathBuf>,
    pub answer_spelling: SpellingChoice,
    pub overall: OverallChoice,
    /// Questions of a caller's own for one pair of images.
    pub max_questions: usize,
    pub question_max_bytes: usize,
    /// Pairs of images in one request.
    pub max_items: usize,
    /// Candidates of one edit, 2..=64.
    pub max_best_of: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Adapters {
    /// `None` offers no adapters.
    pub directory: Option<PathBuf>,
    /// Of all loaded ones.
    pub max_resident_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Requests that may wait.
    pub queue_depth: usize,
    /// Pictures that are denoised together.
    pub max_batch: usize,
    /// Longest wait of an edit for others.
    pub batch_wait: Duration,
    /// 0 is one per core.
    pub threads: usize,
}

/// Memory for what edits repeat; 0 keeps nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    pub text_max_bytes: usize,
    pub reference_max_bytes: usize,
}

/// Answers for clients that did not wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub ttl: Duration,
    pub max_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    pub max_pixels: u64,
    pub max_side_px: u32,
    pub max_bytes: usize,
    /// 0 is one per core.
    pub decode_workers: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub data_dir: PathBuf,
    /// Of Postgres; `None` is SQLite in `data_dir`.
    pub database_url: Option<String>,
    /// `s3://bucket/prefix`; `None` is a folder in `data_dir`.
    pub objects_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Finetune {
    pub run: RunChoice,
    /// Recipes beside the built-in ones.
    pub recipes_dir: Option<PathBuf>,
    /// After this long without a sign of life a job goes to another worker.
    pub lease: Duration,
    pub checkpoint_interval: Duration,
    pub max_rows: usize,
    pub max_entries: usize,
    /// Unpacked bytes of a set.
    pub max_set_bytes: u64,
    /// Unpacked bytes over packed ones.
    pub max_ratio: u64,
    /// Share of the rows that judge an adapter, where a request names none.
    pub holdout: f64,
    /// Held-out rows that are edited at most.
    pub max_held_out: usize,
    /// Edits of the regression set.
    pub regression_edits: usize,
    /// The gain's lower bound must be above it.
    pub margin: f64,
    /// No edit type may lose more.
    pub type_margin: f64,
    /// A stream of a job's events ends after this long without one.
    pub events_idle: Duration,
}

/// Edits that are kept to be trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    pub low_scores: bool,
    /// Overall score under which an edit is kept.
    pub below: f64,
    /// Of all kept pictures.
    pub max_bytes: u64,
    pub max_age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunChoice {
    /// Beside the service, in turns with edits.
    Turns,
    /// Beside the service, while no edit is there.
    Idle,
    /// In `npedit worker` alone.
    Workers,
}

impl Choice for RunChoice {
    const ALL: &'static [(&'static str, Self)] = &[
        ("turns", Self::Turns),
        ("idle", Self::Idle),
        ("workers", Self::Workers),
    ];
}

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub level: String,
}

/// Spans of requests, for a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// `http://HOST:PORT` of it; `None` sends none.
    pub otlp_endpoint: Option<String>,
}

/// A setting with a fixed list of names; the first is taken where the name is unknown (and reported).
pub trait Choice: Copy + 'static {
    const ALL: &'static [(&'static str, Self)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where it works, else the CPU.
    Auto,
    Cpu,
    Cuda,
}

impl Choice for DeviceChoice {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("cpu", Self::Cpu),
        ("cuda", Self::Cuda),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtypeChoice {
    /// f32 on the CPU, bf16 on CUDA.
    Auto,
    F32,
    Bf16,
}

impl Choice for DtypeChoice {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("f32", Self::F32),
        ("bf16", Self::Bf16),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatChoice {
    Png,
    Jpeg,
    Webp,
}

impl Choice for FormatChoice {
    const ALL: &'static [(&'static str, Self)] = &[
        ("png", Self::Png),
        ("jpeg", Self::Jpeg),
        ("webp", Self::Webp),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreprocessChoice {
    /// The bundle's target area, aspect kept.
    Area,
    /// The exact rule of the Python reference.
    Reference,
}

impl Choice for PreprocessChoice {
    const ALL: &'static [(&'static str, Self)] =
        &[("area", Self::Area), ("reference", Self::Reference)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpellingChoice {
    /// Yes and No alone.
    Exact,
    /// Every spelling that is one token.
    Pooled,
}

impl Choice for SpellingChoice {
    const ALL: &'static [(&'static str, Self)] =
        &[("exact", Self::Exact), ("pooled", Self::Pooled)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverallChoice {
    Product,
    Mean,
}

impl Choice for OverallChoice {
    const ALL: &'static [(&'static str, Self)] =
        &[("product", Self::Product), ("mean", Self::Mean)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
    ];
}
