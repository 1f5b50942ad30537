//! Links into AWS's console, right in every partition.

/// Where the console of a partition is. The template has the same list as `Console`; a test holds the two equal. [AWS SDK endpoints
/// of the sign-in service]
pub const HOSTS: [(&str, &str); 8] = [
    ("aws", "console.aws.amazon.com"),
    ("aws-cn", "console.amazonaws.cn"),
    ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ("aws-eusc", "console.amazonaws-eusc.eu"),
    ("aws-iso", "console.c2shome.ic.gov"),
    ("aws-iso-b", "console.sc2shome.sgov.gov"),
    ("aws-iso-e", "console.csphome.adc-e.uk"),
    ("aws-iso-f", "console.csphome.hci.ic.gov"),
];

/// The console that shows an execution, and the warehouse beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console<'a> {
    host: &'static str,
    region: &'a str,
    execution: &'a str,
}

impl<'a> Console<'a> {
    /// The console of an execution, by its ARN; nothing for another text, or for a partition that is not known.
    pub fn of(execution: &'a str) -> Option<Self> {
        let mut parts = execution.split(':');
        let (Some("arn"), Some(partition), Some("states"), Some(region), Some(_), Some("execution")) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (_, host) = HOSTS.iter().find(|(name, _)| *name == partition)?;
        Some(Self { host, region, execution })
    }

    /// The page of the execution.
    pub fn execution(&self) -> String {
        let Self { host, region, execution } = self;
        format!("https://{host}/states/home?region={region}#/v2/executions/details/{execution}")
    }

    /// The query editor. The console documents no link to one query.
    pub fn query_editor(&self) -> String {
        format!("https://{}/sqlworkbench/home?region={}#/client", self.host, self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_console_of_the_partition() {
        let arn = |partition: &str| format!("arn:{partition}:states:eu-west-1:123456789012:execution:loader:x");
        for (partition, host) in HOSTS {
            let arn = arn(partition);
            let console = Console::of(&arn).expect(partition);
            let link = format!("https://{host}/states/home?region=eu-west-1#/v2/executions/details/{arn}");
            assert_eq!(console.execution(), link);
            assert!(console.query_editor().starts_with(&format!("https://{host}/sqlworkbench/home?region=eu-west-1")));
        }
        for other in ["", "x", "arn:aws:states:eu-west-1:123456789012:stateMachine:loader", &arn("mars")] {
            assert_eq!(Console::of(other), None, "{other}");
        }
    }

    #[test]
    fn the_template_has_the_same_hosts() {
        let template = include_str!("../../infra/template.yaml");
        let (_, list) = template.split_once("  Console:\n").expect("the mapping");
        let lines = list.lines().take_while(|line| line.starts_with("    "));
        let hosts: Vec<_> =
            HOSTS.iter().map(|(partition, host)| format!("    {partition}: {{ Host: {host} }}")).collect();
        assert_eq!(lines.collect::<Vec<_>>(), hosts);
    }
}
