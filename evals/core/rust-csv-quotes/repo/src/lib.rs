//! Reads tables that spreadsheets export as comma-separated values.

mod error;
mod reader;
mod table;

pub use error::Error;
pub use reader::records;
pub use table::Table;
