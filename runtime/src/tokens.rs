//! The text of a token of the REST API: `codeteam_ID_SECRET`, both in hexadecimal digits. It begins with a word
//! that scanners for leaked secrets can look for; the id is public, the secret has 256 random bits.

use domain::Secret;
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "codeteam";
const ID_DIGITS: usize = 12;
const SECRET_DIGITS: usize = 64;

/// A token as its holder sends it. `Debug` shows the id only.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// The public part: in lists and logs.
    pub id: String,
    secret: Secret,
}

impl ApiToken {
    /// A new one, from the system's random numbers.
    pub fn generate() -> Self {
        let mut random = [0_u8; (ID_DIGITS + SECRET_DIGITS) / 2];
        rand::rng().fill_bytes(&mut random);
        let (id, secret) = random.split_at(ID_DIGITS / 2);
        Self { id: hex::encode(id), secret: Secret::new(hex::encode(secret)) }
    }

    /// Reads what a caller sent; `None` = it does not look like one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
        let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits(id, ID_DIGITS) && digits(secret, SECRET_DIGITS)).then(|| Self { id: id.to_owned(), secret: Secret::new(secret) })
    }

    /// The whole text, for the one time that it is printed.
    pub fn text(&self) -> Secret {
        Secret::new(format!("{PREFIX}_{}_{}", self.id, self.secret.expose()))
    }

    /// SHA-256 of the secret part: what is stored. 256 random bits cannot be guessed, so this needs neither salt nor
    /// a slow hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }

    /// Whether its hash is `stored`, in a time that does not tell where they differ.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash().as_slice().ct_eq(stored).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_text_and_matches_its_own_hash_only() {
        let token = ApiToken::generate();
        let again = ApiToken::parse(token.text().expose()).unwrap();
        assert_eq!(again.id, token.id);
        assert!(again.matches(&token.hash()));
        assert!(!ApiToken::generate().matches(&token.hash()));
        assert!(!again.matches(&token.hash()[..31]) && !again.matches(&[]));
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        let text = ApiToken::generate().text().expose().to_owned();
        for wrong in [
            "",
            "codeteam",
            "codeteam__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replace('_', "-"),
        ] {
            assert!(ApiToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_token_never_prints_its_secret() {
        let token = ApiToken::generate();
        assert_eq!(format!("{token:?}"), format!("ApiToken {{ id: {:?}, secret: *** }}", token.id));
    }
}
