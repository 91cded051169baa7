//! Steps as they are sent and shown.

use crate::problem::{ApiError, Wrong};
use crate::subscriptions::ScheduleDayBody;
use crate::values::capitalised;
use opiekun_domain::ids::{ArticleId, OperatorId, SurveyId};
use opiekun_domain::procedure::{Assignee, DueRule, Node, Step, StepProblem, check};
use opiekun_domain::schedule::IssueDayShift;
use opiekun_domain::task::TaskPriority;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

/// A step of a procedure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ProcedureStepInput, example = json!({
    "key": "send_reminder", "title": "Remind of missing documents", "instructions": "By phone where mail has not helped.",
    "assignee": { "kind": "caretaker" }, "due": { "kind": "after_start", "working_days": 3 }, "priority": "normal",
    "waits_for": [], "files_required": 0, "survey_id": null, "article_id": null,
}))]
#[serde(deny_unknown_fields)]
pub struct StepBody {
    /// Your name for it, by which other steps wait for it.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$")]
    pub key: String,
    #[schema(min_length = 1, max_length = 240)]
    pub title: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub instructions: Option<String>,
    /// Who does it; the customer's caretaker unless told. It is settled when the step is opened, for those who are at work
    /// then: where nobody else is, it is the customer's caretaker, and nobody where there is none. For a step of one run or
    /// customer you name those whom you may assign work to, or there is 403.
    #[serde(default = "caretaker")]
    pub assignee: AssigneeBody,
    /// By which day it is done; without it there is none.
    #[serde(default)]
    pub due: Option<DueBody>,
    #[schema(default = "normal")]
    #[serde(default = "normal")]
    pub priority: TaskPriority,
    /// The keys of the steps that come before it. Until they are done or skipped it cannot be done, and nobody is late
    /// with it.
    #[schema(max_items = 50, schema_with = keys)]
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// How many files have to be on its task before it is done.
    #[schema(minimum = 0, maximum = 50, default = 0)]
    #[serde(default)]
    pub files_required: i16,
    /// What is filled in for its task before it is done. When the step is opened, the survey waits for the customer.
    #[serde(default)]
    pub survey_id: Option<SurveyId>,
    /// The article that explains it.
    #[serde(default)]
    pub article_id: Option<ArticleId>,
}

fn keys() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    let key = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).pattern(Some(r"^[a-z][a-z0-9_]{0,39}$"));
    ArrayBuilder::new()
        .items(key)
        .max_items(Some(50))
        .description(Some(
            "The keys of the steps that come before it. Until they are done or skipped it cannot be done, and nobody is late with it.",
        ))
        .build()
}

const fn caretaker() -> AssigneeBody {
    AssigneeBody::Caretaker
}

const fn normal() -> TaskPriority {
    TaskPriority::Normal
}

/// Who does a step.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcedureAssignee)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AssigneeBody {
    /// This operator.
    #[schema(title = "NamedAssignee")]
    Named { operator_id: OperatorId },
    /// The customer's caretaker when the step is opened.
    #[schema(title = "CaretakerAssignee")]
    Caretaker,
    /// Whoever starts the run; the customer's caretaker at that time where a schedule or a script does.
    #[schema(title = "StarterAssignee")]
    Starter,
    /// These operators in turn, run by run.
    #[schema(title = "RoundRobinAssignee")]
    RoundRobin {
        #[schema(min_items = 1, max_items = 50)]
        operator_ids: Vec<OperatorId>,
    },
}

/// By which day a step is done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcedureDue)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DueBody {
    /// So many working days (in Poland) after the day on which the run starts, whether that is worked or not. 0 is that
    /// day, or the first working day after it.
    #[schema(title = "DueAfterStart")]
    AfterStart {
        #[schema(minimum = 0, maximum = 366, example = 3)]
        working_days: u16,
    },
    /// A day of the month in which the period begins, or of a later one; without a period, of the month of the start.
    #[schema(title = "DueOnDayOfMonth")]
    DayOfMonth {
        /// 1 to 31 (the last day where the month is shorter), or `last_day`.
        day: ScheduleDayBody,
        /// 0 is the month in which the period begins, 1 the next.
        #[schema(minimum = 0, maximum = 12, default = 0)]
        #[serde(default)]
        month_offset: u8,
        /// Where a day goes that is not worked in Poland.
        #[schema(default = "before")]
        #[serde(default = "before")]
        shift: IssueDayShift,
    },
}

const fn before() -> IssueDayShift {
    IssueDayShift::Before
}

impl From<Step> for StepBody {
    fn from(step: Step) -> Self {
        let Step {
            key,
            title,
            instructions,
            assignee,
            due,
            priority,
            waits_for,
            files_required,
            survey_id,
            article_id,
        } = step;
        Self {
            key,
            title,
            instructions,
            assignee: assignee.into(),
            due: due.map(DueBody::from),
            priority,
            waits_for,
            files_required,
            survey_id,
            article_id,
        }
    }
}

impl From<StepBody> for Step {
    fn from(body: StepBody) -> Self {
        let StepBody {
            key,
            title,
            instructions,
            assignee,
            due,
            priority,
            waits_for,
            files_required,
            survey_id,
            article_id,
        } = body;
        Self {
            key,
            title,
            instructions,
            assignee: assignee.into(),
            due: due.map(DueRule::from),
            priority,
            waits_for,
            files_required,
            survey_id,
            article_id,
        }
    }
}

impl From<Assignee> for AssigneeBody {
    fn from(assignee: Assignee) -> Self {
        match assignee {
            Assignee::Named { operator_id } => Self::Named { operator_id },
            Assignee::Caretaker => Self::Caretaker,
            Assignee::Starter => Self::Starter,
            Assignee::RoundRobin { operator_ids } => Self::RoundRobin { operator_ids },
        }
    }
}

impl From<AssigneeBody> for Assignee {
    fn from(body: AssigneeBody) -> Self {
        match body {
            AssigneeBody::Named { operator_id } => Self::Named { operator_id },
            AssigneeBody::Caretaker => Self::Caretaker,
            AssigneeBody::Starter => Self::Starter,
            AssigneeBody::RoundRobin { operator_ids } => Self::RoundRobin { operator_ids },
        }
    }
}

impl From<DueRule> for DueBody {
    fn from(rule: DueRule) -> Self {
        match rule {
            DueRule::AfterStart { working_days } => Self::AfterStart { working_days },
            DueRule::DayOfMonth { day, month_offset, shift } => {
                Self::DayOfMonth { day: day.into(), month_offset, shift }
            }
        }
    }
}

impl From<DueBody> for DueRule {
    fn from(body: DueBody) -> Self {
        match body {
            DueBody::AfterStart { working_days } => Self::AfterStart { working_days },
            DueBody::DayOfMonth { day, month_offset, shift } => {
                Self::DayOfMonth { day: day.into(), month_offset, shift }
            }
        }
    }
}

/// What is wrong with steps, told at `pointer`; `others` are there beside them.
pub(super) fn check_steps(steps: &[Step], others: &[Node<'_>], pointer: &str) -> Result<(), ApiError> {
    let nodes: Vec<Node<'_>> = others.iter().copied().chain(steps.iter().map(Node::from)).collect();
    let wrong: Vec<Wrong> = check(&nodes)
        .into_iter()
        .map(|StepProblem { pointer: place, fault }| {
            let (index, rest) = place[1..].split_once('/').unwrap_or((&place[1..], ""));
            let index = index.parse::<usize>().unwrap_or_default().saturating_sub(others.len());
            Wrong::field(format!("{pointer}/{index}/{rest}"), fault.code(), capitalised(&fault.to_string()))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}
