//! `expand`: the whole record beside its id, for every list and record alike.
//!
//! What can be expanded follows from the names of a record's properties, so that a new resource gets it by itself.

use crate::problem::ApiError;
use crate::{
    article_categories, articles, customers, files, invoice_layouts, invoice_templates, number_series, operators,
    opportunities, people, pipelines, procedures, stages, subscriptions, surveys, tasks, threads,
};
use opiekun_domain::ids::{
    ArticleCategoryId, ArticleId, CustomerId, FileId, InvoiceLayoutId, InvoiceTemplateId, NumberSeriesId, OperatorId,
    OpportunityId, PersonId, PipelineId, ProcedureId, StageId, SubscriptionId, SurveyId, TaskId, ThreadId,
};
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_persistence::Tx;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Load = fn(&mut Tx<'_>, &[Uuid]) -> Result<Vec<Value>, ApiError>;

/// A kind of record that others refer to.
struct Target {
    /// The properties that refer to it.
    properties: &'static [&'static str],
    /// None where whoever reads a record that names it reads it too.
    permission: Option<Permission>,
    /// Loads the bodies of those that exist, in one statement.
    load: Load,
    /// What its own bodies refer to.
    refers: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        properties: &["customer_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| customers::bodies(tx, &typed(ids, CustomerId)),
        refers: &["caretaker_id"],
    },
    Target {
        properties: &["operator_id", "caretaker_id", "registered_by_id", "supervisor_id", "locked_by_id", "reader_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| operators::bodies(tx, &typed(ids, OperatorId)),
        refers: &["supervisor_id"],
    },
    Target {
        properties: &["person_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| people::bodies(tx, &typed(ids, PersonId)),
        refers: &["customer_id", "registered_by_id"],
    },
    Target {
        properties: &["pipeline_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| pipelines::bodies(tx, &typed(ids, PipelineId)),
        refers: &[],
    },
    Target {
        properties: &["stage_id", "from_stage_id", "to_stage_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| stages::bodies(tx, &typed(ids, StageId)),
        refers: &["pipeline_id"],
    },
    Target {
        properties: &["opportunity_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| opportunities::bodies(tx, &typed(ids, OpportunityId)),
        refers: &["customer_id", "pipeline_id", "stage_id", "caretaker_id", "registered_by_id"],
    },
    Target {
        properties: &["thread_id", "merged_into_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| threads::bodies(tx, &typed(ids, ThreadId)),
        refers: &["customer_id", "caretaker_id"],
    },
    Target {
        properties: &["task_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| tasks::found(tx, &typed(ids, TaskId)),
        refers: &["customer_id", "caretaker_id", "thread_id"],
    },
    Target {
        properties: &["category_id"],
        permission: Some(Permission::KnowledgeRead),
        load: |tx, ids| article_categories::bodies(tx, &typed(ids, ArticleCategoryId)),
        refers: &[],
    },
    Target {
        properties: &["article_id"],
        // Drafts are told, too, which those who only read are not to see.
        permission: Some(Permission::KnowledgeWrite),
        load: |tx, ids| articles::bodies(tx, &typed(ids, ArticleId)),
        refers: &["category_id", "registered_by_id"],
    },
    Target {
        properties: &["file_id", "logo_file_id"],
        permission: None,
        load: |tx, ids| files::bodies(tx, &typed(ids, FileId)),
        refers: &["registered_by_id"],
    },
    Target {
        properties: &["procedure_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| procedures::bodies(tx, &typed(ids, ProcedureId)),
        refers: &[],
    },
    Target {
        properties: &["survey_id"],
        permission: Some(Permission::CrmRead),
        load: |tx, ids| surveys::bodies(tx, &typed(ids, SurveyId)),
        refers: &[],
    },
    Target {
        properties: &["series_id"],
        permission: Some(Permission::BillingRead),
        load: |tx, ids| number_series::bodies(tx, &typed(ids, NumberSeriesId)),
        refers: &[],
    },
    Target {
        properties: &["layout_id"],
        permission: Some(Permission::BillingRead),
        load: |tx, ids| invoice_layouts::bodies(tx, &typed(ids, InvoiceLayoutId)),
        refers: &[],
    },
    Target {
        properties: &["template_id"],
        permission: Some(Permission::BillingRead),
        load: |tx, ids| invoice_templates::bodies(tx, &typed(ids, InvoiceTemplateId)),
        refers: &["layout_id", "series_id"],
    },
    Target {
        properties: &["subscription_id"],
        permission: Some(Permission::BillingRead),
        load: |tx, ids| subscriptions::bodies(tx, &typed(ids, SubscriptionId)),
        refers: &["template_id", "customer_id"],
    },
];

pub(crate) fn typed<T>(ids: &[Uuid], kind: fn(Uuid) -> T) -> Vec<T> {
    ids.iter().copied().map(kind).collect()
}

fn target_of(property: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.properties.contains(&property))
}

/// What a record with these properties can be asked to expand: `customer`, and one level further `customer.caretaker`.
pub(crate) fn paths(properties: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    for property in properties {
        let (Some(target), Some(name)) = (target_of(property), property.strip_suffix("_id")) else { continue };
        paths.push(name.to_owned());
        paths.extend(target.refers.iter().filter_map(|inner| Some(format!("{name}.{}", inner.strip_suffix("_id")?))));
    }
    paths
}

/// Puts the records that `paths` name beside their ids. One statement a name, however many records.
pub(crate) fn attach(
    tx: &mut Tx<'_>,
    records: &mut [Value],
    paths: &[String],
    permissions: PermissionSet,
) -> Result<(), ApiError> {
    let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for path in paths {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let further = by_name.entry(name).or_default();
        if !rest.is_empty() {
            further.push(rest.to_owned());
        }
    }
    for (name, further) in by_name {
        let property = format!("{name}_id");
        let Some(target) = target_of(&property) else { continue };
        if let Some(permission) = target.permission.filter(|permission| !permissions.contains(*permission)) {
            return Err(ApiError::scope_missing(permission));
        }
        let ids: BTreeSet<Uuid> = records.iter().filter_map(|record| id_of(record, &property)).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let mut loaded = if ids.is_empty() { Vec::new() } else { (target.load)(tx, &ids)? };
        attach(tx, &mut loaded, &further, permissions)?;
        let loaded: BTreeMap<Uuid, Value> =
            loaded.into_iter().filter_map(|body| Some((id_of(&body, "id")?, body))).collect();
        for record in records.iter_mut() {
            let body = id_of(record, &property).and_then(|id| loaded.get(&id)).cloned().unwrap_or(Value::Null);
            record[name] = body;
        }
    }
    Ok(())
}

fn id_of(record: &Value, property: &str) -> Option<Uuid> {
    record[property].as_str()?.parse().ok()
}
