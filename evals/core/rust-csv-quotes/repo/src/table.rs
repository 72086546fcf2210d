//! Records under a head.

use crate::{records, Error};

/// A table whose rows all have as many fields as its head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The names of the columns.
    pub head: Vec<String>,
    /// The records below the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads `text`, the first record of which is the head.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut records = records(text)?.into_iter();
        let (_, head) = records.next().ok_or(Error::Empty)?;
        let mut rows = Vec::new();
        for (line, row) in records {
            if row.len() != head.len() {
                return Err(Error::FieldCount { line, found: row.len(), expected: head.len() });
            }
            rows.push(row);
        }
        Ok(Self { head, rows })
    }

    /// The fields of the column called `name`; `None` where there is none.
    pub fn column(&self, name: &str) -> Option<Vec<&str>> {
        let index = self.head.iter().position(|column| column == name)?;
        Some(self.rows.iter().map(|row| row[index].as_str()).collect())
    }
}
