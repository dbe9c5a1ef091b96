mod elsewhere;
mod golden;
mod refused;
mod round_trip;
pub(super) mod sample;
