//! Who calls: a statement belongs to the IAM role that ran it, and nobody else's calls find it.
//! [Amazon Redshift Data API reference, ListStatements, RoleLevel]

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::Pin;

use axum::http::{HeaderMap, header};

use crate::protocol::{Failure, FailureType, Reply};

/// Who calls, and so whose a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A role or a user.
    Principal {
        /// The ARN of the role; of a user, its own.
        owner: String,
        /// The ARN of the session that the role was assumed in; of a user, its own.
        session: String,
    },
    /// Who runs the Data API here, and sees the statements of all. AWS has nobody like that.
    Operator,
}

/// An ARN on its way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// Who has which access key.
pub trait Callers: Debug + Send + Sync {
    /// The ARN that STS would report for the key; nothing if nobody has it.
    fn arn_of<'a>(&'a self, access_key: &'a str) -> Lookup<'a>;
}

impl Callers for HashMap<String, String> {
    fn arn_of<'a>(&'a self, access_key: &'a str) -> Lookup<'a> {
        Box::pin(async move { self.get(access_key).cloned() })
    }
}

impl Caller {
    /// All calls are one caller's if nobody can tell them apart.
    pub(crate) fn only() -> Self {
        Self::of_arn("")
    }

    /// The caller whom STS reports by this ARN: the sessions of a role are one owner.
    pub fn of_arn(arn: &str) -> Self {
        let owner = match arn.split_once(":assumed-role/").zip(arn.split(':').nth(4)) {
            Some(((head, session), account)) => {
                let partition = head.split(':').nth(1).unwrap_or("aws");
                let role = session.rsplit_once('/').map_or(session, |(role, _)| role);
                format!("arn:{partition}:iam::{account}:role/{role}")
            }
            None => arn.to_owned(),
        };
        Self::Principal { owner, session: arn.to_owned() }
    }

    /// Whose the client tokens are.
    pub(crate) fn owner(&self) -> &str {
        match self {
            Self::Principal { owner, .. } => owner,
            Self::Operator => "",
        }
    }

    /// Whether what `other` ran is this caller's, so that it may look at it and cancel it.
    pub(crate) fn owns(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Operator, _) => true,
            (Self::Principal { owner, .. }, Self::Principal { owner: others, .. }) => owner == others,
            (Self::Principal { .. }, Self::Operator) => false,
        }
    }

    /// Whether `other` is of the same session, for RoleLevel false.
    pub(crate) fn is_session_of(&self, other: &Self) -> bool {
        *self == Self::Operator || self == other
    }

    /// The caller of a request, by the key that signed it. The signature itself is not checked here.
    pub(crate) async fn of_request(
        callers: Option<&dyn Callers>,
        operator: Option<&str>,
        headers: &HeaderMap,
    ) -> Reply<Self> {
        let Some(callers) = callers else { return Ok(Self::only()) };
        let key = access_key(headers).ok_or_else(|| {
            Failure::new(FailureType::MissingAuthenticationTokenException, "Missing Authentication Token")
        })?;
        let arn = callers.arn_of(key).await.ok_or_else(|| {
            let text = "The security token included in the request is invalid.";
            Failure::new(FailureType::UnrecognizedClientException, text)
        })?;
        Ok(Self::known(&arn, operator))
    }

    /// The caller of this ARN, who may be the operator.
    pub(crate) fn known(arn: &str, operator: Option<&str>) -> Self {
        if operator == Some(arn) { Self::Operator } else { Self::of_arn(arn) }
    }
}

/// The access key of a request that Signature Version 4 signs.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let signed = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let credential = signed.split(',').find_map(|field| field.trim().strip_prefix("Credential="))?;
    credential.split('/').next().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_of_the_role_and_not_of_its_session() {
        let one = Caller::of_arn("arn:aws:sts::111122223333:assumed-role/loader/proc-runner");
        assert_eq!(
            one,
            Caller::Principal {
                owner: "arn:aws:iam::111122223333:role/loader".into(),
                session: "arn:aws:sts::111122223333:assumed-role/loader/proc-runner".into()
            }
        );
        for (other, owns, same_session) in [
            ("arn:aws:sts::111122223333:assumed-role/loader/proc-runner", true, true),
            ("arn:aws:sts::111122223333:assumed-role/loader/status-checker", true, false),
            ("arn:aws:sts::111122223333:assumed-role/loader2/proc-runner", false, false),
            ("arn:aws:sts::444455556666:assumed-role/loader/proc-runner", false, false),
            ("arn:aws:iam::111122223333:user/loader", false, false),
            ("arn:aws:iam::111122223333:root", false, false),
        ] {
            let other = Caller::of_arn(other);
            assert_eq!((one.owns(&other), one.is_session_of(&other)), (owns, same_session), "{other:?}");
            assert!(Caller::Operator.owns(&other) && !other.owns(&Caller::Operator));
        }
        assert!(Caller::only().owns(&Caller::only()));
    }

    #[tokio::test]
    async fn the_access_key_names_the_caller() {
        let known = HashMap::from([
            ("AKIAONE".to_owned(), "arn:aws:iam::111122223333:user/one".to_owned()),
            ("AKIAROOT".to_owned(), "arn:aws:iam::111122223333:root".to_owned()),
        ]);
        let credential = |key: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential={key}/20261126/eu-west-1/redshift-data/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        for (authorization, expected) in [
            (credential("AKIAONE"), Ok(Caller::of_arn("arn:aws:iam::111122223333:user/one"))),
            (credential("AKIAROOT"), Ok(Caller::Operator)),
            (credential("AKIATWO"), Err(FailureType::UnrecognizedClientException)),
            (credential(""), Err(FailureType::MissingAuthenticationTokenException)),
            ("Basic AKIAONE".to_owned(), Err(FailureType::MissingAuthenticationTokenException)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, authorization.parse().expect("a value"));
            let operator = Some("arn:aws:iam::111122223333:root");
            let found = Caller::of_request(Some(&known), operator, &headers).await.map_err(|failure| failure.kind);
            assert_eq!(found, expected, "{authorization}");
            assert_eq!(Caller::of_request(None, operator, &headers).await, Ok(Caller::only()));
        }
    }
}
