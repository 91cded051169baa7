//! Tasks: how far one has come, by itself and by its subtasks.

vocabulary! {
    /// How much a task presses.
    TaskPriority { Low = "low", Normal = "normal", High = "high", Urgent = "urgent" }
}

vocabulary! {
    /// How far a task has come; the last two close it.
    TaskStatus { Open = "open", InProgress = "in_progress", Done = "done", Cancelled = "cancelled" }
}

impl TaskStatus {
    /// Whether nothing is left to do.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}
