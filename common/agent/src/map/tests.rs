//! Maps of small repositories.

use super::*;

fn map_of(files: &[(&str, &str)], task: &str) -> Option<String> {
    let sources: Vec<(String, String)> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Index::of(&sources, 0).map(task)
}

#[test]
fn every_language_shows_its_definitions_and_not_what_is_inside_of_functions() {
    for (path, text, expected) in [
        (
            "a.rs",
            "pub struct Cart {\n    items: Vec<u8>,\n}\n\nimpl Cart {\n    /// Doc.\n    pub fn total(&self, rate: f64) -> u64 {\n        fn inner() {}\n        1\n    }\n}\n\npub trait Priced {\n    fn price(&self) -> u64;\n}\n\n#[cfg(test)]\nmod tests {\n    fn helper() {}\n}\n",
            "a.rs\n    1  pub struct Cart\n    5  impl Cart\n    7    pub fn total(&self, rate: f64) -> u64\n   13  pub trait Priced\n   14    fn price(&self) -> u64",
        ),
        (
            "a.py",
            "@cached\nclass Cart(Base):\n    async def total(\n        self,\n        rate: float,\n    ) -> int:\n        def inner(): ...\n        return 1\n\nLIMIT = 3\n",
            "a.py\n    2  class Cart(Base)\n    3    async def total( self, rate: float, ) -> int",
        ),
        (
            "a.ts",
            "export interface Priced { price(): number }\nexport type Rate = number | string;\nexport const total = (items: Item[]): number => {\n  const inner = () => 1;\n  return 1;\n};\nconst LIMIT = 3;\nexport abstract class Cart {\n  add(item: Item): void {}\n}\nexport enum Kind { A }\n",
            "a.ts\n    1  interface Priced\n    2  type Rate = number | string\n    3  total = (items: Item[]): number\n    8  abstract class Cart\n    9    add(item: Item): void\n   11  enum Kind",
        ),
        ("a.tsx", "export function Page({ id }: Props) {\n  return <b>{id}</b>;\n}\n", "a.tsx\n    1  function Page({ id }: Props)"),
        (
            "a.js",
            "class Cart extends Base {\n  total(rate) { return 1 }\n}\nfunction* walk(items) {}\nmodule.exports = { Cart };\n",
            "a.js\n    1  class Cart extends Base\n    2    total(rate)\n    4  function* walk(items)",
        ),
        (
            "a.go",
            "package a\n\ntype Cart struct {\n\tItems []Item\n}\n\nfunc (c *Cart) Total(rate float64) (int, error) {\n\treturn 1, nil\n}\n",
            "a.go\n    3  Cart struct\n    7  func (c *Cart) Total(rate float64) (int, error)",
        ),
        (
            "a.java",
            "package a;\n\npublic final class Cart implements Priced {\n    public Cart() {}\n    @Override\n    public long total(double rate) throws Oops {\n        return 1;\n    }\n    record Line(int a) {}\n}\n",
            "a.java\n    3  public final class Cart implements Priced\n    4    public Cart()\n    5    @Override public long total(double rate) throws Oops\n    9    record Line(int a)",
        ),
    ] {
        assert_eq!(map_of(&[(path, text)], "").as_deref(), Some(expected), "{path}");
    }
}

/// `money` is used by everybody, `edge` by nobody.
fn shop() -> Vec<(String, String)> {
    let mut files = vec![
        ("src/money.py".to_owned(), "def round_cents(value):\n    return value\n\ndef unused_helper():\n    pass\n".to_owned()),
        ("src/edge.py".to_owned(), "def weighted_split(parts):\n    return round_cents(parts)\n".to_owned()),
        ("tests/test_all.py".to_owned(), "def test_everything():\n    assert round_cents(1) and weighted_split([])\n".to_owned()),
    ];
    files.extend((0..40).map(|number| {
        (format!("src/part{number:02}.py"), format!("def part_{number:02}(value):\n    return round_cents(value) + round_cents(1)\n"))
    }));
    files
}

#[test]
fn what_the_rest_refers_to_comes_first_and_words_of_the_task_lift_what_bears_them() {
    let index = Index::of(&shop(), 0);
    let map = index.map("").unwrap();
    assert!(map.starts_with("src/money.py\n    1  def round_cents(value)\n    4  def unused_helper()\nsrc/edge.py\n"), "{map}");
    let first = |task: &str| index.map(task).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(first("The split by weighted_split is wrong"), "src/edge.py");
    assert_eq!(first("See src/part07.py"), "src/part07.py");
    assert_eq!(first("The totals are off"), "src/money.py");
    assert_eq!(index.map("").unwrap(), Index::of(&shop(), 0).map("").unwrap());
}

#[test]
fn a_map_keeps_to_its_budget_and_says_what_it_does_not_show() {
    let mut files = shop();
    files.extend((0..400).map(|number| (format!("more/{number:03}.py"), format!("def more_{number:03}():\n    pass\n"))));
    let map = Index::of(&files, 7).map("").unwrap();
    assert!((BUDGET_BYTES - 400..=BUDGET_BYTES).contains(&map.len()), "{} bytes", map.len());
    let last = map.lines().last().unwrap();
    let shown = map.lines().filter(|line| line.ends_with(".py")).count();
    let expected = format!("(not shown: {} source files more, 7 that were not read, since the repository or they are large)", 443 - shown);
    assert_eq!(last, expected);
}

#[test]
fn files_are_chosen_from_the_root_on_up_to_a_number_and_a_size() {
    let many: Vec<(String, u64)> = (0..MOST_FILES + 5).map(|number| (format!("deep/er/{number:05}.rs"), 100)).collect();
    let mut files: Vec<(&str, u64)> = many.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    files.extend([("z.rs", 10), ("README.md", 10), ("huge.py", MOST_FILE_BYTES + 1), ("node_modules/a/b.js", 10), ("a.min.js", 10)]);
    let Choice { chosen, passed_over } = choose(files.iter().copied());
    assert_eq!((chosen.len(), files[chosen[0]].0, passed_over), (MOST_FILES, "z.rs", 7));
    let large = vec![("a.rs", MOST_FILE_BYTES); 100];
    assert_eq!(choose(large), Choice { chosen: (0..16).collect(), passed_over: 84 });
}

#[test]
fn broken_binary_and_machine_written_text_is_no_burden() {
    let long = format!("var a = {{{}}};", "b: 1,".repeat(20_000));
    assert_eq!(map_of(&[("bundle.js", &long), ("b.py", "\0\u{fffd}\u{202e}("), ("c.go", "")], "x"), None);
    let broken = "def good(a):\n    return (\n\ndef after(b):\n    pass\n";
    assert!(map_of(&[("a.py", broken)], "").unwrap().contains("def good(a)"));
    let deep = format!("x = {}{}", "(".repeat(20_000), ")".repeat(20_000));
    assert_eq!(map_of(&[("deep.py", &deep[..deep.len().min(4_900)])], ""), None);
    let wide = format!("def f({}):\n    pass\n", "abc, ".repeat(200));
    assert!(map_of(&[("w.py", &wide)], "").unwrap().ends_with('…'));
}
