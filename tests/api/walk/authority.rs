//! Whose work it is: everybody changes its own, managers that of those below, and nobody that of another branch.

use super::hold;
use crate::support::World;
use crate::support::fixtures::prepared;
use crate::support::operations::{Operation, each};

/// What everybody works with and managers arrange, whichever branch they are of.
const ARRANGED_BY_MANAGERS: &[&str] =
    &["pipelines", "stages", "month-locks", "surveys", "procedures", "procedure-schedules"];

/// What everybody does with what managers arrange.
const DONE_BY_EVERYBODY: &[&str] = &["create_survey_link"];

/// Changes of the CRM's records, which `crm:write` alone does not allow.
fn changes_records(operation: &Operation) -> bool {
    operation.scope.as_deref() == Some("crm:write") && operation.path.contains("{id}")
}

fn collection(operation: &Operation) -> &str {
    operation.path.strip_prefix("/api/v1/").and_then(|rest| rest.split("/{id}").next()).unwrap()
}

#[test]
fn a_manager_of_another_branch_changes_nothing_and_its_own_manager_may() {
    each(
        |operation| changes_records(operation) && !ARRANGED_BY_MANAGERS.contains(&collection(operation)),
        |operation| {
            let mut w = World::new();
            let owner = w.owner.clone();
            let manager = w.operator("manager", "none", Some(&owner));
            let another = w.operator("manager", "none", Some(&owner));
            // Stages have to be there for a sale and questions for answers, and are not for operators to make.
            w.pipeline().create();
            w.survey().create();
            w.procedure().create();
            let role = if collection(operation) == "opportunities" { "manager" } else { "operator" };
            // Whoever makes the records of this world from here on.
            w.owner = w.operator(role, "none", Some(&manager));
            let path = |id: &str| format!("/{}/{id}", collection(operation));

            let request = prepared(&w, operation);
            let before = owner.get(&path(request.target.as_ref().unwrap().id())).expect(200);
            let refused = request.by(&another).send();
            hold(&refused);
            refused.refused(403, "forbidden");
            assert_eq!(owner.get(&path(before.id())).expect(200), before, "it was changed");
            let own = request.send();
            assert!((200..300).contains(&own.status), "its own: {own:?}");
            let of_its_manager = prepared(&w, operation).by(&manager).send();
            assert!((200..300).contains(&of_its_manager.status), "of somebody below: {of_its_manager:?}");
        },
    );
}

#[test]
fn what_managers_arrange_is_not_for_operators() {
    each(
        |operation| {
            changes_records(operation)
                && ARRANGED_BY_MANAGERS.contains(&collection(operation))
                && !DONE_BY_EVERYBODY.contains(&operation.id.as_str())
        },
        |operation| {
            let mut w = World::new();
            let operator = w.operator("operator", "none", None);
            let manager = w.operator("manager", "none", None);
            w.owner = manager;
            let request = prepared(&w, operation);
            request.by(&operator).send().refused(403, "forbidden");
            let arranged = request.send();
            assert!((200..300).contains(&arranged.status), "{arranged:?}");
        },
    );
}
