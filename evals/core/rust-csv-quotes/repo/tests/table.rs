use sheet::{Error, Table};

#[test]
fn a_plain_table_is_read() {
    let table = Table::parse("id,name\n1,apple\n\n2,pear\n").unwrap();
    assert_eq!(table.column("name").unwrap(), ["apple", "pear"]);
}

#[test]
fn a_comma_in_quotes_belongs_to_the_field() {
    let table = Table::parse("id,name\n1,\"apple, red\"\n").unwrap();
    assert_eq!(table.rows, [["1", "apple, red"]]);
}

#[test]
fn a_record_with_too_few_fields_is_named_by_its_line() {
    let error = Table::parse("id,name\n1,apple\n2\n").unwrap_err();
    assert_eq!(error, Error::FieldCount { line: 3, found: 1, expected: 2 });
}
