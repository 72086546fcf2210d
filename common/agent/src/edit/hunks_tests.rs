use super::*;

fn hunk(old: &[&str], new: &[&str]) -> Hunk {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Hunk { old: owned(old), new: owned(new), ..Hunk::default() }
}

fn patched(content: &str, hunks: &[Hunk]) -> String {
    apply_hunks(content, hunks).unwrap().0
}

fn refused(content: &str, hunks: &[Hunk]) -> String {
    apply_hunks(content, hunks).unwrap_err().to_string()
}

#[test]
fn hunks_stand_on_whole_lines() {
    assert_eq!(patched("ab\nb\nbc\n", &[hunk(&["b"], &["x"])]), "ab\nx\nbc\n");
    let reason = refused("ab\n", &[hunk(&["b"], &["x"])]);
    assert!(reason.contains("the hunk stands nowhere"), "{reason}");
}

#[test]
fn several_hunks_are_made_together_and_their_contexts_may_overlap() {
    let hunks = [hunk(&["a", "b", "c"], &["a", "B", "c"]), hunk(&["c", "d", "e"], &["c", "D", "e"])];
    assert_eq!(patched("a\nb\nc\nd\ne\n", &hunks), "a\nB\nc\nD\ne\n");
    let same = [hunk(&["a", "b"], &["a", "B"]), hunk(&["b", "c"], &["x", "c"])];
    assert_eq!(refused("a\nb\nc\n", &same), "edit 2: it changes lines that hunk 1 changes too; make one hunk of both");
}

#[test]
fn a_hunk_that_fits_several_places_belongs_between_its_neighbours() {
    let file = "x\na\nx\nb\nx\n";
    let hunks = [hunk(&["a"], &["A"]), hunk(&["x"], &["X"]), hunk(&["b"], &["B"])];
    assert_eq!(patched(file, &hunks), "x\nA\nX\nB\nx\n");
    assert_eq!(
        refused(file, &[hunk(&["x"], &["X"])]),
        "edit 1: it fits 3 places (lines 1, 3, 5); give more lines of context, the lines above it after @@, or its line as in `@@ line 120`"
    );
    let all = [hunk(&["x"], &["1"]), hunk(&["x"], &["2"]), hunk(&["x"], &["3"])];
    assert_eq!(patched(file, &all), "1\na\n2\nb\n3\n");
    assert!(refused(file, &all[..2]).contains("it fits 3 places"));
}

#[test]
fn anchors_tell_equal_places_apart() {
    let file = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n";
    let with = |anchors: &[&str]| Hunk {
        anchors: anchors.iter().map(|anchor| (*anchor).to_owned()).collect(),
        ..hunk(&["        return 1"], &["        return 2"])
    };
    let line = |anchors: &[&str]| apply_hunks(file, &[with(anchors)]).map(|(_, applied)| applied[0].line);
    assert_eq!(line(&["class B:"]), Ok(10));
    assert_eq!(line(&["class A", "def g(self):"]), Ok(6));
    assert_eq!(line(&["class A:", "def f"]), Ok(3));
    assert!(line(&["class A:"]).unwrap_err().reason.contains("2 places (lines 3, 6)"));
    assert!(line(&["def f(self):"]).unwrap_err().reason.contains("2 places (lines 3, 10)"));
    assert!(line(&["class C:"]).is_err());
    // Where the lines themselves tell the place, a wrong anchor does no harm.
    let unique = Hunk { anchors: vec!["class C:".to_owned()], ..hunk(&["    def g(self):"], &["    def h(self):"]) };
    assert!(patched(file, &[unique]).contains("def h"));
}

#[test]
fn what_is_only_alike_is_not_taken_above_what_an_anchor_names() {
    let file = "class A:\n    x = 1\n\nclass B:\n    y = 1\n";
    let hunk = |anchor: &str| Hunk { anchors: vec![anchor.to_owned()], ..hunk(&["x = 1"], &["x = 2"]) };
    assert_eq!(patched(file, &[hunk("class A")]), file.replace("x = 1", "x = 2"));
    assert!(refused(file, &[hunk("class B")]).contains("begins at line 2, above what its @@ names"));
}

#[test]
fn a_line_number_decides_only_when_it_is_much_nearer_to_one_place() {
    let file = format!("x\n{}x\n", "a\n".repeat(18));
    let near = |line| Hunk { near_line: Some(line), ..hunk(&["x"], &["y"]) };
    assert_eq!(apply_hunks(&file, &[near(15)]).unwrap().1[0].line, 20);
    assert_eq!(
        refused(&file, &[near(11)]),
        "edit 1: it fits 2 places (lines 1, 20), none of which is clearly the one nearest to line 11; give more lines of context"
    );
    let file = format!("x\n{}x\n", "a\n".repeat(400));
    assert_eq!(apply_hunks(&file, &[near(302)]).unwrap().1[0].line, 402);
    assert!(refused(&file, &[near(301)]).contains("fits 2 places"), "nobody means a place so far away");
}

#[test]
fn a_line_number_never_makes_a_place() {
    let near = |line, hunk: Hunk| Hunk { near_line: Some(line), ..hunk };
    let file = format!("    x\n{}", "a\n".repeat(300));
    // What stands once, as it is quoted, is meant wherever it stands: numbers are often wrong.
    assert_eq!(apply_hunks(&file, &[near(290, hunk(&["    x"], &["y"]))]).unwrap().1[0].line, 1);
    assert_eq!(
        refused(&file, &[near(22, hunk(&["  x"], &["  y"]))]),
        "edit 1: what is like it, but not the same, begins at line 1, far from line 22; quote it as it stands, or leave the number out"
    );
    assert!(patched(&file, &[near(21, hunk(&["  x"], &["  y"]))]).starts_with("    y\n"));
    assert!(refused(&file, &[near(1, hunk(&["z"], &["y"]))]).contains("stands nowhere"));
}

#[test]
fn a_line_number_that_contradicts_the_order_of_hunks_changes_nothing() {
    let file = format!("x\n{}b\n{}x\n", "a\n".repeat(20), "a\n".repeat(20));
    let near = |line| Hunk { near_line: Some(line), ..hunk(&["x"], &["y"]) };
    let other = hunk(&["b"], &["B"]);
    assert_eq!(patched(&file, &[near(2), other.clone()]), file.replacen('x', "y", 1).replace('b', "B"));
    assert_eq!(
        refused(&file, &[near(42), other.clone()]),
        "edit 1: its line number means the place at line 43, and its order among the hunks the one at line 1; give more lines of context"
    );
    // Where the number says nothing, the order does.
    assert!(patched(&file, &[near(22), other]).starts_with("y\n"));
}

#[test]
fn a_line_number_may_be_given_like_an_anchor() {
    let file = format!("class A:\n    x\n{}    x\n", "    a\n".repeat(20));
    let with =
        |anchors: &[&str]| Hunk { anchors: anchors.iter().map(|anchor| (*anchor).to_owned()).collect(), ..hunk(&["    x"], &["    y"]) };
    let line = |anchors: &[&str]| apply_hunks(&file, &[with(anchors)]).map(|(_, applied)| applied[0].line);
    for number in ["line 22", "line 22:", "lines 22-25", "lines 22, 23"] {
        assert_eq!(line(&[number]), Ok(23), "{number}");
    }
    assert_eq!(line(&["class A:", "line 3"]), Ok(2));
    for words in ["line", "line twenty", "line 0", "line 22 of the file"] {
        assert!(line(&[words]).unwrap_err().reason.contains("2 places"), "{words}");
    }
    // Text that has these words is what is meant.
    let poem = format!("x\n{}line 2\nx\n", "a\n".repeat(20));
    let hunk = Hunk { anchors: vec!["line 2".to_owned()], ..hunk(&["x"], &["y"]) };
    assert_eq!(apply_hunks(&poem, &[hunk]).unwrap().1[0].line, 23);
}

#[test]
fn the_end_of_the_file_is_preferred_where_the_hunk_says_so() {
    let end = Hunk { at_end: true, ..hunk(&["x"], &["y"]) };
    assert_eq!(patched("x\nx\n", std::slice::from_ref(&end)), "x\ny\n");
    assert_eq!(patched("x\na\n", &[end]), "y\na\n");
}

#[test]
fn lines_without_context_need_to_say_where() {
    let add = hunk(&[], &["new"]);
    assert!(refused("a\n", std::slice::from_ref(&add)).contains("does not say where"));
    assert_eq!(patched("", std::slice::from_ref(&add)), "new\n");
    assert_eq!(patched("a\nb", &[Hunk { at_end: true, ..add.clone() }]), "a\nb\nnew");
    assert_eq!(patched("a\nb\n", &[Hunk { anchors: vec!["a".to_owned()], ..add.clone() }]), "a\nnew\nb\n");
    assert_eq!(patched("a\r\nb\r\n", &[Hunk { anchors: vec!["a".to_owned()], ..add.clone() }]), "a\r\nnew\r\nb\r\n");
    assert!(refused("a\nb\n", &[Hunk { near_line: Some(1), ..add.clone() }]).contains("does not say where"));
    assert!(refused("a\na\n", &[Hunk { anchors: vec!["a".to_owned()], ..add.clone() }]).contains("several places"));
    assert!(refused("a\n", &[Hunk { anchors: vec!["z".to_owned()], ..add }]).contains("nowhere in the file"));
}

#[test]
fn an_empty_line_that_only_sets_hunks_apart_is_no_part_of_them() {
    let loose = Hunk { loose_end: 1, ..hunk(&["a", ""], &["A", ""]) };
    assert_eq!(patched("a\nb\n", std::slice::from_ref(&loose)), "A\nb\n");
    assert_eq!(patched("a\n\nb\n", &[loose]), "A\n\nb\n");
}

#[test]
fn a_missing_final_newline_and_line_endings_are_kept() {
    assert_eq!(patched("a\nb", &[hunk(&["b"], &["x", "y"])]), "a\nx\ny");
    assert_eq!(patched("a\nb", &[hunk(&["a", "b"], &["a"])]), "a");
    assert_eq!(patched("a\nb", &[hunk(&["a", "b"], &["a", "b"])]), "a\nb");
    assert_eq!(patched("\u{feff}a\r\nb\r\nc\n", &[hunk(&["a", "b"], &["a", "x", "y"])]), "\u{feff}a\r\nx\r\ny\r\nc\n");
}

#[test]
fn lines_that_differ_in_indentation_are_indented_as_the_file_is() {
    let (content, applied) = apply_hunks("if a:\n\tb()\n\tc()\n", &[hunk(&["    b()"], &["    if d:", "        b()"])]).unwrap();
    assert_eq!((content.as_str(), applied[0].how), ("if a:\n\tif d:\n\t\tb()\n\tc()\n", Match::Indentation));
}

#[test]
fn the_line_directly_below_an_anchor_belongs_to_it() {
    let file = "name = \"a\"\nversion = 1\n\nname = \"b\"\nversion = 1\n";
    let below = Hunk { anchors: vec!["name = \"b\"".to_owned()], ..hunk(&["version = 1"], &["version = 2"]) };
    assert_eq!(patched(file, &[below]), "name = \"a\"\nversion = 1\n\nname = \"b\"\nversion = 2\n");
}

#[test]
fn a_block_goes_on_behind_what_only_continues_its_first_line() {
    let file = "impl A\nwhere\n    T: X,\n{\n    fn f() {}\n}\nimpl B\nwhere\n    T: X,\n{\n    fn f() {}\n}\n";
    let inside = |anchor: &str| Hunk { anchors: vec![anchor.to_owned()], ..hunk(&["    fn f() {}"], &["    fn g() {}"]) };
    assert_eq!(apply_hunks(file, &[inside("impl A")]).unwrap().1[0].line, 5);
    assert_eq!(apply_hunks(file, &[inside("impl B")]).unwrap().1[0].line, 11);
}

#[test]
fn what_is_the_same_elsewhere_is_not_taken_for_what_is_alike_where_the_anchor_says() {
    let file = "/// a\n/// b\nfn x() {}\n\nimpl A {\n    /// a\n    /// b\n    fn x() {}\n}\n";
    let flat = hunk(&["/// a", "/// b"], &["/// a", "/// c"]);
    let anchored = Hunk { anchors: vec!["impl A {".to_owned()], ..flat.clone() };
    assert_eq!(patched(file, &[anchored]), file.replace("    /// b", "    /// c"));
    // Without an anchor nobody can tell whether it lost its indentation.
    assert!(refused(file, &[flat]).contains("it fits 2 places (lines 1, 6)"));
    let indented = hunk(&["    /// a", "    /// b"], &["    /// a", "    /// c"]);
    assert_eq!(patched(file, &[indented]), file.replace("    /// b", "    /// c"));
}
