mod elsewhere;
mod golden;
mod refused;
mod round_trip;
mod sample;
