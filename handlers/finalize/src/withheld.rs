//! Looking through a change before it leaves.

use std::collections::HashSet;

use config::failure;
use dispatch::HandlerError;
use git::{Changed, Checkout, GitError, TreeId};
use github::words::{KeptBack, Language};
use redact::Redactor;

/// Kinds that ordinary code has in its tests and examples: worth hiding from a log, not worth a person's work.
const ORDINARY: &[&str] = &["url-password", "authorization", "jwt"];

/// Why `tree` must not be pushed: a file or its name holds a secret of this process in whatever form, or a token of a
/// known format that nothing in the base's own version of the changed files holds. `None` = it may.
pub(crate) async fn reason(checkout: &Checkout, tree: &TreeId, language: Language) -> Result<Option<String>, HandlerError> {
    match checkout.changed(tree).await {
        Ok(files) => Ok(of_files(Redactor::of_process(), &files, language)),
        Err(GitError::TooLarge { limit_bytes, .. }) => Ok(Some(KeptBack::TooLarge { most_mib: limit_bytes >> 20 }.sentence(language))),
        Err(error) => Err(failure::of_git(error)),
    }
}

fn of_files(redactor: &Redactor, files: &[Changed], language: Language) -> Option<String> {
    let mut known = HashSet::new();
    for file in files {
        let before = String::from_utf8_lossy(&file.before);
        known.extend(redactor.find(&before).into_iter().map(|finding| before[finding.range].to_owned()));
    }
    for file in files {
        let (after, name) = (String::from_utf8_lossy(&file.after), redactor.text(&file.path));
        for text in [after.as_ref(), &file.path] {
            for finding in redactor.find(text) {
                let kind = &finding.kind;
                if finding.is_live {
                    return Some(KeptBack::Secret { path: &name, kind }.sentence(language));
                }
                if !ORDINARY.contains(&kind.as_str()) && !known.contains(&text[finding.range]) {
                    return Some(KeptBack::LooksSecret { path: &name, kind }.sentence(language));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;

    fn file(path: &str, before: &str, after: &str) -> Changed {
        Changed { path: path.to_owned(), before: before.into(), after: after.into() }
    }

    #[test]
    fn a_change_with_a_secret_is_withheld_and_names_file_and_kind() {
        let redactor = Redactor::new();
        redactor.register("DEPLOY_KEY", &Secret::new("kX9vQ2mL7pRt4wZs8nBc"));
        let token = format!("ghp_{}", "16C7e42F292c6912E7710c838347Ae178B4a");
        let reason = |files: &[Changed]| of_files(&redactor, files, Language::English);
        let live = r#"the change was not pushed: "a.py" holds DEPLOY_KEY, a secret of this service"#;
        assert_eq!(reason(&[file("b", "", "x"), file("a.py", "", "k = 'kX9vQ2mL7pRt4wZs8nBc'")]).as_deref(), Some(live));
        assert_eq!(reason(&[file("a.py", "", "6b5839765132\n6d4c37705274\n34775a73386e4263")]).as_deref(), Some(live));
        assert!(reason(&[file("kX9vQ2mL7pRt4wZs8nBc", "", "x")]).unwrap().contains(r#""[redacted: DEPLOY_KEY]" holds DEPLOY_KEY"#));
        let found = reason(&[file("a.py", "", &token)]).unwrap();
        assert!(found.contains(r#""a.py" holds what looks like a secret (github-token)"#) && !found.contains(&token), "{found}");
        // What is in the repository already may be moved about.
        assert_eq!(reason(&[file("old.py", &token, ""), file("new.py", "", &token)]), None);
        assert_eq!(reason(&[file("url.py", "", &format!("postgres://shop:{}@db/shop", "correct-horse"))]), None);
    }
}
