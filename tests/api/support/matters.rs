//! Opportunities that have come a long way, for tests about where they stood when.

use super::database::execute;
use super::world::World;
use serde_json::json;

/// An opportunity, and the stages that it has gone through.
pub struct Sale {
    pub id: String,
    pub stages: Vec<String>,
}

impl World {
    /// An opportunity that came to a stage of a pipeline of its own at each of these moments, three at most.
    pub fn sale(&self, customer_id: &str, title: &str, moments: &[&str]) -> Sale {
        let pipeline = self.pipeline().name(&format!("Sales of {title}")).create();
        let opportunity =
            self.opportunity(customer_id).with("pipeline_id", pipeline.id()).with("title", title).create();
        let stages = pipeline["stages"].as_array().unwrap().iter().take(moments.len());
        let stages: Vec<String> = stages.map(|stage| stage["id"].as_str().unwrap().to_owned()).collect();
        for stage in &stages[1..] {
            let path = format!("/opportunities/{}/stage-changes", opportunity.id());
            self.owner.post(&path, json!({ "stage_id": stage })).expect(200);
        }
        for (stage, moment) in stages.iter().zip(moments) {
            // Through the API it moves when it is told to.
            execute(&format!(
                "update stage_changes set changed_at = '{moment}' where opportunity_id = '{}' and to_stage_id = '{stage}'",
                opportunity.id()
            ))
            .unwrap();
        }
        Sale { id: opportunity.id().to_owned(), stages }
    }
}
