//! What commands say to the person at the terminal. Logs go to standard error, answers to standard output.

/// Writes one line of an answer.
#[expect(clippy::print_stdout, reason = "this is where commands answer")]
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Writes why a command could not do its work.
#[expect(clippy::print_stderr, reason = "this is where commands fail")]
pub fn complain(line: impl std::fmt::Display) {
    eprintln!("opiekun: {line}");
}
