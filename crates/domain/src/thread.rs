//! Threads: interactions and tasks about one matter.

vocabulary! {
    /// Whether the matter goes on.
    ThreadStatus { Open = "open", Closed = "closed" }
}
