//! From text to records.

use crate::Error;

/// A record and the line on which it begins, from 1.
pub type Record = (usize, Vec<String>);

/// The records of `text`; empty lines are none.
pub fn records(text: &str) -> Result<Vec<Record>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    Ok(lines.map(|(index, line)| (index + 1, fields(line))).collect())
}

/// The fields of one line.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for char in line.chars() {
        match char {
            '"' if !quoted && fields.last().is_some_and(String::is_empty) => quoted = true,
            '"' if quoted && line.ends_with('"') => fields.last_mut().unwrap().push('"'),
            ',' if !quoted => fields.push(String::new()),
            ',' if fields.last().unwrap().ends_with('"') => {
                fields.last_mut().unwrap().pop();
                quoted = false;
                fields.push(String::new());
            }
            char => fields.last_mut().unwrap().push(char),
        }
    }
    if quoted {
        let last = fields.last_mut().unwrap();
        if last.ends_with('"') {
            last.pop();
        }
    }
    fields
}
