use super::*;

fn update(patch: &str) -> Hunk {
    match parse(patch).unwrap().as_slice() {
        [Section::Update { hunks, .. }] => match hunks.as_slice() {
            [hunk] => hunk.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn refused(patch: &str) -> String {
    parse(patch).unwrap_err().to_string()
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const WHOLE: &str = "*** Begin Patch
*** Add File: a/new.py
+one
+
+  two
*** Update File: old.py
*** Move to: renamed.py
@@ class Basket
@@     def total(self):
 before
-gone
+come
 after
*** End of File
*** Delete File: obsolete.py
*** End Patch
";

fn whole() -> Vec<Section> {
    vec![
        Section::Add { path: "a/new.py".to_owned(), content: "one\n\n  two\n".to_owned() },
        Section::Update {
            path: "old.py".to_owned(),
            move_to: Some("renamed.py".to_owned()),
            hunks: vec![Hunk {
                anchors: lines(&["class Basket", "def total(self):"]),
                old: lines(&["before", "gone", "after"]),
                new: lines(&["before", "come", "after"]),
                at_end: true,
                ..Hunk::default()
            }],
        },
        Section::Delete { path: "obsolete.py".to_owned() },
    ]
}

#[test]
fn a_patch_has_any_number_of_files_and_all_that_can_happen_to_them() {
    assert_eq!(parse(WHOLE).unwrap(), whole());
}

#[test]
fn the_wrappings_that_models_put_around_it_are_taken_off() {
    let inner = WHOLE.trim_end();
    for wrapped in [
        inner.to_owned(),
        inner.replace('\n', "\r\n"),
        format!("\n\n{inner}\n\n"),
        format!("apply_patch <<'EOF'\n{inner}\nEOF\n"),
        format!("<<\"PATCH\"\n{inner}\nPATCH"),
        format!("```diff\n{inner}\n```\n"),
        format!("Here is the patch:\n\n{inner}\n\nIt mends the total."),
        inner.replace("\n*** End Patch", ""),
        format!("apply_patch <<-'EOF'\n{}\nEOF", inner.replace("\n*** End Patch", "")),
        inner.replace("*** Begin Patch\n", ""),
        inner.replace("*** Delete", "*** End Patch\n*** Begin Patch\n*** Delete"),
        inner.replace("*** Delete", "\n*** Delete"),
    ] {
        assert_eq!(parse(&wrapped).unwrap(), whole(), "{wrapped}");
    }
}

#[test]
fn the_first_hunk_may_lack_its_mark_and_empty_lines_their_space() {
    let hunk = update("*** Begin Patch\n*** Update File: a\n one\n\n-two\n+2\n\n*** End Patch");
    let expected = Hunk { old: lines(&["one", "", "two", ""]), new: lines(&["one", "", "2", ""]), loose_end: 1, ..Hunk::default() };
    assert_eq!(hunk, expected);
}

#[test]
fn context_without_its_space_is_context() {
    let hunk = update("*** Begin Patch\n*** Update File: a\n@@\ndef f():\n-    a\n+    b\n*** End Patch");
    assert_eq!((hunk.old, hunk.new), (lines(&["def f():", "    a"]), lines(&["def f():", "    b"])));
}

#[test]
fn headers_of_a_unified_diff_are_understood() {
    let hunk = update("*** Begin Patch\n*** Update File: a\n--- a/a\n+++ b/a\n@@ -12,3 +12,4 @@ fn main() {\n-x\n+y\n*** End Patch");
    let expected =
        Hunk { anchors: lines(&["fn main() {"]), near_line: Some(12), old: lines(&["x"]), new: lines(&["y"]), ..Hunk::default() };
    assert_eq!(hunk, expected);
    for bare in ["@@ ... @@", "@@", "@@ @@", "@@ …"] {
        let hunk = update(&format!("*** Begin Patch\n*** Update File: a\n{bare}\n-x\n+y\n*** End Patch"));
        assert_eq!((hunk.anchors, hunk.near_line), (Vec::new(), None), "{bare}");
    }
    for (header, line, anchors) in [
        ("@@ -12,7 +12,8 @@", Some(12), &[][..]),
        ("@@ -12,7 +12,8", Some(12), &[]),
        ("@@ -12 +12 @@", Some(12), &[]),
        ("@@ -12 @@ fn main() {", Some(12), &["fn main() {"]),
        ("@@ -0,0 +1,3 @@", None, &[]),
        ("@@ class Basket\n@@ -12,7 +12,8 @@     def total(self):", Some(12), &["class Basket", "def total(self):"]),
        ("@@ class Basket @@ def total(self): @@", None, &["class Basket", "def total(self):"]),
        // What only looks like them is text: an item of a list, a variable of Ruby.
        ("@@ - 12 eggs", None, &["- 12 eggs"]),
        ("@@ -12 eggs", None, &["-12 eggs"]),
        ("@@ -1 +x", None, &["-1 +x"]),
        ("@@ @@total = 0", None, &["@@total = 0"]),
    ] {
        let hunk = update(&format!("*** Begin Patch\n*** Update File: a\n{header}\n-x\n+y\n*** End Patch"));
        assert_eq!((hunk.near_line, hunk.anchors), (line, lines(anchors)), "{header}");
    }
    // Inside a hunk such lines are text: a list's rule and a counter.
    let hunk = update("*** Begin Patch\n*** Update File: a\n@@\n--- x\n+++ y\n*** End Patch");
    assert_eq!((hunk.old, hunk.new), (lines(&["-- x"]), lines(&["++ y"])));
}

#[test]
fn marks_inside_of_a_file_are_text() {
    let hunk = update("*** Begin Patch\n*** Update File: a\n@@\n *** End Patch\n-*** Add File: x\n+*** Begin Patch\n*** End Patch");
    assert_eq!(hunk.old, lines(&["*** End Patch", "*** Add File: x"]));
    assert_eq!(hunk.new, lines(&["*** End Patch", "*** Begin Patch"]));
}

#[test]
fn a_new_file_ends_where_it_says() {
    let content = |body: &str| match parse(&format!("*** Begin Patch\n*** Add File: a\n{body}*** End Patch")).unwrap().remove(0) {
        Section::Add { content, .. } => content,
        other => panic!("{other:?}"),
    };
    assert_eq!(content("+a\n\n+b\n\n"), "a\n\nb\n");
    assert_eq!(content("+a\n+\n"), "a\n\n");
    assert_eq!(content("+a\n\\ No newline at end of file\n"), "a");
    assert_eq!(content(""), "");
}

#[test]
fn what_is_no_patch_is_refused_with_the_line() {
    assert_eq!(
        refused("diff --git a/x b/x\n"),
        "line 1 of the patch: a patch begins with `*** Begin Patch`, and this one with `diff --git a/x b/x`"
    );
    assert_eq!(refused("*** Begin Patch\n*** End Patch"), "line 1 of the patch: there is nothing between its marks");
    let no_plus = refused("*** Begin Patch\n*** Add File: a\n+one\ntwo\n*** End Patch");
    assert_eq!(no_plus, "line 4 of the patch: every line of a new file begins with +, and this is `two`");
    let no_hunk = refused("*** Begin Patch\n*** Update File: a\n@@\n*** End Patch");
    assert_eq!(no_hunk, "line 2 of the patch: nothing is changed in this file: give its hunks, each after a line `@@`");
    assert!(refused("*** Begin Patch\n*** Rename File: a\n*** End Patch").contains("`*** Rename File: a` begins no file"));
    assert!(
        refused("*** Begin Patch\n*** Update File: a\n@@\n-x\n*** Mode: 755\n*** End Patch")
            .starts_with("line 5 of the patch: `*** Mode: 755` has no meaning")
    );
    assert!(refused("*** Begin Patch\n*** Delete File: a\n-x\n*** End Patch").starts_with("line 3 of the patch: nothing follows"));
}
