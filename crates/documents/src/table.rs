//! Tables of typed cells, written row by row as CSV or as XLSX, so that one row is told the same in both.

use crate::csv::{CsvError, CsvWriter};
use crate::xlsx::{XlsxError, XlsxWriter};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use opiekun_domain::decimal::{Amount, AmountSum, HourlyRate, Share, StageDays, SurveyFigure};
use std::borrow::Cow;
use std::io::Write;

/// In which form a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    Csv {
        /// Whether the file begins with a byte order mark.
        byte_order_mark: bool,
    },
    Xlsx,
}

/// A column: its name, and how many characters it is wide in a spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: Cow<'static, str>,
    pub width: usize,
}

impl Column {
    /// Ids.
    pub const fn id(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 38 }
    }

    /// Names and texts of people.
    pub const fn text(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 40 }
    }

    /// Words, codes and short numbers that are not counted with.
    pub const fn word(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 18 }
    }

    /// What somebody has given a name, the question of a survey.
    pub const fn named(name: String) -> Self {
        Self { name: Cow::Owned(name), width: 18 }
    }

    pub const fn day(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 12 }
    }

    pub const fn moment(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 20 }
    }

    /// Money and other decimals of two places.
    pub const fn decimal(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 16 }
    }

    pub const fn count(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), width: 12 }
    }
}

/// What stands in a row below a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// No value.
    Empty,
    /// Text, whatever it looks like: a number of an invoice or a formula stays one.
    Text(String),
    /// A decimal as it is written in JSON.
    Decimal(String),
    Integer(i64),
    Bool(bool),
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

impl Cell {
    /// Text of what has one spelling: an id, a word, a currency.
    pub fn text(value: impl std::fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// As it stands in JSON, without quotes.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Decimal(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Bool(it) => it.to_string(),
            Self::Day(day) => day.to_string(),
            Self::Moment(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i16> for Cell {
    fn from(number: i16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Cell {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

impl From<NaiveDate> for Cell {
    fn from(day: NaiveDate) -> Self {
        Self::Day(day)
    }
}

impl From<DateTime<Utc>> for Cell {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::Moment(moment)
    }
}

macro_rules! decimals {
    ($($kind:ty),+) => {
        $(impl From<$kind> for Cell {
            fn from(decimal: $kind) -> Self {
                Self::Decimal(decimal.to_string())
            }
        })+
    };
}

decimals!(Amount, AmountSum, HourlyRate, Share, StageDays, SurveyFigure);

/// A table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error(transparent)]
    Xlsx(#[from] XlsxError),
}

/// Writes a table to `out`, one row at a time. It holds some kilobytes, however long the table gets.
pub struct TableWriter<W: Write> {
    rows: Rows<W>,
}

enum Rows<W: Write> {
    Csv(Box<CsvWriter<W>>),
    Xlsx(Box<XlsxWriter<W>>),
}

impl<W: Write> TableWriter<W> {
    /// Starts a table with its header row. `name` is that of its sheet, where it has one: at most 25 letters, digits and
    /// hyphens.
    pub fn new(out: W, format: TableFormat, name: &'static str, columns: Vec<Column>) -> Result<Self, TableError> {
        let rows = match format {
            TableFormat::Csv { byte_order_mark } => {
                let names = columns.iter().map(|column| column.name.as_ref());
                Rows::Csv(Box::new(CsvWriter::new(out, byte_order_mark, names)?))
            }
            TableFormat::Xlsx => Rows::Xlsx(Box::new(XlsxWriter::new(out, name, columns)?)),
        };
        Ok(Self { rows })
    }

    /// Writes a row, which has a cell for each column.
    pub fn write_row(&mut self, cells: Vec<Cell>) -> Result<(), TableError> {
        match &mut self.rows {
            Rows::Csv(table) => table.write_row(cells.into_iter().map(Cell::into_text))?,
            Rows::Xlsx(table) => table.write_row(cells)?,
        }
        Ok(())
    }

    /// Writes what is still held back, and the end, and gives `out` back.
    pub fn finish(self) -> Result<W, TableError> {
        Ok(match self.rows {
            Rows::Csv(table) => table.finish()?,
            Rows::Xlsx(table) => table.finish()?,
        })
    }
}
