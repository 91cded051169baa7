//! Tasks, threads and opportunities as they stand in the tables, for tests about the time that was spent on them.

use super::client::Record;
use super::database::execute;
use super::world::World;
use serde_json::json;
use uuid::Uuid;

/// An opportunity, and the stages that it has gone through.
pub struct Sale {
    pub id: String,
    pub stages: Vec<String>,
}

impl World {
    /// A task with these columns: `w.task_row("Payroll", &[("customer_id", id)])`.
    pub fn task_row(&self, title: &str, columns: &[(&str, &str)]) -> Record {
        let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
        let values: String = columns.iter().map(|(_, value)| format!(", '{value}'")).collect();
        let id = self.row(|organization, id| {
            format!(
                "insert into tasks (organization_id, id, title, priority, status, percent_done, all_day, deadline_at,
                     created_at, updated_at{names})
                 values ('{organization}', '{id}', '{title}', 'normal', 'open', 0, false, '9999-12-31', now(), now(){values})"
            )
        });
        Record(json!({ "id": id, "version": 1 }))
    }

    pub fn thread_row(&self, subject: &str) -> Record {
        let id = self.row(|organization, id| {
            format!(
                "insert into threads (organization_id, id, subject, status, created_at, updated_at)
                 values ('{organization}', '{id}', '{subject}', 'open', now(), now())"
            )
        });
        Record(json!({ "id": id, "version": 1 }))
    }

    /// An opportunity that came to a stage of its own at each of these moments.
    pub fn sale(&self, customer_id: &str, title: &str, moments: &[&str]) -> Sale {
        let pipeline = self.row(|organization, id| {
            format!(
                "insert into pipelines (organization_id, id, name, created_at, updated_at)
                 values ('{organization}', '{id}', 'Sales {id}', now(), now())"
            )
        });
        let stages: Vec<String> = (0..moments.len())
            .map(|position| {
                self.row(|organization, id| {
                    format!(
                        "insert into stages (organization_id, id, pipeline_id, name, position, kind, probability_percent,
                             created_at, updated_at)
                         values ('{organization}', '{id}', '{pipeline}', '{title}, stage {position}', {position}, 'open', 10,
                             now(), now())"
                    )
                })
            })
            .collect();
        let (stage, moment) = (stages.last().unwrap(), moments.last().unwrap());
        let id = self.row(|organization, id| {
            format!(
                "insert into opportunities (organization_id, id, customer_id, title, value, currency, pipeline_id, stage_id,
                     stage_kind, stage_entered_at, created_at, updated_at)
                 values ('{organization}', '{id}', '{customer_id}', '{title}', 100, 'PLN', '{pipeline}', '{stage}', 'open',
                     '{moment}', now(), now())"
            )
        });
        for (number, (moment, stage)) in moments.iter().zip(&stages).enumerate() {
            let from = number
                .checked_sub(1)
                .map_or("null, null".to_owned(), |before| format!("'{}', '{}'", stages[before], moments[before]));
            self.row(|organization, change| {
                format!(
                    "insert into stage_changes (organization_id, id, opportunity_id, from_stage_id, from_entered_at, to_stage_id,
                         changed_at)
                     values ('{organization}', '{change}', '{id}', {from}, '{stage}', '{moment}')"
                )
            });
        }
        Sale { id, stages }
    }

    /// Inserts a row and gives its id.
    fn row(&self, insert: impl Fn(&str, Uuid) -> String) -> String {
        let id = Uuid::now_v7();
        execute(&insert(&self.organization_id.to_string(), id)).unwrap();
        id.to_string()
    }
}
