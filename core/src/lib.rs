//! What of Causeline is worth compiling. Pure: no I/O, no clock, no threads; `pen` alone knows Python.
//!
//! - `avro`: numbers and texts as bytes
//! - `form`: what the contract asks of a text
//! - `guard`: a fault of our own is no exception of the application's
//! - `pen`: an event's values, as Python has them, as an item of a batch

#![deny(unsafe_code)]

pub mod avro;
pub mod form;
pub mod guard;
#[cfg(feature = "python")]
pub mod pen;

/// What Python knows as `causeline_core`.
#[cfg(feature = "python")]
#[pyo3::pymodule]
mod causeline_core {
    #[pymodule_export]
    use crate::pen::{Layout, RunPen};

    /// Rises with every change of names or arguments between here and causeline.schemas.wire.native.
    #[pymodule_export]
    const SEAM: u32 = 1;

    #[allow(non_upper_case_globals)]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
