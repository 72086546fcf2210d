use super::*;

fn edit(old: &str, new: &str) -> Edit {
    Edit { old: old.to_owned(), new: new.to_owned(), near_line: None, replace_all: false }
}

/// Makes one edit, and says how it was found.
fn edited(content: &str, old: &str, new: &str) -> (String, Match) {
    let (content, applied) = apply(content, &[edit(old, new)]).unwrap();
    (content, applied[0].how)
}

fn refused(content: &str, edit: Edit) -> String {
    apply(content, &[edit]).unwrap_err().reason
}

#[test]
fn an_exact_quotation_is_replaced_and_nothing_else() {
    assert_eq!(edited("a = 1\nb = 2\n", "b = 2", "b = 3"), ("a = 1\nb = 3\n".to_owned(), Match::Exact));
    assert_eq!(edited("one two three", "two ", ""), ("one three".to_owned(), Match::Exact));
    assert_eq!(edited("ä\nö\n", "ä\n", "ü\nü\n"), ("ü\nü\nö\n".to_owned(), Match::Exact));
}

#[test]
fn an_exact_place_wins_over_looser_ones() {
    assert_eq!(edited("  x() \nx()\n", "x()\n", "y()\n"), ("  x() \ny()\n".to_owned(), Match::Exact));
}

#[test]
fn line_endings_are_kept_line_by_line() {
    assert_eq!(edited("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n"), ("x\r\ny\r\nz\r\nc\r\n".to_owned(), Match::Exact));
    assert_eq!(edited("a\r\nb\nc\n", "b", "x\ny"), ("a\r\nx\ny\nc\n".to_owned(), Match::Exact));
    assert_eq!(edited("a\r\nb\r\nc\n", "a\nb", "x\ny").0, "x\r\ny\r\nc\n");
    assert_eq!(edited("a\nb\n", "a\r\nb", "x\r\ny").0, "x\ny\n");
    assert_eq!(edited("a  \r\nb\r\n", "a\nb", "a\nx\nb").0, "a  \r\nx\r\nb\r\n");
}

#[test]
fn a_byte_order_mark_is_kept_and_need_not_be_quoted() {
    assert_eq!(edited("\u{feff}a\r\nb\r\n", "a\nb\n", "c\nd\n"), ("\u{feff}c\r\nd\r\n".to_owned(), Match::Exact));
}

#[test]
fn a_missing_final_newline_stays_missing() {
    assert_eq!(edited("a\nb", "b\n", "c\n"), ("a\nc".to_owned(), Match::TrailingSpace));
    assert_eq!(edited("a\nb", "a\nb\n", "a\nb\nc\n"), ("a\nb\nc".to_owned(), Match::TrailingSpace));
    assert_eq!(edited("a\nb", "b\n", ""), ("a".to_owned(), Match::TrailingSpace));
}

#[test]
fn space_at_the_ends_of_lines_is_overlooked_and_kept_where_nothing_changes() {
    let (content, how) = edited("one  \ntwo\t\nthree\n", "one\ntwo\nthree", "one\n2\nthree");
    assert_eq!((content.as_str(), how), ("one  \n2\nthree\n", Match::TrailingSpace));
}

#[test]
fn other_indentation_is_overlooked_and_the_new_lines_are_indented_like_the_file() {
    let file = "class A:\n        def f(self):\n            return 1\n";
    let old = "def f(self):\n    return 1";
    let new = "def f(self):\n    if self:\n        return 2\n\n    return 1";
    let (content, how) = edited(file, old, new);
    let expected = "class A:\n        def f(self):\n            if self:\n                return 2\n\n            return 1\n";
    assert_eq!((content.as_str(), how), (expected, Match::Indentation));
}

#[test]
fn spaces_become_the_tabs_of_the_file() {
    let file = "func f() {\n\tif x {\n\t\ty()\n\t}\n}\n";
    let (content, how) = edited(file, "    if x {\n        y()\n    }\n", "    if x {\n        for {\n            y()\n        }\n    }\n");
    assert_eq!((content.as_str(), how), ("func f() {\n\tif x {\n\t\tfor {\n\t\t\ty()\n\t\t}\n\t}\n}\n", Match::Indentation));
}

#[test]
fn tabs_become_the_spaces_of_the_file() {
    let file = "if x:\n    y()\n";
    let (content, _) = edited(file, "if x:\n\ty()\n", "if x:\n\tif z:\n\t\ty()\n");
    assert_eq!(content, "if x:\n    if z:\n        y()\n");
}

#[test]
fn a_line_less_indented_than_the_quotation_moves_with_it() {
    let file = "a:\n      b:\n        c\n";
    let (content, _) = edited(file, "    b:\n      c\n", "    b:\n  d\n");
    assert_eq!(content, "a:\n      b:\n    d\n");
}

#[test]
fn indentation_that_differs_inconsistently_is_another_passage() {
    let reason = refused("if a:\n    b\nc\n", edit("    if a:\n    b\n    c\n", "x\n"));
    assert!(reason.contains("indentation"), "{reason}");
}

#[test]
fn a_quotation_that_lost_all_its_indentation_is_indented_by_what_it_replaces_or_by_brackets() {
    let file = "fn f() {\n    if a {\n        b();\n    }\n}\n";
    let old = "if a {\nb();\n}\n";
    assert_eq!(edited(file, old, "if a {\nc();\n}\n"), (file.replace("b()", "c()"), Match::Indentation));
    let longer = file.replace("b();\n", "b();\n        for d in e {\n            g();\n        }\n");
    assert_eq!(edited(file, old, "if a {\nb();\nfor d in e {\ng();\n}\n}\n").0, longer);
    // What is new is indented: it is as it should be.
    assert_eq!(edited(file, old, "    if a {\n        c();\n        d();\n    }\n").0, file.replace("b();", "c();\n        d();"));
}

#[test]
fn where_indentation_makes_the_blocks_it_is_not_guessed() {
    let file = "def f():\n    if a:\n        b()\n";
    let reason = refused(file, edit("if a:\nb()\n", "if a:\nfor c in d:\ne()\nb()\n"));
    assert!(reason.contains("indentation"), "{reason}");
    assert_eq!(edited(file, "if a:\nb()\n", "if a:\nc()\n").0, file.replace("b()", "c()"));
}

#[test]
fn look_alike_characters_are_overlooked_and_kept_where_nothing_changes() {
    let file = "s = “quoted” – it’s\u{a0}here…\nt = 1\n";
    let (content, how) = edited(file, "s = \"quoted\" - it's here...\nt = 1\n", "s = \"quoted\" - it's here...\nt = 2\n");
    assert_eq!((content.as_str(), how), ("s = “quoted” – it’s\u{a0}here…\nt = 2\n", Match::LookAlikes));
}

#[test]
fn an_ambiguous_quotation_is_refused_with_the_lines() {
    let reason = refused("x\na\nx\n", edit("x", "y"));
    assert_eq!(reason, "old stands in 2 places (lines 1, 3); quote more lines around it, or give near_line or replace_all");
    let reason = refused("  x()\na\n    x()\n", edit("\tx()\n", "\ty()\n"));
    assert!(reason.starts_with("old stands in 2 places (lines 1, 3)"), "{reason}");
}

#[test]
fn overlapping_places_are_ambiguous_too() {
    assert!(refused("aaa", edit("aa", "b")).starts_with("old stands in 2 places"));
}

#[test]
fn the_place_near_a_line_is_taken_and_a_tie_is_refused() {
    let near = |line| Edit { near_line: Some(line), ..edit("x", "y") };
    assert_eq!(apply("x\na\na\nx\n", &[near(4)]).unwrap().0, "x\na\na\ny\n");
    assert_eq!(apply("x\na\na\nx\n", &[near(2)]).unwrap().0, "y\na\na\nx\n");
    assert!(refused("x\na\nx\n", near(2)).contains("equally near"));
}

#[test]
fn a_place_far_from_the_line_that_is_named_is_not_taken() {
    let file = format!("x\n{}", "a\n".repeat(200));
    let near = |line| Edit { near_line: Some(line), ..edit("x", "y") };
    assert!(apply(&file, &[near(101)]).is_ok());
    assert_eq!(refused(&file, near(150)), "old stands at line 1 only, far from line 150; leave near_line out if that is the place");
}

#[test]
fn near_lines_count_in_the_text_before_all_edits() {
    let edits = [edit("head", "1\n2\n3\n4"), Edit { near_line: Some(4), ..edit("x", "y") }];
    assert_eq!(apply("head\nx\nb\nx\n", &edits).unwrap().0, "1\n2\n3\n4\nx\nb\ny\n");
}

#[test]
fn every_place_is_replaced_on_request() {
    let all = |old: &str, new: &str| Edit { replace_all: true, ..edit(old, new) };
    let (content, applied) = apply("x x\nx\n", &[all("x", "yy")]).unwrap();
    assert_eq!((content.as_str(), &applied[0]), ("yy yy\nyy\n", &Applied { line: 1, count: 3, how: Match::Exact, became: None }));
    assert_eq!(apply("aaaa", &[all("aa", "b")]).unwrap().0, "bb");
    assert_eq!(apply("  f()\n\tf()\n", &[all("f() \n", "g()\n")]).unwrap().0, "  g()\n\tg()\n");
}

#[test]
fn either_all_edits_are_made_or_none() {
    let error = apply("a\nb\n", &[edit("a", "x"), edit("nowhere", "y")]).unwrap_err();
    assert_eq!(error.no, 2);
    let (content, applied) = apply("a\nb\n", &[edit("a", "x"), edit("x\nb", "c")]).unwrap();
    assert_eq!((content.as_str(), applied.len()), ("c\n", 2));
}

#[test]
fn edits_that_say_nothing_are_refused() {
    assert!(refused("a", edit("", "x")).contains("write_file"));
    assert!(refused("a", edit("a", "a")).contains("the same"));
    assert!(refused("a", edit("a\r\n", "a\n")).contains("the same"));
    assert_eq!(apply("a", &[]).unwrap_err().reason, "there are no edits");
}

#[test]
fn a_quotation_that_stands_nowhere_is_answered_with_the_nearest_lines_and_the_difference() {
    let file = "fn total(items: &[Item]) -> u64 {\n    let mut sum = 0;\n    sum += 1;\n    sum\n}\n";
    let reason = refused(file, edit("    let mut sum = 0;\n    sum += 2;\n    sum\n", "x"));
    let expected = "old stands nowhere; line 3 of the file is `sum += 1;` where old has `sum += 2;`. The nearest lines of the file are\n     \
                    2\t    let mut sum = 0;\n     3\t    sum += 1;\n     4\t    sum";
    assert_eq!(reason, expected);
    let reason = refused(file, edit("fn total(items: Vec<Item>) -> u64 {", "x"));
    assert!(reason.contains("line 1 of the file is `fn total(items: &[Item]) -> u64 {`"), "{reason}");
    assert!(refused(file, edit("§§§ nothing alike", "x")).contains("read the file again"));
}

#[test]
fn an_edit_that_was_made_before_is_recognised() {
    assert!(refused("let a = 2;\n", edit("let a = 1;", "let a = 2;")).contains("done already"));
}

#[test]
fn what_is_not_touched_keeps_every_byte() {
    let endings = ["\n", "\r\n", "\n", "\r", "\r\n"];
    for seed in 0..200_usize {
        let lines: Vec<String> =
            (0..9).map(|i| format!("{}line {i} {}", " ".repeat((seed * i) % 5), "\t".repeat((seed + i) % 3))).collect();
        let ended = |i: usize, line: &str| format!("{line}{}", endings[(seed + i * (1 + seed % 4)) % endings.len()]);
        let content: String = lines.iter().enumerate().map(|(i, line)| ended(i, line)).collect();
        let target = seed % lines.len();
        let expected = content.replace(&lines[target], "changed");
        assert_eq!(edited(&content, &lines[target], "changed").0, expected, "seed {seed}");
    }
}

#[test]
fn a_whole_line_that_is_quoted_without_its_indentation_is_indented_with_all_that_takes_its_place() {
    let file = "def f(x):\n    return x\n";
    for (new, expected) in [
        ("log()\nreturn x\n", "def f(x):\n    log()\n    return x\n"),
        ("if x:\n    return x\n", "def f(x):\n    if x:\n        return x\n"),
        // Only the first line lacks it: what follows is as the file has it.
        ("log()\n    return x\n", "def f(x):\n    log()\n    return x\n"),
        ("return y\n", "def f(x):\n    return y\n"),
        ("    return y\n", "def f(x):\n    return y\n"),
        ("    return x\n", "def f(x):\n        return x\n"),
    ] {
        assert_eq!(edited(file, "return x\n", new).0, expected, "{new}");
    }
}

#[test]
fn a_whole_line_is_not_found_at_the_end_of_another() {
    let reason = refused("subtotal = 1\n", edit("total = 1\n", "total = 2\n"));
    assert!(reason.contains("line 1 of the file is `subtotal = 1`"), "{reason}");
    assert_eq!(edited("subtotal = 1\n", "total = 1", "total = 2").0, "subtotal = 2\n");
}

#[test]
fn a_line_with_look_alikes_that_comes_once_more_is_spelled_as_the_file_has_it() {
    let file = "- rust: stable\n  features: a\n- rust: beta\n";
    let old = "\u{2013} rust: stable\n  features: a\n\u{2013} rust: beta\n";
    let new = "\u{2013} rust: stable\n  features: b\n\u{2013} rust: stable\n  features: a\n\u{2013} rust: beta\n  note: \u{2013}\n";
    let edit = Edit { old: old.to_owned(), new: new.to_owned(), near_line: None, replace_all: false };
    let expected = "- rust: stable\n  features: b\n- rust: stable\n  features: a\n- rust: beta\n  note: \u{2013}\n";
    assert_eq!(apply(file, &[edit]).unwrap().0, expected);
}
