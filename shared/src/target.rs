//! Which warehouse a statement runs on, and as whom.
//!
//! The Data API accepts exactly five sets of connection fields and refuses every other; the enum
//! [`Target`] can hold those five and nothing else.
//! [Amazon Redshift Management Guide, "Using the Amazon Redshift Data API"]

use std::fmt;

use aws_sdk_redshiftdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::shown;

/// A warehouse, a database in it, and the identity that runs the SQL. Its `Debug` shows the kind alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// Redshift Serverless, with the user and password of a secret.
    ServerlessSecret {
        /// Name or ARN of the workgroup.
        workgroup: String,
        /// Database in the workgroup's namespace.
        database: String,
        /// Secrets Manager secret with the user and the password.
        secret_arn: String,
    },
    /// Redshift Serverless, as the database user of the function's IAM role (`IAMR:role`).
    ServerlessIam {
        /// Name or ARN of the workgroup.
        workgroup: String,
        /// Database in the workgroup's namespace.
        database: String,
    },
    /// A provisioned cluster, with the user and password of a secret.
    ClusterSecret {
        /// Identifier of the cluster.
        cluster: String,
        /// Database in the cluster.
        database: String,
        /// Secrets Manager secret with the user and the password.
        secret_arn: String,
    },
    /// A provisioned cluster, as a database user by temporary credentials.
    ClusterUser {
        /// Identifier of the cluster.
        cluster: String,
        /// Database in the cluster.
        database: String,
        /// Database user.
        db_user: String,
    },
    /// A provisioned cluster, as the database user of the function's IAM role (`IAMR:role`).
    ClusterIam {
        /// Identifier of the cluster.
        cluster: String,
        /// Database in the cluster.
        database: String,
    },
}

/// The five connection fields as a request or the environment brings them, not yet checked. Its `Debug` shows
/// which of them are there.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetFields {
    /// Name or ARN of a Redshift Serverless workgroup.
    pub workgroup_name: Option<String>,
    /// Identifier of a provisioned cluster.
    pub cluster_identifier: Option<String>,
    /// Database name; always needed.
    pub database: Option<String>,
    /// ARN of a Secrets Manager secret.
    pub secret_arn: Option<String>,
    /// Database user; provisioned clusters only.
    pub db_user: Option<String>,
}

impl TargetFields {
    /// The names of the fields in a request, in the order of the environment variables below.
    pub const NAMES: [&str; 5] = ["WorkgroupName", "ClusterIdentifier", "Database", "SecretArn", "DbUser"];

    /// Reads `WORKGROUP_NAME`, `CLUSTER_IDENTIFIER`, `DATABASE`, `SECRET_ARN` and `DB_USER`; an empty
    /// variable counts as absent, since a template cannot leave one out easily.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name| var(name).filter(|v| !v.is_empty());
        Self {
            workgroup_name: var("WORKGROUP_NAME"),
            cluster_identifier: var("CLUSTER_IDENTIFIER"),
            database: var("DATABASE"),
            secret_arn: var("SECRET_ARN"),
            db_user: var("DB_USER"),
        }
    }

    /// Fills what this request leaves out from `defaults`.
    ///
    /// A request that names another warehouse does not inherit the default's identity: a secret of
    /// one cluster must not be tried on another. A request that brings an identity replaces the
    /// default's whole identity.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        let names_endpoint = self.workgroup_name.is_some() || self.cluster_identifier.is_some();
        let same_endpoint = !names_endpoint
            || (self.workgroup_name == defaults.workgroup_name
                && self.cluster_identifier == defaults.cluster_identifier);
        let brings_identity = self.secret_arn.is_some() || self.db_user.is_some();
        let (workgroup_name, cluster_identifier) = if names_endpoint {
            (self.workgroup_name, self.cluster_identifier)
        } else {
            (defaults.workgroup_name.clone(), defaults.cluster_identifier.clone())
        };
        let (secret_arn, db_user) = if brings_identity || !same_endpoint {
            (self.secret_arn, self.db_user)
        } else {
            (defaults.secret_arn.clone(), defaults.db_user.clone())
        };
        Self {
            workgroup_name,
            cluster_identifier,
            database: self.database.or_else(|| defaults.database.clone()),
            secret_arn,
            db_user,
        }
    }
}

impl fmt::Debug for TargetFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workgroup_name, cluster_identifier, database, secret_arn, db_user } = self;
        let fields = [workgroup_name, cluster_identifier, database, secret_arn, db_user];
        let given = Self::NAMES.iter().zip(fields).filter(|(_, field)| field.is_some()).map(|(name, _)| name);
        f.debug_set().entries(given).finish()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerlessSecret { .. } => "ServerlessSecret",
            Self::ServerlessIam { .. } => "ServerlessIam",
            Self::ClusterSecret { .. } => "ClusterSecret",
            Self::ClusterUser { .. } => "ClusterUser",
            Self::ClusterIam { .. } => "ClusterIam",
        })
    }
}

impl TryFrom<TargetFields> for Target {
    type Error = Error;

    fn try_from(fields: TargetFields) -> Result<Self> {
        let refuse = |text: &str| Err(Error::invalid_input(format!("invalid target: {text}")));
        for (name, value) in TargetFields::NAMES.iter().zip([
            &fields.workgroup_name,
            &fields.cluster_identifier,
            &fields.database,
            &fields.secret_arn,
            &fields.db_user,
        ]) {
            if value.as_deref().is_some_and(|v| v.trim().is_empty()) {
                return refuse(&format!("{name} is empty; leave it out or give it a value"));
            }
        }
        let Some(database) = fields.database else {
            return refuse("Database is missing; set it in the request or as DATABASE in the environment");
        };
        match (fields.workgroup_name, fields.cluster_identifier, fields.secret_arn, fields.db_user) {
            (Some(workgroup), None, Some(secret_arn), None) => {
                Ok(Self::ServerlessSecret { workgroup, database, secret_arn })
            }
            (Some(workgroup), None, None, None) => Ok(Self::ServerlessIam { workgroup, database }),
            (None, Some(cluster), Some(secret_arn), None) => Ok(Self::ClusterSecret { cluster, database, secret_arn }),
            (None, Some(cluster), None, Some(db_user)) => Ok(Self::ClusterUser { cluster, database, db_user }),
            (None, Some(cluster), None, None) => Ok(Self::ClusterIam { cluster, database }),
            (None, None, _, _) => refuse(
                "neither WorkgroupName (Redshift Serverless) nor ClusterIdentifier (provisioned) is given; \
                 set one in the request or the environment",
            ),
            (Some(_), Some(_), _, _) => {
                refuse("both WorkgroupName and ClusterIdentifier are given; keep the one that is meant")
            }
            (Some(_), None, _, Some(_)) => {
                refuse("DbUser is for provisioned clusters; a workgroup takes SecretArn or the function's IAM role")
            }
            (None, Some(_), Some(_), Some(_)) => {
                refuse("both SecretArn and DbUser are given; keep the one that is meant")
            }
        }
    }
}

impl Target {
    /// Sets the connection fields of an ExecuteStatement request.
    pub(crate) fn apply(&self, request: ExecuteStatementFluentBuilder) -> ExecuteStatementFluentBuilder {
        request
            .set_workgroup_name(self.workgroup().map(str::to_owned))
            .set_cluster_identifier(self.cluster().map(str::to_owned))
            .set_database(Some(self.database().to_owned()))
            .set_secret_arn(self.secret_arn().map(str::to_owned))
            .set_db_user(self.db_user().map(str::to_owned))
    }

    /// The refusal of a call that may be one of the warehouse itself: says which one was looked for, and in which
    /// region.
    pub(crate) fn located(&self, error: &Error, region: Option<&str>) -> Error {
        let (kind, name, field, variable) = match (self.workgroup(), self.cluster()) {
            (Some(name), _) => ("workgroup", Some(name), "WorkgroupName", "WORKGROUP_NAME"),
            (None, name) => ("cluster", name, "ClusterIdentifier", "CLUSTER_IDENTIFIER"),
        };
        let name = name.and_then(shown::endpoint).map(|name| format!(" {name}")).unwrap_or_default();
        let region = region.and_then(shown::id).unwrap_or("of AWS_REGION");
        Error::new(
            ErrorKind::RequestRefused,
            format!(
                "{error}; the request went to {kind}{name} in region {region}: if there is none, correct {field} in the \
             request, or {variable} or AWS_REGION in the environment"
            ),
        )
    }

    /// The workgroup, for Redshift Serverless.
    pub fn workgroup(&self) -> Option<&str> {
        match self {
            Self::ServerlessSecret { workgroup, .. } | Self::ServerlessIam { workgroup, .. } => Some(workgroup),
            _ => None,
        }
    }

    /// The cluster, if it is a provisioned one.
    pub fn cluster(&self) -> Option<&str> {
        match self {
            Self::ClusterSecret { cluster, .. }
            | Self::ClusterUser { cluster, .. }
            | Self::ClusterIam { cluster, .. } => Some(cluster),
            _ => None,
        }
    }

    /// The database.
    pub fn database(&self) -> &str {
        match self {
            Self::ServerlessSecret { database, .. }
            | Self::ServerlessIam { database, .. }
            | Self::ClusterSecret { database, .. }
            | Self::ClusterUser { database, .. }
            | Self::ClusterIam { database, .. } => database,
        }
    }

    /// The secret, if one is used.
    pub fn secret_arn(&self) -> Option<&str> {
        match self {
            Self::ServerlessSecret { secret_arn, .. } | Self::ClusterSecret { secret_arn, .. } => Some(secret_arn),
            _ => None,
        }
    }

    /// The database user, if one is named.
    pub fn db_user(&self) -> Option<&str> {
        match self {
            Self::ClusterUser { db_user, .. } => Some(db_user),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(w: &str, c: &str, d: &str, s: &str, u: &str) -> TargetFields {
        let some = |v: &str| (!v.is_empty()).then(|| v.to_owned());
        TargetFields {
            workgroup_name: some(w),
            cluster_identifier: some(c),
            database: some(d),
            secret_arn: some(s),
            db_user: some(u),
        }
    }

    #[test]
    fn exactly_the_five_sets_of_the_data_api_are_accepted() {
        let mut accepted = Vec::new();
        for bits in 0..32u8 {
            let pick = |bit: u8, v| if bits & (1 << bit) == 0 { "" } else { v };
            let set = fields(pick(0, "w"), pick(1, "c"), pick(2, "d"), pick(3, "s"), pick(4, "u"));
            match Target::try_from(set) {
                Ok(_) => accepted.push(bits),
                Err(e) => assert_eq!(e.name(), "InvalidInput"),
            }
        }
        // w=1 c=2 d=4 s=8 u=16
        assert_eq!(accepted, [1 + 4, 2 + 4, 1 + 4 + 8, 2 + 4 + 8, 2 + 4 + 16]);
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (set, hint) in [
            (fields("", "", "d", "", ""), "neither WorkgroupName"),
            (fields("w", "c", "d", "", ""), "keep the one that is meant"),
            (fields("w", "", "", "", ""), "Database is missing"),
            (fields("w", "", "d", "", "u"), "DbUser is for provisioned clusters"),
            (fields("", "c", "d", "s", "u"), "both SecretArn and DbUser"),
            (fields(" ", "", "d", "", ""), "WorkgroupName is empty"),
        ] {
            let text = Target::try_from(set).expect_err("refused").to_string();
            assert!(text.contains(hint), "{text}");
        }
    }

    #[test]
    fn what_a_request_leaves_out_comes_from_the_environment() {
        let env = fields("w", "", "d", "s", "");
        assert_eq!(fields("", "", "", "", "").or(&env), env);
        assert_eq!(fields("w", "", "", "", "").or(&env), env, "the same workgroup keeps its secret");
        assert_eq!(fields("", "", "d2", "", "").or(&env), fields("w", "", "d2", "s", ""));
        assert_eq!(fields("", "", "", "s2", "").or(&env), fields("w", "", "d", "s2", ""));
    }

    #[test]
    fn another_warehouse_does_not_inherit_the_identity() {
        let env = fields("w", "", "d", "s", "");
        assert_eq!(fields("", "c", "", "", "u").or(&env), fields("", "c", "d", "", "u"));
        assert_eq!(fields("w2", "", "", "", "").or(&env), fields("w2", "", "d", "", ""));
        let env = fields("", "c", "d", "", "u");
        assert_eq!(fields("w", "", "", "s", "").or(&env), fields("w", "", "d", "s", ""));
    }

    #[test]
    fn debug_shows_no_value() {
        let set = fields("", "c", "d", "hunter2", "");
        assert_eq!(format!("{set:?}"), r#"{"ClusterIdentifier", "Database", "SecretArn"}"#);
        assert_eq!(format!("{:?}", Target::try_from(set).expect("valid")), "ClusterSecret");
    }

    #[test]
    fn a_refusal_that_may_be_about_the_warehouse_names_it() {
        let serverless = Target::try_from(fields("loads", "", "d", "", "")).expect("valid");
        let odd = Target::try_from(fields("", "hunter2 '", "d", "", "")).expect("valid");
        let refused = Error::new(ErrorKind::StatementNotFound, "failed to submit dev.p: ValidationException");
        let error = serverless.located(&refused, Some("eu-west-1"));
        assert_eq!(error.name(), "RequestRefused");
        assert_eq!(
            error.to_string(),
            "failed to submit dev.p: ValidationException; the request went to workgroup loads in region eu-west-1: if \
             there is none, correct WorkgroupName in the request, or WORKGROUP_NAME or AWS_REGION in the environment"
        );
        let text = odd.located(&refused, None).to_string();
        assert!(text.contains("cluster in region of AWS_REGION: ") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn an_empty_environment_variable_counts_as_absent() {
        let env = TargetFields::from_env(|name| match name {
            "CLUSTER_IDENTIFIER" => Some("c".into()),
            "DATABASE" => Some("d".into()),
            _ => Some(String::new()),
        });
        assert_eq!(env, fields("", "c", "d", "", ""));
    }
}
