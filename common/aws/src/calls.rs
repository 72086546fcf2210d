//! How the SDK's errors become ours.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::AwsError;
use crate::access::NO_KEYS;
use crate::http::chain;

/// One call: which right it needs, on what, in which region.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub action: &'static str,
    pub what: &'a str,
    pub region: &'a str,
}

/// What the services call a missing right.
const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation"];
/// What they call credentials that are none. Their words may quote the request with its session token.
const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// What they call too many requests.
const THROTTLED: &[&str] = &[
    "OverLimit",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];
/// What they call something that is not there.
const NOT_FOUND: &[&str] = &[
    "AWS.SimpleQueueService.NonExistentQueue",
    "ClusterNotFoundException",
    "DBInstanceNotFound",
    "DBInstanceNotFoundFault",
    "NotFound",
    "NotFoundException",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "ServiceNotActiveException",
    "ServiceNotFoundException",
];

impl Call<'_> {
    /// What the caller is told of `error`.
    pub(crate) fn failed<E>(self, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (action, what) = (self.action, self.what.to_owned());
        let service = match error {
            SdkError::ServiceError(service) => service,
            // Nothing was signed, since there is nothing to sign with.
            other if without_credentials(&other) => {
                return AwsError::Credentials { action, what, told: source(&other) };
            }
            SdkError::TimeoutError(_) => return AwsError::Unreachable { action, what, cause: "no answer in time".to_owned() },
            other @ SdkError::ConstructionFailure(_) => return AwsError::Other { action, what, told: source(&other) },
            other => return AwsError::Unreachable { action, what, cause: source(&other) },
        };
        let status = service.raw().status().as_u16();
        let code = service.err().code().unwrap_or_default().to_owned();
        // Older protocols put the shape's name before it.
        let code = code.rsplit('#').next().unwrap_or_default();
        let told = match service.err().message() {
            Some(message) => format!("{code}: {message}"),
            None => format!("{code}, status {status}"),
        };
        let is_one_of = |codes: &[&str]| codes.contains(&code);
        if is_one_of(CREDENTIALS) {
            AwsError::Credentials { action, what, told: code.to_owned() }
        } else if is_one_of(DENIED) {
            AwsError::Denied { action, what: format!("{what} in {}", self.region), told }
        } else if is_one_of(THROTTLED) || status == 429 {
            AwsError::Throttled { action, what }
        } else if is_one_of(NOT_FOUND) {
            AwsError::NotFound { what, region: self.region.to_owned() }
        } else if status >= 500 {
            AwsError::Unreachable { action, what, cause: told }
        } else {
            AwsError::Other { action, what, told }
        }
    }
}

/// The causes of what the SDK only calls a failure.
fn source<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

/// The SDK tells by words alone why nothing was signed; the words are those of [`crate::access`].
fn without_credentials<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    source(error).contains(NO_KEYS)
}
