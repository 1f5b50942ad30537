//! Who has which access key of the local AWS, so that the Data API here knows whose a statement is.

use std::collections::HashMap;

use loader::Result;
use redshift_data_local::caller::{Callers, Lookup};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::aws::Cli;

/// Who acts with the keys of the stack itself: a person on this machine, and the tests.
pub(crate) const ROOT: &str = "arn:aws:iam::000000000000:root";

/// The keys of MiniStack: root's, and those of the functions' roles, which it makes from the names of both.
/// [MiniStack 1.5, core/lambda_runtime.py, execution_credentials]
#[derive(Debug)]
pub(crate) struct Keys {
    cli: Cli,
    known: Mutex<HashMap<String, String>>,
}

impl Keys {
    /// Those of the local AWS that this CLI calls.
    pub(crate) fn of(cli: Cli) -> Self {
        Self { cli, known: Mutex::new(HashMap::from([("test".to_owned(), ROOT.to_owned())])) }
    }

    async fn functions(&self) -> Result<Vec<(String, String)>> {
        let answer = self.cli.call(&["lambda", "list-functions"]).await?;
        let functions = answer["Functions"].as_array().into_iter().flatten();
        Ok(functions
            .filter_map(|f| key_of(f["FunctionArn"].as_str()?, f["Role"].as_str()?, f["FunctionName"].as_str()?))
            .collect())
    }
}

impl Callers for Keys {
    fn arn_of<'a>(&'a self, access_key: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            // Held while AWS is asked: who comes meanwhile asks for the same.
            let mut known = self.known.lock().await;
            if !known.contains_key(access_key) {
                known.extend(self.functions().await.unwrap_or_default());
            }
            known.get(access_key).cloned()
        })
    }
}

/// The key of a function's role, and the session that it belongs to.
fn key_of(function_arn: &str, role: &str, name: &str) -> Option<(String, String)> {
    let digest = Sha256::digest(format!("{function_arn}:{role}"));
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02X}")).collect();
    let (account, role) = (role.split(':').nth(4)?, role.rsplit('/').next()?);
    let session: String = name.chars().take(64).collect();
    Some((format!("ASIA{digits}"), format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")))
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn the_key_of_a_function_is_made_from_its_names() {
        let function = "arn:aws:lambda:eu-west-1:000000000000:function:f";
        let (key, arn) = key_of(function, "arn:aws:iam::000000000000:role/path/r", "f").expect("a key");
        // printf '%s' "$function:arn:aws:iam::000000000000:role/path/r" | sha256sum
        assert_eq!(key, "ASIAE4912D4D5D5D91F3");
        assert_eq!(arn, "arn:aws:sts::000000000000:assumed-role/r/f");
    }
}
