use sheet::{records, Error, Table};

fn only(text: &str) -> Vec<Vec<String>> {
    records(text).unwrap().into_iter().map(|(_, record)| record).collect()
}

#[test]
fn the_example_has_two_records() {
    let text = "id,address,remark\n1,\"12 High Street\nSpringfield\",\"says \"\"hello\"\", twice\"\n";
    let table = Table::parse(text).unwrap();
    assert_eq!(table.rows, [["1", "12 High Street\nSpringfield", "says \"hello\", twice"]]);
}

#[test]
fn carriage_returns_end_records_and_stay_in_quotes() {
    assert_eq!(only("a,b\r\n\"1\r\n2\",3\r\n"), [["a", "b"], ["1\r\n2", "3"]]);
}

#[test]
fn empty_and_quoted_empty_fields_are_fields() {
    assert_eq!(only("a,,\"\",d\n,\n"), [vec!["a", "", "", "d"], vec!["", ""]]);
}

#[test]
fn a_field_may_be_one_quotation_mark_or_end_with_one() {
    assert_eq!(only("\"\"\"\",x\n\"say \"\"a\"\"\",\"\"\"b\"\"\"\n"), [["\"", "x"], ["say \"a\"", "\"b\""]]);
}

#[test]
fn lines_are_counted_through_fields_of_several_lines() {
    let lines: Vec<usize> = records("a\n\"1\n2\n3\"\n\nb\n").unwrap().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 2, 6]);
    let error = Table::parse("a,b\n\"1\n2\",3\n4\n").unwrap_err();
    assert_eq!(error, Error::FieldCount { line: 4, found: 1, expected: 2 });
}

#[test]
fn a_quotation_mark_that_is_never_closed_is_an_error_with_the_line_of_its_record() {
    let error = Table::parse("a,b\n1,2\n3,\"4\n5,6\n").unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn the_last_record_needs_no_line_break() {
    assert_eq!(only("a,b\n1,\"2\""), [["a", "b"], ["1", "2"]]);
}
