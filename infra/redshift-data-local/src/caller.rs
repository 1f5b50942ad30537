//! Who calls: a statement belongs to the IAM role that ran it, and nobody else's calls find it.
//! [Amazon Redshift Data API reference, ListStatements, RoleLevel]

use std::collections::HashMap;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::guard::{Access, Admitting, Refused};

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

/// Who has which access key. The signatures themselves are not checked.
impl Access for HashMap<String, Caller> {
    fn admit<'a>(&'a self, head: &'a Parts, body: Body) -> Admitting<'a> {
        Box::pin(async move {
            let unsigned = || Refused::new("MissingAuthenticationTokenException", "Missing Authentication Token");
            let key = access_key(&head.headers).ok_or_else(unsigned)?;
            let text = "The security token included in the request is invalid.";
            let unknown = || Refused::new("UnrecognizedClientException", text);
            Ok((self.get(key).cloned().ok_or_else(unknown)?, body))
        })
    }
}

impl Caller {
    /// All calls are one caller's if nobody can tell them apart.
    pub(crate) fn only() -> Self {
        Self::of_arn("")
    }

    /// The caller whom STS reports by this ARN: the sessions of a role are one owner. The path of a role is not in a session's ARN, and
    /// names are distinct without it.
    pub fn of_arn(arn: &str) -> Self {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let role = match parts[..] {
            [_, _, _, _, _, name] => name
                .strip_prefix("assumed-role/")
                .map(|session| session.rsplit_once('/').map_or(session, |(role, _)| role))
                .or_else(|| name.strip_prefix("role/"))
                .map(|role| role.rsplit('/').next().unwrap_or(role)),
            _ => None,
        };
        let owner =
            role.map_or_else(|| arn.to_owned(), |role| format!("arn:{}:iam::{}:role/{role}", parts[1], parts[4]));
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
}

/// The access key of a request that Signature Version 4 signs.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let signed = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let credential = signed.split(',').find_map(|field| field.trim().strip_prefix("Credential="))?;
    credential.split('/').next().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

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
            ("arn:aws:iam::111122223333:role/some/path/loader", true, false),
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
        let one = Caller::of_arn("arn:aws:iam::111122223333:user/one");
        let known = HashMap::from([("AKIAONE".to_owned(), one.clone()), ("AKIAROOT".to_owned(), Caller::Operator)]);
        let credential = |key: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential={key}/20261126/eu-west-1/redshift-data/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        for (authorization, expected) in [
            (credential("AKIAONE"), Ok(one)),
            (credential("AKIAROOT"), Ok(Caller::Operator)),
            (credential("AKIATWO"), Err("UnrecognizedClientException")),
            (credential(""), Err("MissingAuthenticationTokenException")),
            ("Basic AKIAONE".to_owned(), Err("MissingAuthenticationTokenException")),
        ] {
            let request = Request::post("/").header(header::AUTHORIZATION, &authorization).body(()).expect("a request");
            let found = known.admit(&request.into_parts().0, Body::empty()).await;
            assert_eq!(found.map(|(caller, _)| caller).map_err(|refused| refused.code), expected, "{authorization}");
        }
    }
}
