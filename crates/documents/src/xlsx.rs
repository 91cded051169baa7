//! XLSX (ECMA-376, ISO/IEC 29500) of one table, written row by row into an archive that is sent while it is written.
//!
//! Numbers are written as the decimals that they are, days and moments as the day count of spreadsheets, and text as
//! text of that format, so that it stays text when somebody edits its cell.

use crate::table::{Cell, Column};
use chrono::{DateTime, NaiveDate, Utc};
use std::fmt::Write as _;
use std::io::Write;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// No sheet has more rows (ECMA-376 leaves it open, spreadsheets do not).
const ROWS_A_SHEET: u32 = 1_048_576;
/// A part of an archive without Zip64 ends at 4 GiB.
const BYTES_A_SHEET: usize = 3 << 30;

// The formats of cells, by their places in [`STYLES`].
const HEADER: u8 = 1;
const TEXT: u8 = 2;
const DECIMAL: u8 = 3;
const INTEGER: u8 = 4;
const DAY: u8 = 5;
const MOMENT: u8 = 6;

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

const CONTENT_TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>\
<Override PartName=\"/xl/workbook.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
<Override PartName=\"/xl/styles.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/></Types>";

const PACKAGE: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
Target=\"xl/workbook.xml\"/></Relationships>";

const STYLES: &str = "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<numFmts count=\"2\"><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\"/>\
<numFmt numFmtId=\"165\" formatCode=\"yyyy\\-mm\\-dd\\ hh:mm:ss\"/></numFmts>\
<fonts count=\"2\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font>\
<font><b/><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
<fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills>\
<borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
<cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>\
<cellXfs count=\"7\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>\
<xf numFmtId=\"49\" fontId=\"1\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\" applyFont=\"1\"/>\
<xf numFmtId=\"49\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"4\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"1\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"165\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/></cellXfs>\
<cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles></styleSheet>";

/// Writing failed below, or a row has not as many cells as the header.
#[derive(Debug, thiserror::Error)]
pub enum XlsxError {
    #[error("a spreadsheet could not be written: {0}")]
    Write(#[from] std::io::Error),
    #[error("a spreadsheet could not be packed: {0}")]
    Pack(#[from] zip::result::ZipError),
    #[error("a row of {found} cells below {expected} columns")]
    Width { found: usize, expected: usize },
}

/// Writes a table to `out`, one row at a time, below a bold header that stays in sight. It holds some kilobytes, however
/// long the table gets; what is too long for one sheet goes on in another.
pub struct XlsxWriter<W: Write> {
    archive: ZipWriter<StreamWriter<W>>,
    name: &'static str,
    columns: Vec<Column>,
    rows_max: u32,
    sheets: u32,
    /// Of the sheet that is open, its header with them.
    rows: u32,
    bytes: usize,
    /// The row that is being written.
    line: String,
}

impl<W: Write> XlsxWriter<W> {
    /// Starts a table with its header row. `name` is that of its sheet: at most 25 letters, digits and hyphens.
    pub fn new(out: W, name: &'static str, columns: Vec<Column>) -> Result<Self, XlsxError> {
        Self::with_rows_max(out, name, columns, ROWS_A_SHEET)
    }

    fn with_rows_max(out: W, name: &'static str, columns: Vec<Column>, rows_max: u32) -> Result<Self, XlsxError> {
        let archive = ZipWriter::new_stream(out);
        let mut table = Self { archive, name, columns, rows_max, sheets: 0, rows: 0, bytes: 0, line: String::new() };
        table.part("[Content_Types].xml", CONTENT_TYPES)?;
        table.part("_rels/.rels", PACKAGE)?;
        table.part("xl/styles.xml", STYLES)?;
        table.open_sheet()?;
        Ok(table)
    }

    /// Writes one row; what has no value is no cell.
    pub fn write_row(&mut self, cells: Vec<Cell>) -> Result<(), XlsxError> {
        if cells.len() != self.columns.len() {
            return Err(XlsxError::Width { found: cells.len(), expected: self.columns.len() });
        }
        if self.rows == self.rows_max || self.bytes > BYTES_A_SHEET {
            self.close_sheet()?;
            self.open_sheet()?;
        }
        self.begin_row();
        for (column, cell) in (0..).zip(cells) {
            self.push_cell(column, cell);
        }
        self.end_row()
    }

    /// Writes the end, and gives `out` back.
    pub fn finish(mut self) -> Result<W, XlsxError> {
        self.close_sheet()?;
        let mut workbook = "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets>"
            .to_owned();
        let mut parts =
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">".to_owned();
        let relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        for sheet in 1..=self.sheets {
            let behind = if sheet == 1 { String::new() } else { format!(" {sheet}") };
            let _ = write!(workbook, "<sheet name=\"{}{behind}\" sheetId=\"{sheet}\" r:id=\"rId{sheet}\"/>", self.name);
            let _ = write!(
                parts,
                "<Relationship Id=\"rId{sheet}\" Type=\"{relation}/worksheet\" Target=\"worksheets/sheet{sheet}.xml\"/>"
            );
        }
        workbook.push_str("</sheets></workbook>");
        let styles = self.sheets + 1;
        let _ = write!(
            parts,
            "<Relationship Id=\"rId{styles}\" Type=\"{relation}/styles\" Target=\"styles.xml\"/></Relationships>"
        );
        self.part("xl/workbook.xml", &workbook)?;
        self.part("xl/_rels/workbook.xml.rels", &parts)?;
        Ok(self.archive.finish()?.into_inner())
    }

    fn part(&mut self, name: &str, content: &str) -> Result<(), XlsxError> {
        self.start_part(name)?;
        Ok(self.archive.write_all(content.as_bytes())?)
    }

    fn start_part(&mut self, name: &str) -> Result<(), XlsxError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.archive.start_file(name, options)?;
        Ok(self.archive.write_all(XML.as_bytes())?)
    }

    fn open_sheet(&mut self) -> Result<(), XlsxError> {
        self.sheets += 1;
        self.rows = 0;
        self.bytes = 0;
        self.start_part(&format!("xl/worksheets/sheet{}.xml", self.sheets))?;
        let mut head = "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<sheetViews><sheetView workbookViewId=\"0\">\
<pane ySplit=\"1\" topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews><cols>"
            .to_owned();
        for (place, column) in (1..).zip(&self.columns) {
            let width = column.width.max(column.name.len() + 2);
            let _ = write!(head, "<col min=\"{place}\" max=\"{place}\" width=\"{width}\" customWidth=\"1\"/>");
        }
        head.push_str("</cols><sheetData>");
        self.archive.write_all(head.as_bytes())?;
        self.begin_row();
        for place in 0..self.columns.len() {
            let name = self.columns[place].name.clone();
            self.push_text(place, HEADER, &name);
        }
        self.end_row()
    }

    fn close_sheet(&mut self) -> Result<(), XlsxError> {
        Ok(self.archive.write_all(b"</sheetData></worksheet>")?)
    }

    fn begin_row(&mut self) {
        self.rows += 1;
        self.line.clear();
        let _ = write!(self.line, "<row r=\"{}\">", self.rows);
    }

    fn end_row(&mut self) -> Result<(), XlsxError> {
        self.line.push_str("</row>");
        self.bytes += self.line.len();
        Ok(self.archive.write_all(self.line.as_bytes())?)
    }

    fn push_cell(&mut self, column: usize, cell: Cell) {
        match cell {
            Cell::Empty => {}
            Cell::Text(text) => self.push_text(column, TEXT, &text),
            Cell::Decimal(decimal) => self.push_value(column, DECIMAL, "n", &decimal),
            Cell::Integer(number) => self.push_value(column, INTEGER, "n", &number.to_string()),
            Cell::Bool(it) => self.push_value(column, 0, "b", if it { "1" } else { "0" }),
            Cell::Day(day) => match day_number(day) {
                Some(number) => self.push_value(column, DAY, "n", &number.to_string()),
                None => self.push_text(column, TEXT, &cell.into_text()),
            },
            Cell::Moment(moment) => match moment_number(moment) {
                Some(number) => self.push_value(column, MOMENT, "n", &number),
                None => self.push_text(column, TEXT, &cell.into_text()),
            },
        }
    }

    fn push_value(&mut self, column: usize, style: u8, kind: &str, value: &str) {
        self.push_start(column, style, kind);
        let _ = write!(self.line, "<v>{value}</v></c>");
    }

    fn push_text(&mut self, column: usize, style: u8, text: &str) {
        self.push_start(column, style, "inlineStr");
        self.line.push_str("<is><t xml:space=\"preserve\">");
        push_escaped(&mut self.line, text);
        self.line.push_str("</t></is></c>");
    }

    fn push_start(&mut self, column: usize, style: u8, kind: &str) {
        self.line.push_str("<c r=\"");
        push_letters(&mut self.line, column);
        let _ = write!(self.line, "{}\" s=\"{style}\" t=\"{kind}\">", self.rows);
    }
}

/// The name of a column, counted from 0: A to Z, AA and so on.
fn push_letters(line: &mut String, column: usize) {
    let letters = u8::try_from(column % 26).map_or('A', |place| char::from(b'A' + place));
    if column >= 26 {
        push_letters(line, column / 26 - 1);
    }
    line.push(letters);
}

/// Days since the end of 1899; none before March 1900, since spreadsheets count a day there that never was.
fn day_number(day: NaiveDate) -> Option<i64> {
    let zero = NaiveDate::from_ymd_opt(1899, 12, 30)?;
    let number = day.signed_duration_since(zero).num_days();
    (number > 60).then_some(number)
}

/// The same with the part of the day, in UTC, to a millionth of a second.
fn moment_number(moment: DateTime<Utc>) -> Option<String> {
    const PLACES: u128 = 1_000_000_000_000;
    let day = day_number(moment.date_naive())?;
    let begins = moment.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
    let micros = u128::try_from(moment.signed_duration_since(begins).num_microseconds()?).ok()?;
    Some(format!("{day}.{:012}", micros * PLACES / (24 * 60 * 60 * 1_000_000)))
}

/// Text as XML has it. What XML cannot hold is told as `_xHHHH_`, and so is what looks like that already (ECMA-376 Part 1,
/// 22.9.2.19).
fn push_escaped(line: &mut String, text: &str) {
    for (at, letter) in text.char_indices() {
        match letter {
            '&' => line.push_str("&amp;"),
            '<' => line.push_str("&lt;"),
            '>' => line.push_str("&gt;"),
            '_' if is_escape(&text[at..]) => line.push_str("_x005F_"),
            '\t' | '\n' => line.push(letter),
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {
                let _ = write!(line, "_x{:04X}_", u32::from(letter));
            }
            _ => line.push(letter),
        }
    }
}

fn is_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 7 && bytes[1] == b'x' && bytes[2..6].iter().all(u8::is_ascii_hexdigit) && bytes[6] == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).expect("a day")
    }

    fn read(bytes: Vec<u8>) -> Vec<(String, Vec<Vec<Data>>)> {
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).expect("a workbook");
        let sheets = book.worksheets();
        sheets.into_iter().map(|(name, range)| (name, range.rows().map(<[Data]>::to_vec).collect())).collect()
    }

    fn written(columns: Vec<Column>, rows: Vec<Vec<Cell>>) -> Vec<Vec<Data>> {
        let mut table = XlsxWriter::new(Vec::new(), "table", columns).expect("a header");
        rows.into_iter().for_each(|row| table.write_row(row).expect("a row"));
        let mut sheets = read(table.finish().expect("bytes"));
        assert_eq!(sheets.len(), 1);
        sheets.remove(0).1
    }

    #[test]
    fn cells_have_the_types_of_their_values() {
        let columns = ["text", "net", "count", "is", "on", "at", "none"].map(Column::word).to_vec();
        let at = day(2026, 11, 23).and_hms_micro_opt(18, 0, 0, 0).expect("a moment").and_utc();
        let rows = written(
            columns,
            vec![vec![
                Cell::Text("=1+1".to_owned()),
                Cell::Decimal("-1234.50".to_owned()),
                Cell::Integer(7),
                Cell::Bool(true),
                Cell::Day(day(2026, 11, 23)),
                Cell::Moment(at),
                Cell::Empty,
            ]],
        );
        assert_eq!(rows[0][0], Data::String("text".to_owned()));
        assert_eq!(rows[1][0], Data::String("=1+1".to_owned()));
        assert_eq!(rows[1][1], Data::Float(-1234.5));
        assert_eq!(rows[1][2], Data::Float(7.0));
        assert_eq!(rows[1][3], Data::Bool(true));
        let (Data::DateTime(on), Data::DateTime(at)) = (&rows[1][4], &rows[1][5]) else { panic!("{rows:?}") };
        assert_eq!(on.as_f64(), 46_349.0);
        assert_eq!(at.as_f64(), 46_349.75);
        assert_eq!(rows[1][6], Data::Empty);
    }

    #[test]
    fn text_stays_as_it_is() {
        let texts = [
            "+48221234567",
            "@SUM(A1)",
            "0012",
            "FV/1/11/2026",
            "<a & \"b\">",
            "a\nb\tc",
            " led and trailed ",
            "żółć 🐝",
            "שלום",
            "'quoted'",
            "]]>",
        ];
        let rows = texts.iter().map(|text| vec![Cell::text(text)]).collect();
        let read = written(vec![Column::text("text")], rows);
        let read: Vec<_> = read[1..].iter().map(|row| row[0].to_string()).collect();
        assert_eq!(read, texts);
    }

    #[test]
    fn what_xml_cannot_hold_is_escaped() {
        let mut line = String::new();
        push_escaped(&mut line, "a\u{1}b\r\u{FFFF} _x0041_ _x004_ _");
        assert_eq!(line, "a_x0001_b_x000D__xFFFF_ _x005F_x0041_ _x004_ _");
    }

    #[test]
    fn days_count_as_spreadsheets_count_them() {
        assert_eq!(day_number(day(1900, 3, 1)), Some(61));
        assert_eq!(day_number(day(1900, 2, 28)), None);
        assert_eq!(day_number(day(2000, 1, 1)), Some(36_526));
        let last = day(1999, 12, 31).and_hms_micro_opt(23, 59, 59, 999_999).expect("a moment").and_utc();
        assert_eq!(moment_number(last).as_deref(), Some("36525.999999999988"));
    }

    #[test]
    fn columns_are_named_by_letters() {
        let name = |column| {
            let mut letters = String::new();
            push_letters(&mut letters, column);
            letters
        };
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(name), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }

    #[test]
    fn what_is_too_long_for_a_sheet_goes_on_in_another() {
        let mut table = XlsxWriter::with_rows_max(Vec::new(), "long", vec![Column::count("n")], 3).expect("a header");
        (1..=5).for_each(|number| table.write_row(vec![Cell::Integer(number)]).expect("a row"));
        let sheets = read(table.finish().expect("bytes"));
        let told: Vec<_> = sheets
            .iter()
            .map(|(name, rows)| {
                (name.as_str(), rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(told, [("long", "n 1 2".to_owned()), ("long 2", "n 3 4".to_owned()), ("long 3", "n 5".to_owned())]);
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let mut table = XlsxWriter::new(Vec::new(), "table", vec![Column::count("n")]).expect("a header");
        assert!(matches!(table.write_row(Vec::new()), Err(XlsxError::Width { found: 0, expected: 1 })));
    }

    /// Counts what is written, and keeps nothing of it.
    struct Counted<'a>(&'a std::cell::Cell<usize>);

    impl Write for Counted<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.set(self.0.get() + bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_is_sent_while_it_is_written() {
        let sent = std::cell::Cell::new(0);
        let mut table = XlsxWriter::new(Counted(&sent), "long", vec![Column::count("n")]).expect("a header");
        (1..=50_000).for_each(|number| table.write_row(vec![Cell::Integer(number * 7_919 % 50_021)]).expect("a row"));
        let before_the_end = sent.get();
        table.finish().expect("the end");
        // No more than what deflating holds back.
        assert!(sent.get() - before_the_end < 64 * 1024, "{before_the_end} of {}", sent.get());
        assert!(before_the_end > 128 * 1024, "{before_the_end}");
    }
}
