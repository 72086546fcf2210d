//! Amazon SNS: the topic that people hear.

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use domain::{NoticeError, Notices, Secret};

use crate::calls::Call;
use crate::{Aws, AwsError};

/// The longest subject (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const SUBJECT_LIMIT: usize = 100;
/// The longest text, with room for what surrounds it; SNS takes 256 KiB.
const TEXT_LIMIT_BYTES: usize = 200 << 10;

/// A topic. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
    region: String,
}

impl Topic {
    /// The topic `arn`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, arn: &str, endpoint: Option<&Secret>) -> Self {
        let config = Builder::from(&aws.service(endpoint)).build();
        Self { client: Client::from_conf(config), arn: arn.to_owned(), region: aws.region().to_owned() }
    }

    /// The same as [`Notices::publish`], with the error as it is.
    ///
    /// # Errors
    /// As for every call.
    pub async fn send(&self, subject: &str, text: &str) -> Result<(), AwsError> {
        let publish = self.client.publish().topic_arn(&self.arn).set_subject(self::subject(subject)).message(cut(text));
        publish.send().await.map(drop).map_err(|error| self.call("sns:Publish").failed(error))
    }

    /// Whether the topic is there; gives how many hear it and how many have not said yet that they want to.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self) -> Result<(u32, u32), AwsError> {
        let asked = self.client.get_topic_attributes().topic_arn(&self.arn).send().await;
        let answer = asked.map_err(|error| self.call("sns:GetTopicAttributes").failed(error))?;
        let count = |name: &str| answer.attributes().and_then(|known| known.get(name)).and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok((count("SubscriptionsConfirmed"), count("SubscriptionsPending")))
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        Call { action, what: &self.arn, region: &self.region }
    }
}

#[async_trait]
impl Notices for Topic {
    async fn publish(&self, subject: &str, text: &str) -> Result<(), NoticeError> {
        Ok(self.send(subject, text).await?)
    }
}

/// What a mail's subject can hold: a line of printable ASCII, not empty, that begins with no space; `None` = nothing is left.
fn subject(text: &str) -> Option<String> {
    let plain = |letter: char| match letter {
        ' '..='~' => letter,
        _ if letter.is_whitespace() => ' ',
        '\u{2013}' | '\u{2014}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        _ => '?',
    };
    let line: String = text.trim().chars().map(plain).collect();
    let line = match line.len() > SUBJECT_LIMIT {
        true => format!("{}...", line[..SUBJECT_LIMIT - 3].trim_end()),
        false => line,
    };
    Some(line).filter(|line| !line.is_empty())
}

/// As much as a topic takes; it takes no empty text.
fn cut(text: &str) -> String {
    if text.trim().is_empty() {
        return "(no text)".to_owned();
    }
    match text.len() > TEXT_LIMIT_BYTES {
        true => format!("{}\n[cut: {} bytes in all]", &text[..text.floor_char_boundary(TEXT_LIMIT_BYTES)], text.len()),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_short_line_of_ascii() {
        assert_eq!(subject("120 jobs wait").as_deref(), Some("120 jobs wait"));
        assert_eq!(subject(" or\u{e7}amento\n\u{2014} 82 %\u{7} ").as_deref(), Some("or?amento - 82 %?"));
        assert_eq!(subject("\n ").as_deref(), None);
        let long = subject(&"a b".repeat(60)).unwrap();
        assert_eq!((long.len(), long.ends_with("...")), (100, true), "{long}");
    }

    #[test]
    fn a_long_text_is_cut_between_letters_and_says_so() {
        let text = cut(&"\u{e9}".repeat(TEXT_LIMIT_BYTES));
        assert!(text.ends_with(&format!("\u{e9}\n[cut: {} bytes in all]", 2 * TEXT_LIMIT_BYTES)));
        assert!(text.len() < 256 << 10);
        assert_eq!((cut("short").as_str(), cut(" ").as_str()), ("short", "(no text)"));
    }
}
