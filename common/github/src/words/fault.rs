//! What is wrong in `.codeteam.toml`, in Portuguese. In English it says so itself.

use domain::project::{CAPS, FILE, Fault, Found, KEYS, MOST_BYTES, Wanted, Wrong, quoted};
use domain::{GlobFault, Sensitive};
use strum::VariantNames;

/// The fault with its place.
pub(super) fn portuguese(Fault { line, column, wrong, .. }: &Fault) -> String {
    format!("{FILE}, linha {line}, coluna {column}: {}", of(wrong))
}

fn of(wrong: &Wrong) -> String {
    match wrong {
        Wrong::TooLarge => format!("o arquivo tem mais de {MOST_BYTES} bytes"),
        Wrong::NotText => "o arquivo não é texto UTF-8".to_owned(),
        Wrong::NotToml { said } => format!("o arquivo não é TOML: “{said}”"),
        Wrong::UnknownKey { key } => format!("chave desconhecida {key:?}; as chaves são {}", listed(KEYS)),
        Wrong::UnknownCap { key } => format!("chave desconhecida {key:?} em caps; as chaves são {}", listed(CAPS)),
        Wrong::NearlyAllowedPaths { key } => format!("chave desconhecida {key:?}: seria \"allowed_paths\"?"),
        Wrong::Expected { wanted, found } => format!("esperado: {}; encontrado: {}", self::wanted(*wanted), self::found(found)),
        Wrong::Glob(fault) => glob(fault),
    }
}

fn wanted(wanted: Wanted) -> String {
    match wanted {
        Wanted::Line { most_chars } => format!("uma linha de texto de no máximo {most_chars} caracteres"),
        Wanted::Path => "o caminho de um arquivo, a partir da raiz do repositório".to_owned(),
        Wanted::Network => "\"none\", \"loopback\" ou \"fetch\"".to_owned(),
        Wanted::Sensitive => format!("uma lista com valores entre {}", quoted(Sensitive::VARIANTS)),
        Wanted::Globs => "uma lista de globs como [\"src/**\", \"*.md\"]".to_owned(),
        Wanted::Glob => "um glob entre aspas".to_owned(),
        Wanted::Whole => "um número inteiro acima de 0".to_owned(),
        Wanted::Seconds => "um número de segundos acima de 0".to_owned(),
        Wanted::Dollars => "um valor em dólares acima de 0, como 0.25".to_owned(),
        Wanted::Caps => format!("uma tabela com {}", listed(CAPS)),
    }
}

fn found(found: &Found) -> String {
    match found {
        Found::Value(shown) => shown.clone(),
        Found::Type(name) => format!("um valor do tipo \"{name}\""),
    }
}

fn glob(fault: &GlobFault) -> String {
    match fault {
        GlobFault::Empty { glob } => format!("{glob:?} está vazio"),
        GlobFault::Negated { glob } => {
            format!("{glob:?} começa com \"!\", e nada pode ser retirado depois: indique só o que pode ser alterado")
        }
        GlobFault::Upwards { glob } => format!("{glob:?} contém \"..\": os caminhos ficam abaixo da raiz do repositório"),
        GlobFault::Invalid { glob, said } => format!("{glob:?} não é um glob: “{said}”"),
        GlobFault::TooLarge { said } => format!("os globs juntos são grandes demais: “{said}”"),
    }
}

/// `a, b e c`.
fn listed(names: &[&str]) -> String {
    let (last, others) = names.split_last().map_or(("", names), |(last, others)| (*last, others));
    format!("{} e {last}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use domain::project;
    use testkit::english_left;

    use super::*;

    #[test]
    fn every_fault_is_told_in_portuguese_alone() {
        let texts = [
            "test_comand = \"x\"",
            "test_command = [1]",
            "test_command = \"\"",
            "network = \"internet\"",
            "network = { a = 1 }",
            "instructions = \"../secrets\"",
            "sensitive_changes = [\"everything\"]",
            "allowed_paths = \"src/**\"",
            "allowed_paths = [3]",
            "allowed_paths = [\"\"]",
            "allowed_paths = [\"!a\"]",
            "allowed_paths = [\"../a\"]",
            "allowed_paths = [\"a[\"]",
            "alowed_paths = []",
            "caps = 3",
            "[caps]\nsteps = -1",
            "[caps]\nsteps_max = 3",
            "[caps]\ncost_usd = \"cheap\"",
            "[caps]\nseconds = \"long\"",
            "network = \"none",
        ];
        let mut faults: Vec<Fault> = texts.iter().map(|text| project::read(text.as_bytes()).faults.swap_remove(0)).collect();
        faults.extend(project::read(b"\xff").faults);
        faults.extend(project::Read::too_large().faults);
        let too_large = Wrong::Glob(GlobFault::TooLarge { said: "compiled regex exceeds size limit".to_owned() });
        faults.push(Fault { wrong: too_large, ..faults[0].clone() });
        for fault in faults {
            let text = portuguese(&fault);
            assert_eq!(english_left(&text), Vec::<String>::new(), "{fault} is told as {text}");
            assert!(text.starts_with(".codeteam.toml, linha "), "{text}");
        }
        let fault = &project::read(b"network = \"internet\"").faults[0];
        assert_eq!(
            portuguese(fault),
            ".codeteam.toml, linha 1, coluna 11: esperado: \"none\", \"loopback\" ou \"fetch\"; encontrado: \"internet\""
        );
    }
}
