//! `codeteam ledger export`.

use std::io::{BufWriter, ErrorKind, Write, stdout};

use config::Services;
use futures_util::TryStreamExt;
use serde_json::json;
use store::ledger::{Exported, export};
use time::format_description::well_known::Rfc3339;

use crate::cli::Days;
use crate::exit::Outcome;

/// The columns, in an order that does not change; new ones come last.
const COLUMNS: [&str; 15] = [
    "job_id",
    "seq",
    "at",
    "kind",
    "repository",
    "mode",
    "step_no",
    "reservation_seq",
    "model",
    "uncached_input",
    "cache_read",
    "cache_write",
    "output",
    "cost_microusd",
    "hash",
];

/// Prints the ledger row by row as it comes: CSV, or one JSON object a line.
pub(crate) async fn run(days: Days, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let mut out = BufWriter::new(stdout().lock());
    let mut written = if json { Ok(()) } else { record(&mut out, &COLUMNS) };
    let mut rows = std::pin::pin!(export(&db, days.from, days.to));
    while written.is_ok() {
        let Some(row) = rows.try_next().await? else { break };
        let cells = cells(&row);
        written = if json { object(&mut out, &cells) } else { record(&mut out, &cells) };
    }
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn cells(row: &Exported) -> [String; COLUMNS.len()] {
    let [uncached_input, cache_read, cache_write, output] = row.tokens.map(|count| count.to_string());
    [
        row.job_id.to_string(),
        row.seq.to_string(),
        row.at.format(&Rfc3339).unwrap_or_default(),
        row.kind.clone(),
        row.repository.clone().unwrap_or_default(),
        row.mode.clone().unwrap_or_default(),
        row.step_no.to_string(),
        row.reservation_seq.map(|seq| seq.to_string()).unwrap_or_default(),
        row.model.clone(),
        uncached_input,
        cache_read,
        cache_write,
        output,
        row.cost_microusd.0.to_string(),
        row.hash.clone(),
    ]
}

/// One line of JSON: numbers as numbers, what is not there as null.
fn object(out: &mut impl Write, cells: &[String]) -> std::io::Result<()> {
    let value = |column: &str, cell: &String| match column {
        _ if cell.is_empty() => json!(null),
        "job_id" | "at" | "kind" | "repository" | "mode" | "model" | "hash" => json!(cell),
        _ => cell.parse::<i64>().map_or_else(|_| json!(cell), |number| json!(number)),
    };
    let fields: serde_json::Map<_, _> =
        COLUMNS.iter().zip(cells).map(|(column, cell)| ((*column).to_owned(), value(column, cell))).collect();
    serde_json::to_writer(&mut *out, &fields)?;
    out.write_all(b"\n")
}

/// One record as RFC 4180 has it: CR LF at the end, quotes where a cell holds a comma, a quote or a line break.
fn record(out: &mut impl Write, cells: &[impl AsRef<str>]) -> std::io::Result<()> {
    for (index, cell) in cells.iter().map(AsRef::as_ref).enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match cell.contains([',', '"', '\r', '\n']) {
            true => write!(out, "\"{}\"", cell.replace('"', "\"\""))?,
            false => out.write_all(cell.as_bytes())?,
        }
    }
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let mut line = Vec::new();
        record(&mut line, &["plain", "a,b", "say \"hi\"", "two\nlines", ""]).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
    }
}
