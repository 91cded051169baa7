//! `opiekun reindex`: making anew what searches look in.

use crate::clock;
use crate::failure::Failure;
use crate::system_scope::system_scope;
use crate::terminal::say;
use clap::Args;
use opiekun_domain::ids::OrganizationId;
use opiekun_persistence::search::{self, Reindexed};
use opiekun_persistence::{Db, organizations};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct ReindexArguments {
    /// Only this organization; all unless told
    #[arg(long, value_name = "ID")]
    organization: Option<OrganizationId>,
}

pub fn run(db: &Db, arguments: &ReindexArguments) -> Result<ExitCode, Failure> {
    let organization_ids = match arguments.organization {
        Some(id) => vec![id],
        None => organizations::all_ids(db)?,
    };
    for id in organization_ids {
        let Reindexed { articles, records } = search::reindex(db, system_scope(id), clock::now)?;
        say(format_args!("{id}: {records} records, and {articles} published articles for questions"));
    }
    Ok(ExitCode::SUCCESS)
}
