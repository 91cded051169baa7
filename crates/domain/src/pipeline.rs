//! Pipelines: the stages that a sale goes through.

vocabulary! {
    /// What it means for a sale to stand at a stage: it goes on, or it has ended well or badly.
    StageKind { Open = "open", Won = "won", Lost = "lost" }
}
