//! The core of podcore: what containers depend on, in which order they start, and who may touch
//! them at a moment. Nothing here knows Python but `py`.

pub mod error;
pub mod graph;
pub mod kernel;
pub mod lock;
pub mod traverse;

#[cfg(feature = "python")]
mod py;
