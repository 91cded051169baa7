//! `opiekun invoices run`: for cron, and for people at a terminal.

use crate::clock;
use crate::failure::Failure;
use crate::system_scope::system_scope;
use crate::terminal::say;
use chrono::NaiveDate;
use clap::Args;
use opiekun_domain::ids::OrganizationId;
use opiekun_domain::invoice_run::{RunMode, RunProblem, RunStatus};
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_persistence::invoice_runs::{self, InvoiceRun, InvoiceRunFields};
use opiekun_persistence::{Db, organizations};
use std::process::ExitCode;

/// How a run ended, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Whole,
    SomeFailed,
    Cancelled,
    CouldNotRun,
}

impl End {
    const ALL: [Self; 4] = [Self::Whole, Self::SomeFailed, Self::CouldNotRun, Self::Cancelled];

    const fn of(status: RunStatus) -> Self {
        match status {
            RunStatus::Succeeded => Self::Whole,
            RunStatus::PartiallyFailed => Self::SomeFailed,
            RunStatus::Cancelled => Self::Cancelled,
            RunStatus::Queued | RunStatus::Running | RunStatus::Failed => Self::CouldNotRun,
        }
    }

    const fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::SomeFailed => 1,
            Self::CouldNotRun => 2,
            Self::Cancelled => 3,
        }
    }

    /// As the help and the README say it.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Whole => "Nothing failed, or nothing was due.",
            Self::SomeFailed => "Some invoices failed, each with its reason; the others were issued.",
            Self::CouldNotRun => "It could not run, or not to its end; or there is no organization.",
            Self::Cancelled => "It was cancelled. What it issued stays issued; another run goes on with the rest.",
        }
    }
}

/// What the process exits with where the command could not even begin.
pub const COULD_NOT_RUN: u8 = End::CouldNotRun.exit_code();

/// The exit codes, for `opiekun invoices run --help`.
pub fn exit_codes() -> String {
    let codes = End::ALL.map(|end| format!("\n  {}  {}", end.exit_code(), end.meaning())).concat();
    format!("Exit codes; of several organizations the worst counts, 2 before 3 before 1:{codes}")
}

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
    if organization_ids.is_empty() {
        return Err(Failure::new("there is no organization; `opiekun organization create` makes one"));
    }
    let mut worst = End::Whole;
    for id in organization_ids {
        // One organization's trouble is not another's.
        let end = match run_one(db, id, arguments) {
            Ok(run) => {
                tell(id, &run);
                End::of(run.progress.status)
            }
            Err(failure) => {
                say(format_args!("{id}: {failure}"));
                End::CouldNotRun
            }
        };
        worst = worst.max(end);
    }
    Ok(ExitCode::from(worst.exit_code()))
}

fn run_one(db: &Db, organization_id: OrganizationId, arguments: &RunArguments) -> Result<InvoiceRun, Failure> {
    let (scope, now) = (system_scope(organization_id), clock::now());
    let run = db.transaction(scope, now, |tx| {
        let today = organizations::today(tx)?;
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
    if status == RunStatus::Cancelled {
        say("  it was cancelled; another run goes on with the rest");
    }
    if progress.failed > 0 {
        say(format_args!("  the reasons: GET /api/v1/invoice-runs/{}/results?outcome=failed", run.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_the_exit_codes_as_they_are() {
        let readme = include_str!("../../../README.md");
        let table = End::ALL.map(|end| format!("| {} | {} |\n", end.exit_code(), end.meaning())).concat();
        assert!(readme.contains(&table), "the table of exit codes in README.md should be\n\n{table}");
    }
}
