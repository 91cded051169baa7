//! Lists and reports as JSON or as a table (CSV, XLSX), by what the caller asks for: the same rows in each, from one state of
//! the database, and sent while they are read.

use crate::context::Asked;
use crate::gate::most_wanted;
use crate::listing::{Listing, Sorting};
use crate::problem::ApiError;
use crate::shape::Shape;
use crate::state::State;
use crate::stream::{Chunks, streamed};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use opiekun_documents::table::{Cell, Column, TableError, TableFormat, TableWriter};
use opiekun_persistence::{Page, PageRequest, Scope, StoreError, Tx};
use serde::Serialize;
use std::future::{Ready, ready};
use std::io::{self, Write};
use std::ops::ControlFlow;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

/// How many rows of a list are read at a time.
const ROWS_A_PAGE: u16 = 500;

/// What a page of JSON has and a table has not: a table has all records, and columns of its own.
const OF_PAGES: [&str; 5] = ["limit", "cursor", "count", "fields", "expand"];

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The bytes of a spreadsheet.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "sent as they are; this is what the contract says of them")]
pub struct Spreadsheet(Vec<u8>);

/// In which form a list or a report is wanted: by `format`, or else by `Accept`.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Json,
    Table(TableFormat),
}

impl FromRequest for Format {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(format_of(req))
    }
}

fn format_of(req: &HttpRequest) -> Result<Format, ApiError> {
    let asked = Asked::of(req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
    let csv = TableFormat::Csv { byte_order_mark: asked.parameter("bom") == Some("true") };
    let format = match asked.parameter("format") {
        Some("csv") => Format::Table(csv),
        Some("xlsx") => Format::Table(TableFormat::Xlsx),
        Some(_) => Format::Json,
        None => match most_wanted(req.headers(), &[JSON, CSV, XLSX]) {
            Some(CSV) => Format::Table(csv),
            Some(XLSX) => Format::Table(TableFormat::Xlsx),
            _ => Format::Json,
        },
    };
    if let Format::Table(_) = format {
        asked.refuse(&OF_PAGES, "A table has all records, and columns of its own")?;
    }
    Ok(format)
}

impl IntoParams for Format {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let of_type = |kind: Type| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(schema))
                .build()
        };
        vec![
            parameter(
                "format",
                "The form of the answer where `Accept` cannot be set; it counts before `Accept`.",
                of_type(Type::String).enum_values(Some(["json", "csv", "xlsx"])),
            ),
            parameter(
                "bom",
                "Begins CSV with a byte order mark, which some spreadsheets want.",
                of_type(Type::Boolean),
            ),
        ]
    }
}

/// A record of a list, as a table has it.
pub trait Tabular: Serialize {
    /// The name of the file and of its sheet.
    const NAME: &'static str;
    const COLUMNS: &'static [Column];

    /// A cell for each column.
    fn cells(self) -> Vec<Cell>;
}

/// How a table has the records of a list whose columns are only known once something has been read.
pub trait Layout<T> {
    /// The name of the file and of its sheet.
    const NAME: &'static str;

    fn columns(&self) -> Vec<Column>;

    /// A cell for each column.
    fn cells(&self, record: T) -> Vec<Cell>;
}

/// The layout of records that have one of their own.
struct Own;

impl<T: Tabular> Layout<T> for Own {
    const NAME: &'static str = T::NAME;

    fn columns(&self) -> Vec<Column> {
        T::COLUMNS.to_vec()
    }

    fn cells(&self, record: T) -> Vec<Cell> {
        record.cells()
    }
}

/// A list: a page of it as JSON, or all of it as a table. `read` reads a page.
pub async fn list<S: Sorting + Send, T: Tabular>(
    state: web::Data<State>,
    scope: Scope,
    format: Format,
    listing: Listing<S>,
    shape: Shape,
    read: impl FnMut(&mut Tx<'_>, &PageRequest<S>) -> Result<Page<T>, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    list_laid_out(state, scope, format, listing, shape, |_| Ok(Own), read).await
}

/// A list of which `lay_out` says how a table has it.
pub async fn list_laid_out<S: Sorting + Send, T: Serialize, L: Layout<T>>(
    state: web::Data<State>,
    scope: Scope,
    format: Format,
    listing: Listing<S>,
    shape: Shape,
    lay_out: impl FnOnce(&mut Tx<'_>) -> Result<L, ApiError> + Send + 'static,
    mut read: impl FnMut(&mut Tx<'_>, &PageRequest<S>) -> Result<Page<T>, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    match format {
        Format::Json => {
            let page = move |tx: &mut Tx<'_>| {
                let page = read(tx, &listing.page)?;
                shape.page(tx, page)
            };
            Ok(state.snapshot(scope, page).await?.into_response())
        }
        Format::Table(format) => {
            let response = described(format, L::NAME);
            streamed(state, scope, response, move |tx, out| {
                let layout = lay_out(tx)?;
                let mut page = PageRequest { limit: ROWS_A_PAGE, after: None, count: false, ..listing.page };
                let mut table = TableWriter::new(out, format, L::NAME, layout.columns())?;
                loop {
                    let Page { items, next, total: _ } = read(tx, &page)?;
                    for item in items {
                        table.write_row(layout.cells(item))?;
                    }
                    page.after = next;
                    if page.after.is_none() {
                        break;
                    }
                }
                table.finish()?;
                Ok(())
            })
            .await
        }
    }
}

/// A report with many rows: an object in JSON, whose members are those of its head, its rows and its tail.
pub trait Report: Sized {
    type Row: Serialize;
    /// What is told behind the rows, which only they tell.
    type Tail: Serialize;

    /// The member that holds the rows.
    const ROWS: &'static str = "rows";
    /// The name of the file and of its sheet.
    const NAME: &'static str;

    /// What is told before the rows.
    fn head(&self) -> impl Serialize;

    /// Hands over each row, and answers what they come to.
    fn each(
        &self,
        tx: &mut Tx<'_>,
        take: impl FnMut(Self::Row) -> Result<(), ApiError>,
    ) -> Result<Self::Tail, ApiError>;

    fn columns(&self) -> Vec<Column>;

    /// A cell for each column.
    fn cells(&self, row: Self::Row) -> Vec<Cell>;

    /// What a table tells of the head, in a row before the others.
    fn first_row(&self) -> Option<Vec<Cell>> {
        None
    }

    /// What a table tells of the tail, in a row behind the others.
    fn last_row(&self, _: &Self::Tail) -> Option<Vec<Cell>> {
        None
    }
}

/// A tail of one member.
#[derive(Debug, Serialize)]
pub struct Totals<T> {
    pub totals: T,
}

/// A report, sent while it is read. `open` makes it of what was asked.
pub async fn report<R: Report>(
    state: web::Data<State>,
    scope: Scope,
    format: Format,
    open: impl FnOnce(&mut Tx<'_>) -> Result<R, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    match format {
        Format::Json => {
            let mut response = HttpResponse::Ok();
            response.content_type(JSON);
            streamed(state, scope, response, move |tx, out| write_json(&open(tx)?, tx, out)).await
        }
        Format::Table(format) => {
            let response = described(format, R::NAME);
            streamed(state, scope, response, move |tx, out| write_table(&open(tx)?, format, tx, out)).await
        }
    }
}

/// A table of rows that are there already.
pub fn table(
    format: TableFormat,
    name: &'static str,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<Cell>>,
) -> Result<HttpResponse, ApiError> {
    let mut table = TableWriter::new(Vec::new(), format, name, columns.to_vec())?;
    rows.into_iter().try_for_each(|row| table.write_row(row))?;
    Ok(described(format, name).body(table.finish()?))
}

/// Hands each row that `read` finds to `take`, until that refuses one.
pub fn each_row<T, R>(
    mut take: impl FnMut(T) -> Result<(), ApiError>,
    read: impl FnOnce(&mut dyn FnMut(T) -> ControlFlow<()>) -> Result<R, StoreError>,
) -> Result<R, ApiError> {
    let mut failed = None;
    let found = read(&mut |row| match take(row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// An answer that holds a table.
fn described(format: TableFormat, name: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    let extension = match format {
        TableFormat::Csv { .. } => {
            response.content_type("text/csv; charset=utf-8");
            "csv"
        }
        TableFormat::Xlsx => {
            response.content_type(XLSX);
            // It is compressed within.
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("identity")));
            "xlsx"
        }
    };
    response.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{extension}\"")));
    response
}

fn write_table<R: Report>(report: &R, format: TableFormat, tx: &mut Tx<'_>, out: &mut Chunks) -> Result<(), ApiError> {
    let mut table = TableWriter::new(out, format, R::NAME, report.columns())?;
    if let Some(row) = report.first_row() {
        table.write_row(row)?;
    }
    let tail = report.each(tx, |row| Ok(table.write_row(report.cells(row))?))?;
    if let Some(row) = report.last_row(&tail) {
        table.write_row(row)?;
    }
    table.finish()?;
    Ok(())
}

fn write_json<R: Report>(report: &R, tx: &mut Tx<'_>, out: &mut Chunks) -> Result<(), ApiError> {
    let head = serde_json::to_string(&report.head()).map_err(ApiError::internal)?;
    let mut separator = "";
    write!(out, "{},\"{}\":[", head.strip_suffix('}').unwrap_or(&head), R::ROWS).map_err(ApiError::unavailable)?;
    let tail = report.each(tx, |row| {
        out.write_all(separator.as_bytes()).map_err(ApiError::unavailable)?;
        separator = ",";
        serde_json::to_writer(&mut *out, &row).map_err(io::Error::from).map_err(ApiError::unavailable)
    })?;
    let tail = serde_json::to_string(&tail).map_err(ApiError::internal)?;
    write!(out, "],{}", tail.strip_prefix('{').unwrap_or(&tail)).map_err(ApiError::unavailable)
}

impl From<TableError> for ApiError {
    fn from(error: TableError) -> Self {
        Self::unavailable(error)
    }
}
