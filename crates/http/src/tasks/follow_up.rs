//! A task that comes of an interaction, written down in the same call.

use super::body::{ReminderBody, TaskInput, dates_fit, normal};
use crate::values::tags_schema;
use chrono::{DateTime, Utc};
use opiekun_domain::ids::OperatorId;
use opiekun_domain::task::TaskPriority;
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::interactions::Interaction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// What a caller may write of a task that comes of an interaction. Customer, thread and opportunity are the
/// interaction's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = follow_up_fits))]
pub struct FollowUpTask {
    #[schema(min_length = 1, max_length = 240, example = "Send the corrected return")]
    title: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    description: Option<String>,
    /// The operator who has to do it; the caller unless told, and the interaction's caretaker where a script writes it
    /// down.
    #[serde(default)]
    caretaker_id: Option<OperatorId>,
    #[schema(default = "normal")]
    #[serde(default = "normal")]
    priority: TaskPriority,
    #[serde(default)]
    start_at: Option<DateTime<Utc>>,
    #[schema(example = "2026-11-25T15:00:00Z")]
    #[serde(default)]
    due_at: Option<DateTime<Utc>>,
    /// Whether its dates are whole days, as a task's.
    #[schema(default = false)]
    #[serde(default)]
    all_day: bool,
    /// How long it will take, in minutes.
    #[schema(minimum = 1, maximum = 1000000)]
    #[serde(default)]
    estimate_minutes: Option<i32>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    tags: Vec<String>,
    #[schema(max_items = 10)]
    #[serde(default)]
    reminders: Vec<ReminderBody>,
}

impl FollowUpTask {
    /// The task that hangs below the interaction.
    pub(crate) fn below(self, interaction: &Interaction) -> TaskInput {
        TaskInput {
            parent: Some(WorkItem::Interaction(interaction.id).into()),
            ..self.alone(interaction.registered_by_id.or(interaction.fields.caretaker_id))
        }
    }

    fn alone(self, caretaker_id: Option<OperatorId>) -> TaskInput {
        TaskInput {
            title: self.title,
            description: self.description,
            customer_id: None,
            caretaker_id: self.caretaker_id.or(caretaker_id),
            priority: self.priority,
            status: None,
            percent_done: None,
            start_at: self.start_at,
            due_at: self.due_at,
            all_day: self.all_day,
            estimate_minutes: self.estimate_minutes,
            thread_id: None,
            parent: None,
            opportunity_id: None,
            tags: self.tags,
            reminders: self.reminders,
            recurrence: None,
        }
    }
}

fn follow_up_fits(task: &FollowUpTask) -> Result<(), ValidationError> {
    dates_fit(&task.clone().alone(None))
}
