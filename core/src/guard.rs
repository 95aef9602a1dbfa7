//! A fault of our own ends here: it must not become an exception that an application does not expect.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `work` gives; None where it gives nothing, or is itself at fault: the caller has another way for both.
pub fn unless_it_panics<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic)]
    fn a_panic_is_nothing() {
        assert_eq!(unless_it_panics(|| Some(1)), Some(1));
        assert_eq!(unless_it_panics(|| None::<i32>), None);
        assert_eq!(unless_it_panics(|| -> Option<i32> { panic!("a fault of our own") }), None);
    }
}
