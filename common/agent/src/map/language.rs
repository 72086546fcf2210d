//! The languages of the map: by the ending of a file's name, with the nodes of their grammars that define something.

use tree_sitter::Language as Grammar;

/// What the map knows of a language.
pub(super) struct Language {
    pub grammar: fn() -> Grammar,
    /// Kinds of nodes that define what their field `name` says.
    pub definitions: &'static [&'static str],
    /// Kinds of nodes that hold definitions without having a name of their own.
    pub containers: &'static [&'static str],
    /// Kinds of nodes in which nothing is looked for: what a function defines within is nobody else's.
    pub bodies: &'static [&'static str],
}

/// The language of the file at `path`.
pub(super) fn of(path: &str) -> Option<&'static Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, ending) = name.rsplit_once('.')?;
    // What a bundler wrote.
    if stem.ends_with(".min") {
        return None;
    }
    match ending {
        "rs" => Some(&RUST),
        "py" | "pyi" => Some(&PYTHON),
        "js" | "jsx" | "mjs" | "cjs" => Some(&JAVASCRIPT),
        "ts" | "mts" | "cts" => Some(&TYPESCRIPT),
        "tsx" => Some(&TSX),
        "go" => Some(&GO),
        "java" => Some(&JAVA),
        _ => None,
    }
}

static RUST: Language = Language {
    grammar: || tree_sitter_rust::LANGUAGE.into(),
    definitions: &[
        "const_item",
        "enum_item",
        "function_item",
        "function_signature_item",
        "macro_definition",
        "static_item",
        "struct_item",
        "trait_item",
        "type_item",
        "union_item",
    ],
    containers: &["impl_item"],
    // Modules are mostly files; those within one hold its tests.
    bodies: &["block", "mod_item"],
};

static PYTHON: Language = Language {
    grammar: || tree_sitter_python::LANGUAGE.into(),
    definitions: &["class_definition", "function_definition"],
    containers: &[],
    bodies: &[],
};

const SCRIPT: &[&str] = &[
    "abstract_class_declaration",
    "class_declaration",
    "enum_declaration",
    "function_declaration",
    "function_signature",
    "generator_function_declaration",
    "interface_declaration",
    "method_definition",
    "type_alias_declaration",
    "variable_declarator",
];

static JAVASCRIPT: Language =
    Language { grammar: || tree_sitter_javascript::LANGUAGE.into(), definitions: SCRIPT, containers: &[], bodies: &["statement_block"] };

static TYPESCRIPT: Language = Language { grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(), ..JAVASCRIPT };

static TSX: Language = Language { grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(), ..JAVASCRIPT };

static GO: Language = Language {
    grammar: || tree_sitter_go::LANGUAGE.into(),
    definitions: &["function_declaration", "method_declaration", "type_alias", "type_spec"],
    containers: &[],
    bodies: &["block"],
};

static JAVA: Language = Language {
    grammar: || tree_sitter_java::LANGUAGE.into(),
    definitions: &[
        "annotation_type_declaration",
        "class_declaration",
        "constructor_declaration",
        "enum_declaration",
        "interface_declaration",
        "method_declaration",
        "record_declaration",
    ],
    containers: &[],
    bodies: &["block", "constructor_body"],
};
