//! `opiekun invoices run`: for cron and for people at a terminal.

use super::{DONE, Outcome, PARTLY, system_scope, with_database};
use crate::clock;
use crate::console::say;
use crate::settings::Settings;
use chrono::NaiveDate;
use clap::Args;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::ids::OrganizationId;
use opiekun_domain::invoice_run::{RunMode, RunStatus};
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_persistence::invoice_runs::{self, InvoiceRun, InvoiceRunFields};
use opiekun_persistence::{Db, StoreError, organizations};
use std::error::Error;

#[derive(Args)]
pub struct RunArgs {
    /// Everything with an issue day up to and including this one.
    #[arg(long)]
    through: NaiveDate,
    /// The date on the invoices; today, on the organization's calendar, unless told.
    #[arg(long)]
    issue_on: Option<NaiveDate>,
    /// Only this organization; all unless told.
    #[arg(long)]
    organization: Option<OrganizationId>,
    /// Show what would be issued, and issue nothing.
    #[arg(long)]
    preview: bool,
}

pub fn run(settings: &Settings, args: &RunArgs) -> Outcome {
    with_database(settings, |db| {
        let ids = match args.organization {
            Some(id) => vec![id],
            None => organizations::all_ids(db)?,
        };
        let mut all_well = true;
        for id in ids {
            let run = run_one(db, id, args)?;
            let counts = &run.progress;
            let verb = if args.preview { "would be issued" } else { "issued" };
            let billed = counts.planned + counts.invoiced;
            say(format!("{id}: {billed} {verb}, {} skipped, {} failed ({})", counts.skipped, counts.failed, counts.status));
            for total in &counts.totals.0 {
                say(format!("  net {} vat {} gross {} {}", total.net, total.vat, total.gross, total.currency));
            }
            if let Some(problem) = &counts.problem {
                say(format!("  {problem}"));
            }
            all_well &= counts.status == RunStatus::Succeeded;
        }
        Ok(if all_well { DONE } else { PARTLY })
    })
}

fn run_one(db: &Db, id: OrganizationId, args: &RunArgs) -> Result<InvoiceRun, Box<dyn Error>> {
    let (scope, now) = (system_scope(id), clock::now());
    let run = db.transaction(scope, now, |tx| {
        let today = day_of(now, organizations::find(tx)?.time_zone());
        let fields = InvoiceRunFields {
            mode: if args.preview { RunMode::Preview } else { RunMode::Issue },
            through_on: args.through,
            issue_on: args.issue_on.unwrap_or(today),
            subscription_ids: None,
            template_ids: None,
            customer_ids: None,
        };
        invoice_runs::create(tx, fields)
    });
    let run = run.map_err(|error: StoreError| Box::new(error) as Box<dyn Error>)?;
    Ok(run_to_end(db, clock::now, scope, run.id)?)
}
