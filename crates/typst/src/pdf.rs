//! From a job to its PDF.

use crate::world::JobWorld;
use opiekun_typesetting::{Answer, DOCUMENT_BYTES_MAX, Job, LayoutError};
use typst::diag::{SourceDiagnostic, Warned};
use typst::foundations::Smart;
use typst::syntax::DiagSpan;
use typst::{World, WorldExt};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

/// Sets a document as PDF/A-3a: an archive's form that may carry the invoice for machines with it.
///
/// Without limits of its own: see [`work`](crate::work).
pub fn set(job: Job) -> Answer {
    let ident = job.ident.clone();
    let world = JobWorld::new(job);
    let answer = compile(&world, ident).map_err(|errors| refusal(&world, &errors));
    // Kept for later it would cost hundreds of megabytes.
    comemo::evict(0);
    answer
}

fn compile(world: &JobWorld, ident: String) -> Result<Vec<u8>, Vec<SourceDiagnostic>> {
    let Warned { output, warnings: _ } = typst::compile::<PagedDocument>(world);
    let document = output.map_err(|errors| errors.to_vec())?;
    let standards = PdfStandards::new(&[PdfStandard::A_3a])
        .map_err(|error| vec![SourceDiagnostic::error(DiagSpan::detached(), error.message().clone())])?;
    let options = PdfOptions {
        ident: Smart::Custom(ident),
        creator: Smart::Custom(Some("Opiekun".to_owned())),
        standards,
        ..PdfOptions::default()
    };
    let pdf = typst_pdf::pdf(&document, &options).map_err(|errors| errors.to_vec())?;
    if pdf.len() > DOCUMENT_BYTES_MAX {
        return Err(vec![SourceDiagnostic::error(DiagSpan::detached(), "the document is too large")]);
    }
    Ok(pdf)
}

/// The first of the errors, at the place of the layout that led to it.
fn refusal(world: &JobWorld, errors: &[SourceDiagnostic]) -> LayoutError {
    let Some(error) = errors.first() else {
        return LayoutError { line: None, column: None, message: "It can't be set".to_owned() };
    };
    let spans = std::iter::once(error.span).chain(error.trace.iter().map(|point| point.span.into()));
    let of_layout = spans.filter(|span| span.id() == Some(world.main())).find_map(|span| world.range(span));
    let place = of_layout.and_then(|range| world.layout().lines().byte_to_line_column(range.start));
    let hints = error.hints.iter().map(|hint| format!("; {}", hint.v));
    LayoutError {
        line: place.map(|(line, _)| line + 1),
        column: place.map(|(_, column)| column + 1),
        message: std::iter::once(error.message.to_string()).chain(hints).collect(),
    }
}
