//! Every operation: its gradient against central differences in double precision, and its value against a plain formula.
mod branches;
mod fused;
mod gradient;
mod language;
mod layers;
mod pointwise;
mod probe;
