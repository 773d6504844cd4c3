//! Tables as CSV (RFC 4180) that a spreadsheet opens as it is.

/// Tells a spreadsheet that the file is UTF-8; without it Excel shows Chinese as noise.
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Writes rows as a file. A cell that a spreadsheet would take for a formula gets an apostrophe before it: what a model
/// writes may come from a page that somebody prepared.
pub fn write(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut file = String::from(BYTE_ORDER_MARK);
    for row in rows {
        for column in 0..columns {
            if column > 0 {
                file.push(',');
            }
            write_cell(row.get(column).map_or("", String::as_str), &mut file);
        }
        file.push_str("\r\n");
    }
    file
}

fn write_cell(cell: &str, file: &mut String) {
    let guard = if is_formula(cell) { "'" } else { "" };
    let is_plain = !cell.contains(['"', ',', '\r', '\n']) && cell.trim() == cell;
    if is_plain {
        file.push_str(guard);
        file.push_str(cell);
    } else {
        file.push('"');
        file.push_str(guard);
        file.push_str(&cell.replace('"', "\"\""));
        file.push('"');
    }
}

/// Reads a table that [`write()`] or a spreadsheet wrote: cells in quotes may hold anything, lines end with or without a
/// carriage return, a byte order mark is passed over. An apostrophe that keeps a formula from being computed is taken off.
///
/// # Errors
/// The number of the row, from 1, in which a quote is not closed or stands in the middle of a cell.
pub fn read(file: &str) -> Result<Vec<Vec<String>>, usize> {
    let mut chars = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file).chars().peekable();
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    while chars.peek().is_some() {
        let wrong = rows.len() + 1;
        let mut cell = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next().ok_or(wrong)? {
                    '"' if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                    '"' => break,
                    other => cell.push(other),
                }
            }
        } else {
            while let Some(other) = chars.next_if(|next| !matches!(next, ',' | '\r' | '\n')) {
                cell.push(other);
            }
        }
        if let Some(kept) = cell.strip_prefix('\'').filter(|kept| is_formula(kept)) {
            cell = kept.to_owned();
        }
        row.push(cell);
        let ended = match chars.next() {
            Some(',') if chars.peek().is_some() => false,
            Some(',') => {
                row.push(String::new());
                true
            }
            Some('\r') => {
                let _ = chars.next_if_eq(&'\n');
                true
            }
            Some('\n') | None => true,
            Some(_) => return Err(wrong),
        };
        if ended {
            rows.push(std::mem::take(&mut row));
        }
    }
    Ok(rows)
}

/// Whether a spreadsheet would compute it. Numbers with a sign are none.
fn is_formula(cell: &str) -> bool {
    match cell.trim_start().chars().next() {
        Some('=' | '@') => true,
        Some('+' | '-') => {
            let rest = cell.trim().trim_start_matches(['+', '-']);
            !(rest.is_empty()
                || rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '%' | ' ' | '-' | ':')))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(row: &[&str]) -> Vec<String> {
        row.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn a_table_is_written_as_a_spreadsheet_reads_it() {
        let rows = [cells(&["姓名", "备注"]), cells(&["张三", "说：\"好\", 走了"]), cells(&["李四"])];
        assert_eq!(write(&rows), "\u{FEFF}姓名,备注\r\n张三,\"说：\"\"好\"\", 走了\"\r\n李四,\r\n");
    }

    #[test]
    fn a_formula_is_kept_from_being_computed_and_a_number_is_not_touched() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-5.2%", "-5.2%"),
            ("+86 138-0000-0000", "+86 138-0000-0000"),
            ("-", "-"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(write(&[cells(&[cell])]), format!("\u{FEFF}{written}\r\n"));
        }
    }

    #[test]
    fn what_a_spreadsheet_saves_is_read_and_a_broken_quote_is_found() {
        assert_eq!(read("a,b\n\"x\ny\",\n"), Ok(vec![cells(&["a", "b"]), cells(&["x\ny", ""])]));
        assert_eq!(read("a,"), Ok(vec![cells(&["a", ""])]));
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(read("a\r\n\"b"), Err(2));
        assert_eq!(read("a\n\"b\"c\n"), Err(2));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(
            rows in prop::collection::vec(prop::collection::vec("[a-c\",\r\n 中=+-]{0,6}", 1..5), 1..8)
        ) {
            let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
            let expected: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    let mut row = row.clone();
                    row.resize(columns, String::new());
                    row
                })
                .collect();
            prop_assert_eq!(read(&write(&rows)), Ok(expected));
        }
    }
}
