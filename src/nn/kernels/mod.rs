//! Fused kernels for the host, generic over single and double precision.
//!
//! SIMD goes through run-time dispatch, threads through rayon. No kernel's answer depends on the number of threads.
pub(crate) mod attention;
pub(crate) mod by_winograd;
pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod enlarge;
pub(crate) mod gates;
pub(crate) mod host;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod norm_groups;
mod norm_groups_trained;
pub(crate) mod norm_rows;
mod norm_rows_trained;
pub(crate) mod real;
pub(crate) mod rotate;
pub(crate) mod scratch;
pub(crate) mod spread;
pub(crate) mod sums;
pub(crate) mod tile;
mod window;
mod winograd;
pub(crate) mod within;
