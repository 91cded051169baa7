//! CSV as RFC 4180 has it, written row by row, safe to open in a spreadsheet.

use std::borrow::Cow;
use std::io::Write;

use csv::{QuoteStyle, Terminator, WriterBuilder};

/// Tells spreadsheets that guess an encoding that the file is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// Writing failed below, or a row has not as many cells as the header.
#[derive(Debug, thiserror::Error)]
#[error("a CSV row could not be written: {0}")]
pub struct CsvError(#[from] csv::Error);

impl From<std::io::Error> for CsvError {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// Writes a table to `out`, one row at a time, with CRLF line ends and quotes where they are needed. It holds a few
/// kilobytes, however long the table gets.
pub struct CsvWriter<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> CsvWriter<W> {
    /// Starts a table with its header row, behind a byte order mark if one is wanted.
    pub fn new<'a>(
        mut out: W,
        byte_order_mark: bool,
        header: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CsvError> {
        if byte_order_mark {
            out.write_all(BYTE_ORDER_MARK.as_bytes())?;
        }
        let rows = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .quote_style(QuoteStyle::Necessary)
            .flexible(false)
            .from_writer(out);
        let mut table = Self { rows };
        table.write_row(header)?;
        Ok(table)
    }

    /// Writes one row; what has no value is an empty cell.
    pub fn write_row<'a, C: Into<Cow<'a, str>>>(&mut self, cells: impl IntoIterator<Item = C>) -> Result<(), CsvError> {
        for cell in cells {
            self.rows.write_field(guarded(cell.into()).as_bytes())?;
        }
        Ok(self.rows.write_record(None::<&[u8]>)?)
    }

    /// Writes what is still held back and gives `out` back.
    pub fn finish(self) -> Result<W, CsvError> {
        self.rows.into_inner().map_err(|error| error.into_error().into())
    }
}

/// A cell that a spreadsheet will not take for a formula (CWE-1236): where it starts like one, an apostrophe stands
/// before it. A plain decimal number starts no formula and stays a number, so `-12.50` is written as it is while
/// `-12.50+A1` and the phone number `+48221234567` are not.
fn guarded(cell: Cow<'_, str>) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_plain_number(&cell) {
        Cow::Owned(format!("'{cell}"))
    } else {
        cell
    }
}

/// Digits, a point between them at most, a minus before them at most.
fn is_plain_number(cell: &str) -> bool {
    let unsigned = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(byte_order_mark: bool, rows: &[[&str; 2]]) -> String {
        let mut table = CsvWriter::new(Vec::new(), byte_order_mark, ["name", "cost"]).expect("a header");
        for row in rows {
            table.write_row(row.iter().copied()).expect("a row");
        }
        String::from_utf8(table.finish().expect("bytes")).expect("UTF-8")
    }

    fn cell(text: &str) -> Cow<'_, str> {
        guarded(Cow::Borrowed(text))
    }

    #[test]
    fn rows_end_in_crlf_behind_a_header() {
        assert_eq!(written(false, &[]), "name,cost\r\n");
        assert_eq!(written(false, &[["Żaneta", "12.50"], ["", ""]]), "name,cost\r\nŻaneta,12.50\r\n,\r\n");
    }

    #[test]
    fn commas_quotes_and_line_ends_are_quoted() {
        let rows = [["Kropka, sp. z o.o.", "\"A\""], ["two\r\nlines", "a;b"]];
        assert_eq!(
            written(false, &rows),
            "name,cost\r\n\"Kropka, sp. z o.o.\",\"\"\"A\"\"\"\r\n\"two\r\nlines\",a;b\r\n"
        );
    }

    #[test]
    fn a_byte_order_mark_comes_first_when_wanted() {
        assert!(written(true, &[]).starts_with("\u{FEFF}name"));
    }

    #[test]
    fn what_starts_like_a_formula_is_text() {
        for text in
            ["=1+1", "+48221234567", "@SUM(A1)", "-2+3", "-", "-A1", "\tx", "\rx", "-1.", "-.5", "--1", "+1", "-1e5"]
        {
            assert_eq!(cell(text), format!("'{text}"));
        }
    }

    #[test]
    fn numbers_and_harmless_text_stay_as_they_are() {
        for text in ["-12.50", "-7", "0.00", "1234.50", "2026-11-23", "a=b", "'quoted'", "", " =1"] {
            assert_eq!(cell(text), text);
        }
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let mut table = CsvWriter::new(Vec::new(), false, ["name", "cost"]).expect("a header");
        assert!(table.write_row(["only one"]).is_err());
    }
}
