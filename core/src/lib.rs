//! What of Causeline is worth compiling. Pure: no I/O, no clock, no threads; `pen` and `joining` alone know Python.
//!
//! An event is written:
//!
//! - `pen`: an event's values, as Python has them, as an item of a batch
//! - `form`: what the contract asks of a text
//!
//! Events are read, and a run is written:
//!
//! - `event`: an event as its bytes; `contract`: what is asked of it; `schema`: its fields, made of Python's
//! - `read`: what stands in a message; `part`: the events of a run until it is closed
//! - `run`: what a run is
//! - `joining`: what Python calls
//!
//! And for all: `avro`, numbers and texts as bytes; `guard`, a fault of our own is no exception of anybody else's.

#![deny(unsafe_code)]

pub mod avro;
pub mod contract;
pub mod event;
pub mod form;
pub mod guard;
#[cfg(feature = "python")]
pub mod joining;
pub mod part;
#[cfg(feature = "python")]
pub mod pen;
pub mod read;
pub mod run;
#[rustfmt::skip]
#[allow(missing_docs)]
pub mod schema;

/// What Python knows as `causeline_core`.
#[cfg(feature = "python")]
#[pyo3::pymodule]
mod causeline_core {
    #[pymodule_export]
    use crate::joining::{Known, Part, join, part_of, take, together};
    #[pymodule_export]
    use crate::pen::{Layout, RunPen};

    /// Rises with every change of names or arguments between here and causeline.schemas.wire.native.
    #[pymodule_export]
    const SEAM: u32 = 2;

    #[allow(non_upper_case_globals)]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
