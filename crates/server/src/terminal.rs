//! What the person who started the program reads. The log is another matter, see [`log`](crate::log).

use std::fmt::Display;
use std::io::{self, Write};

/// A line of an answer, on standard output.
pub fn say(line: impl Display) {
    // A reader who has gone away (`opiekun openapi | head`) is no reason to fail.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// An answer that brings its own line breaks, on standard output.
pub fn say_as_is(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Why it came to nothing, on standard error.
pub fn complain(reason: impl Display) {
    let _ = writeln!(io::stderr().lock(), "opiekun: {reason}");
}
