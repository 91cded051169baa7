//! `opiekun invoices run`: for cron, and for people at a terminal.

use crate::clock;
use crate::failure::Failure;
use crate::system_scope::system_scope;
use crate::terminal::say;
use chrono::NaiveDate;
use clap::Args;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::ids::OrganizationId;
use opiekun_domain::invoice_run::{RunMode, RunProblem, RunStatus};
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_persistence::invoice_runs::{self, InvoiceRun, InvoiceRunFields};
use opiekun_persistence::{Db, organizations};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct RunArguments {
    /// Everything with an issue day up to and including this one
    #[arg(long, value_name = "YYYY-MM-DD")]
    through: NaiveDate,
    /// The date on the invoices, not after today; today on the organization's calendar unless told
    #[arg(long, value_name = "YYYY-MM-DD")]
    issue_on: Option<NaiveDate>,
    /// Only this organization; all unless told
    #[arg(long, value_name = "ID")]
    organization: Option<OrganizationId>,
    /// Show what would be issued, and issue nothing
    #[arg(long, conflicts_with = "draft")]
    preview: bool,
    /// Make drafts, to be looked at and issued one by one
    #[arg(long)]
    draft: bool,
}

pub fn run(db: &Db, arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let organization_ids = match arguments.organization {
        Some(id) => vec![id],
        None => organizations::all_ids(db)?,
    };
    let mut could_all_run = true;
    let mut has_failed = false;
    for id in organization_ids {
        // One organization's trouble is not another's.
        match run_one(db, id, arguments) {
            Ok(run) => {
                tell(id, &run);
                could_all_run &= run.progress.status != RunStatus::Failed;
                has_failed |= run.progress.status != RunStatus::Succeeded;
            }
            Err(failure) => {
                say(format_args!("{id}: {failure}"));
                could_all_run = false;
            }
        }
    }
    Ok(match (could_all_run, has_failed) {
        (true, false) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(1),
        (false, _) => ExitCode::from(2),
    })
}

fn run_one(db: &Db, organization_id: OrganizationId, arguments: &RunArguments) -> Result<InvoiceRun, Failure> {
    let (scope, now) = (system_scope(organization_id), clock::now());
    let run = db.transaction(scope, now, |tx| {
        let today = day_of(now, organizations::find(tx)?.time_zone());
        let issue_on = arguments.issue_on.unwrap_or(today);
        if issue_on > today {
            return Err(Failure::new(format_args!("an invoice is not dated ahead: {issue_on} is after {today}")));
        }
        let fields = InvoiceRunFields {
            mode: match (arguments.preview, arguments.draft) {
                (true, _) => RunMode::Preview,
                (_, true) => RunMode::Draft,
                _ => RunMode::Issue,
            },
            through_on: arguments.through,
            issue_on,
            subscription_ids: None,
            template_ids: None,
            customer_ids: None,
        };
        Ok(invoice_runs::create(tx, fields)?)
    })?;
    Ok(run_to_end(db, clock::now, scope, run.id)?)
}

fn tell(organization_id: OrganizationId, run: &InvoiceRun) {
    let progress = &run.progress;
    let billed = match run.fields.mode {
        RunMode::Preview => format!("{} would be issued", progress.planned),
        RunMode::Draft => format!("{} drafted", progress.invoiced),
        RunMode::Issue => format!("{} issued", progress.invoiced),
    };
    let status = progress.status;
    say(format_args!(
        "{organization_id}: {status}: {billed}, {} skipped, {} failed",
        progress.skipped, progress.failed
    ));
    for total in &progress.totals.0 {
        say(format_args!("  net {}, VAT {}, gross {} {}", total.net, total.vat, total.gross, total.currency));
    }
    if let Some(code) = &progress.problem {
        let problem = RunProblem::from_code(code).map_or_else(|| code.clone(), |problem| problem.to_string());
        say(format_args!("  {problem}"));
    }
    if progress.failed > 0 {
        say(format_args!("  the reasons: GET /api/v1/invoice-runs/{}/results?outcome=failed", run.id));
    }
}
