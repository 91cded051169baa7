//! Work items: tasks and interactions, which hang below each other as trees and are gathered in threads.

use crate::ids::{InteractionId, TaskId};
use uuid::Uuid;

vocabulary! {
    /// What kind of work an id is of.
    WorkItemType { Task = "task", Interaction = "interaction" }
}

/// A task or an interaction, wherever either will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkItem {
    Task(TaskId),
    Interaction(InteractionId),
}

impl WorkItem {
    /// The item of which one of two columns tells: a table has one for each kind, and a check that at most one is set.
    pub fn of_columns(task: Option<TaskId>, interaction: Option<InteractionId>) -> Option<Self> {
        task.map(Self::Task).or(interaction.map(Self::Interaction))
    }

    pub const fn new(kind: WorkItemType, id: Uuid) -> Self {
        match kind {
            WorkItemType::Task => Self::Task(TaskId(id)),
            WorkItemType::Interaction => Self::Interaction(InteractionId(id)),
        }
    }

    pub const fn kind(self) -> WorkItemType {
        match self {
            Self::Task(_) => WorkItemType::Task,
            Self::Interaction(_) => WorkItemType::Interaction,
        }
    }

    pub const fn id(self) -> Uuid {
        match self {
            Self::Task(id) => id.0,
            Self::Interaction(id) => id.0,
        }
    }

    pub const fn task_id(self) -> Option<TaskId> {
        match self {
            Self::Task(id) => Some(id),
            Self::Interaction(_) => None,
        }
    }

    pub const fn interaction_id(self) -> Option<InteractionId> {
        match self {
            Self::Interaction(id) => Some(id),
            Self::Task(_) => None,
        }
    }
}
