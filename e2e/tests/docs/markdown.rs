//! As much of Markdown as our documents use.

/// A document, taken apart.
pub(super) struct Document {
    /// Its path from the root.
    pub path: String,
    /// What stands between fences, without them.
    pub blocks: Vec<Vec<String>>,
    /// Everything else in one line for each paragraph, list item or row of a table.
    pub paragraphs: Vec<String>,
}

impl Document {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut document = Self { path: path.to_owned(), blocks: Vec::new(), paragraphs: Vec::new() };
        let (mut fenced, mut open) = (false, false);
        for line in text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
                open = false;
                if fenced {
                    document.blocks.push(Vec::new());
                }
            } else if fenced {
                document.blocks.last_mut().expect("a fence was opened").push(line.to_owned());
            } else if line.trim().is_empty() {
                open = false;
            } else {
                let begins = ["| ", "- ", "#"].iter().any(|mark| line.starts_with(mark)) || is_numbered(line);
                match document.paragraphs.last_mut() {
                    Some(paragraph) if open && !begins => {
                        paragraph.push(' ');
                        paragraph.push_str(line.trim());
                    }
                    _ => document.paragraphs.push(line.to_owned()),
                }
                open = true;
            }
        }
        assert!(!fenced, "{path}: a fence is not closed");
        document
    }

    /// What is set as code within the text.
    pub(super) fn spans(&self) -> impl Iterator<Item = &str> {
        self.paragraphs.iter().flat_map(|paragraph| spans(paragraph))
    }

    /// The command lines of its blocks, continued lines in one piece, without what is only a remark.
    pub(super) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        for block in &self.blocks {
            let mut goes_on = false;
            for line in block {
                let begins = line.strip_prefix("$ ");
                let Some(line) = begins.or(goes_on.then_some(line.trim_start())) else { continue };
                let line = line.split(" #").next().unwrap_or_default().trim_end();
                if begins.is_some() {
                    commands.push(String::new());
                }
                goes_on = line.ends_with('\\');
                let command = commands.last_mut().expect("a command begins with $");
                command.push_str(line.trim_end_matches('\\'));
            }
        }
        commands
    }

    /// The rows of the table whose first row is `header`, without that and the rule below it.
    pub(super) fn table(&self, header: &str) -> Vec<Vec<&str>> {
        let start = self.paragraphs.iter().position(|line| line == header);
        let start = start.unwrap_or_else(|| panic!("{}: no table begins with {header}", self.path));
        let rows = self.paragraphs[start..].iter().skip(2).take_while(|line| line.starts_with("| "));
        rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect()).collect()
    }

    /// Where its links lead.
    pub(super) fn links(&self) -> impl Iterator<Item = &str> {
        let targets = |paragraph: &'_ str| paragraph.match_indices("](").map(|(at, _)| at + 2).collect::<Vec<_>>();
        self.paragraphs
            .iter()
            .flat_map(move |paragraph| targets(paragraph).into_iter().map(|start| paragraph[start..].split(')').next().unwrap_or_default()))
    }
}

/// What stands between backticks.
pub(super) fn spans(paragraph: &str) -> impl Iterator<Item = &str> {
    assert!(paragraph.matches('`').count().is_multiple_of(2), "a backtick is alone in: {paragraph}");
    paragraph.split('`').skip(1).step_by(2)
}

fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
