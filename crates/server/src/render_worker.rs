//! The process in which documents are set: it has limits, and neither settings nor database.

use crate::failure::Failure;
use clap::Args;
use opiekun_typst::WorkerLimits;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct RenderWorkerArguments {
    /// How much memory it may take
    #[arg(long)]
    memory_bytes: u64,
    /// How long it may compute
    #[arg(long)]
    cpu_seconds: Option<u64>,
}

pub fn run(arguments: &RenderWorkerArguments) -> Result<ExitCode, Failure> {
    let RenderWorkerArguments { memory_bytes, cpu_seconds } = *arguments;
    opiekun_typst::work(WorkerLimits { memory_bytes, cpu_seconds }).map_err(Failure::new)?;
    Ok(ExitCode::SUCCESS)
}
