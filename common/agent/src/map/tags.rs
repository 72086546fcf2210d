//! What one file defines and which names it uses.

use std::collections::BTreeMap;

use tree_sitter::{Node, Parser};

use super::language::Language;

/// The longest signature that is shown, in characters.
const MOST_CHARS: usize = 140;
/// The most definitions of one file that are kept.
const MOST_DEFINITIONS: usize = 300;
/// A line that is longer was written by a machine.
const LONGEST_LINE: usize = 5_000;

/// A definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Definition {
    /// Empty for what only holds others, such as an `impl` of Rust.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// How it begins, up to its body, in one line.
    pub signature: String,
    /// The definition around it, by its place in the list.
    pub within: Option<usize>,
}

/// What a file says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tags {
    /// In the order of the file.
    pub definitions: Vec<Definition>,
    /// How often it uses a name.
    pub uses: BTreeMap<String, u32>,
}

/// Reads a file. Text that does not fit the grammar is read as far as it does; what no person wrote has no tags.
pub(super) fn read(language: &Language, text: &str) -> Tags {
    let mut tags = Tags::default();
    let mut parser = Parser::new();
    if text.lines().any(|line| line.len() > LONGEST_LINE) || parser.set_language(&(language.grammar)()).is_err() {
        return tags;
    }
    let Some(tree) = parser.parse(text, None) else { return tags };
    let mut walk = Walk { language, text, tags: &mut tags };
    let mut cursor = tree.walk();
    // What the node lies in, the innermost last, each with the depth of the node that began it.
    let mut around: Vec<(Around, usize)> = Vec::new();
    let mut depth = 0;
    loop {
        let inside = walk.enter(cursor.node(), around.last().map_or(Around::Nothing, |(around, _)| *around));
        if cursor.goto_first_child() {
            around.extend(inside.map(|inside| (inside, depth)));
            depth += 1;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return tags;
            }
            depth -= 1;
            around.pop_if(|(_, at)| *at == depth);
        }
    }
}

/// What a node lies in.
#[derive(Clone, Copy)]
enum Around {
    /// The file.
    Nothing,
    /// A definition, by its place in the list.
    Definition(usize),
    /// The inside of a function, where nothing is defined for others.
    Body,
}

struct Walk<'a> {
    language: &'a Language,
    text: &'a str,
    tags: &'a mut Tags,
}

impl Walk<'_> {
    /// Notes what `node` is; `Some` = what its children lie in, where that is something else.
    fn enter(&mut self, node: Node<'_>, around: Around) -> Option<Around> {
        if node.child_count() == 0 {
            self.note_use(node);
            return None;
        }
        let kind = node.kind();
        let within = match around {
            Around::Body => return None,
            _ if self.language.bodies.contains(&kind) => return Some(Around::Body),
            Around::Definition(index) => Some(index),
            Around::Nothing => None,
        };
        let name = self.name(node)?;
        if self.tags.definitions.len() == MOST_DEFINITIONS {
            return None;
        }
        let signature = self.signature(node);
        self.tags.definitions.push(Definition { name, line: node.start_position().row + 1, signature, within });
        let is_function = ["function", "method", "constructor", "variable"].iter().any(|part| kind.contains(part));
        Some(if is_function { Around::Body } else { Around::Definition(self.tags.definitions.len() - 1) })
    }

    /// The name that `node` defines; empty for a container, `None` for everything else.
    fn name(&self, node: Node<'_>) -> Option<String> {
        if self.language.containers.contains(&node.kind()) {
            return Some(String::new());
        }
        if !self.language.definitions.contains(&node.kind()) {
            return None;
        }
        // `const total = (items) => …` defines a function, `const total = 3` nothing that is worth a line.
        if node.kind() == "variable_declarator" && !node.child_by_field_name("value")?.kind().contains("function") {
            return None;
        }
        let name = node.child_by_field_name("name")?;
        Some(self.text.get(name.byte_range())?.to_owned())
    }

    fn signature(&self, node: Node<'_>) -> String {
        let value = node.child_by_field_name("value").filter(|value| value.kind().contains("function"));
        let body = value.unwrap_or(node).child_by_field_name("body");
        let end = body.map_or(node.end_byte(), |body| body.start_byte());
        let head = self.text.get(node.start_byte()..end).unwrap_or_default();
        // Without a body the first line tells what it is.
        let head = if body.is_some() { head } else { head.lines().next().unwrap_or_default() };
        let words: Vec<&str> = head.split_whitespace().collect();
        let line = words.join(" ");
        let line = line.trim_end_matches(['{', ':', '=', ' ', ';']).trim_end_matches("=>").trim_end();
        let shown: String = line.chars().take(MOST_CHARS).map(|char| if char.is_control() { ' ' } else { char }).collect();
        if shown.len() < line.len() { format!("{shown}…") } else { shown }
    }

    /// Counts a name, whatever kind of name it is. The one in a definition is counted too: it is the file's own.
    fn note_use(&mut self, node: Node<'_>) {
        if !node.kind().ends_with("identifier") {
            return;
        }
        // One or two letters are variables, which every file has.
        if let Some(name) = self.text.get(node.byte_range()).filter(|name| name.len() > 2) {
            match self.tags.uses.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    self.tags.uses.insert(name.to_owned(), 1);
                }
            }
        }
    }
}
