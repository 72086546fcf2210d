//! Which tools each kind of job has.

use domain::Kind;

use super::{Toolbox, finish, list_files, read_file, search, shell, show_diff};

/// The tools of every kind of job. What is to change nothing is offered no tool that writes.
pub struct Toolboxes {
    change: Toolbox,
    review: Toolbox,
    answer: Toolbox,
}

impl Toolboxes {
    /// The tools that jobs have without any port.
    pub fn standard() -> Self {
        let reading = || Toolbox::default().with(read_file::ReadFile).with(list_files::ListFiles).with(search::Search).with(shell::Shell);
        Self {
            change: Toolbox::standard(),
            review: reading().with(show_diff::ShowDiff).with(finish::FinishWork { with_comments: true }),
            answer: reading().with(finish::FinishWork { with_comments: false }),
        }
    }

    /// Those of one kind.
    pub fn of(&self, kind: Kind) -> &Toolbox {
        match kind {
            Kind::Change => &self.change,
            Kind::Review => &self.review,
            Kind::Analysis | Kind::Question => &self.answer,
        }
    }
}
