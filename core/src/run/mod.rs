//! What a run is: `causeline.streams.definition` once more, file by file, over bytes and many times as fast.
//!
//! That definition is the specification; the tests hold this against it, byte for byte. Begin with `record.rs`.

pub mod anchors;
pub mod completeness;
pub mod decisions;
pub mod ends;
pub mod events;
pub mod fallbacks;
pub mod findings;
pub mod labels;
pub mod measures;
pub mod record;
pub mod steps;

/// Where an event or a step has nothing to say of a field.
pub const NOT_SAID: &[u8] = &[crate::avro::NULL];
