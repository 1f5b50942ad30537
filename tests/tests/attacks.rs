//! A stack that runs, before those who are not to be answered: a web page in a browser of this machine, the same by DNS
//! rebinding, and a program of another user. Whatever listens is attacked: what is new here, too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sfn::error::ProvideErrorMetadata;
use nix::unistd::Uid;
use redshift_data_local::{Config, Running};
use redshift_local::page::LocalPage;
use redshift_local::stack::{Options, Stack, WORKGROUP};
use serde_json::json;
use sha2::{Digest, Sha256};
use tests::raw::ask;
use tests::{Any, Outcome, failed, run, tests};
use tokio::process::Command;

struct Attacked {
    stack: Stack,
    page: LocalPage,
    /// A Data API by itself, which takes any keys.
    alone: Running,
}

/// What would have happened.
const TABLE: &str = "dev.attacked";
const FUNCTION: &str = "attacked";
const SIGNATURE: &str = "SignedHeaders=host;x-amz-date, Signature=0000";

impl Attacked {
    async fn start() -> Any<Self> {
        let stack = Stack::start(&Options::default(), |_| ()).await?;
        // Once it has been invoked, a function waits for its next event.
        invoke(&stack).await?;
        let page = LocalPage::start(&stack).await?;
        let alone = Running::start(Config::new(stack.warehouse.config().clone(), vec![])).await?;
        Ok(Self { stack, page, alone })
    }

    /// Everything that listens, by what it is.
    fn listeners(&self) -> Any<BTreeMap<u16, &'static str>> {
        let port = |url: &str| address(url).rsplit(':').next().unwrap_or_default().parse::<u16>();
        let ours = HashMap::from([
            (port(&self.stack.endpoint().url)?, "gateway"),
            (port(&self.stack.data_api.url)?, "Data API"),
            (port(&self.alone.url)?, "Data API alone"),
            (port(self.page.url())?, "page"),
            (port(self.stack.warehouse.url())?, "PostgreSQL"),
        ]);
        let mut found = BTreeMap::new();
        for (address, program) in listening()? {
            assert_eq!(address.ip(), Ipv4Addr::LOCALHOST, "{program} listens on {address}");
            let is_function = program.contains("ministack_on_socket.py") && !ours.contains_key(&address.port());
            let name = if is_function { "function" } else { ours.get(&address.port()).copied().unwrap_or_default() };
            assert!(!name.is_empty(), "nobody knows what {program} listens to on {address} for");
            found.insert(address.port(), name);
        }
        Ok(found)
    }
}

/// The part of a URL between its scheme, or its user, and its path.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(address, _)| address);
    rest.rsplit_once('@').map_or(rest, |(_, address)| address)
}

async fn invoke(stack: &Stack) -> Outcome {
    let lambda = aws_sdk_lambda::Client::new(&stack.aws);
    let invoke = lambda.invoke().function_name(stack.outputs.get("ProcRunnerName")).payload(Blob::new("{}"));
    invoke.send().await?;
    Ok(())
}

/// The TCP sockets on which this process and its descendants listen, with the command lines of those.
fn listening() -> Any<Vec<(SocketAddr, String)>> {
    let mut sockets = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (Some(address), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
                continue;
            };
            sockets.insert(format!("socket:[{inode}]"), read_address(address).ok_or_else(|| failed(line))?);
        }
    }
    let mut family = HashSet::from([std::process::id()]);
    let parents: Vec<_> = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((id, status.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?))
        })
        .collect();
    while let Some((id, _)) = parents.iter().find(|(id, parent)| family.contains(parent) && !family.contains(id)) {
        family.insert(*id);
    }
    let mut found = Vec::new();
    for id in family {
        let program = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let program = String::from_utf8_lossy(&program).replace('\0', " ");
        for file in std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten() {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            found.extend(sockets.get(&*target.to_string_lossy()).map(|address| (*address, program.clone())));
        }
    }
    Ok(found)
}

/// `0100007F:1F90` is 127.0.0.1:8080; an address of version 6 is none of ours.
fn read_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if ip.len() != 8 {
        return Some((std::net::Ipv6Addr::UNSPECIFIED, port).into());
    }
    Some((Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.swap_bytes()), port).into())
}

/// First lines, more lines and bodies of what does something, or tells something, where nobody looks who asks.
fn requests() -> Vec<(String, Vec<String>, String)> {
    let sql =
        json!({"WorkgroupName": WORKGROUP, "Database": "ecommerce_db", "Sql": format!("CREATE TABLE {TABLE}(a INT)")});
    // A bootstrap that is an empty script. Both requests make what they say if MiniStack gets them.
    let zip = "UEsDBBQAAAAAAAAAIQAdnfsECgAAAAoAAAAJAAAAYm9vdHN0cmFwIyEvYmluL3NoClBLAQIUAxQAAAAAAAAAIQAdnfsECgAAAAoAAAAJAAAAAAAA\
               AAAAAADtAQAAAABib290c3RyYXBQSwUGAAAAAAEAAQA3AAAAMQAAAAAA";
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C\
                 %22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%7D%5D%7D";
    let role = "arn:aws:iam::000000000000:role/any";
    let function = json!({"FunctionName": FUNCTION, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": role, "Code": {"ZipFile": zip}});
    let query = |service: &str| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20261126%2Feu-west-1%2F{service}%2Faws4_request\
             &X-Amz-Date=20261126T180000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0000"
        )
    };
    let role_query =
        format!("Action=CreateRole&RoleName=any&AssumeRolePolicyDocument={trust}&Version=2010-05-08&{}", query("iam"));
    let text = |line: &str| line.to_owned();
    let faults = json!([{"operation": "ExecuteStatement", "kind": "LoseResponse"}]).to_string();
    vec![
        (text("GET /"), vec![], String::new()),
        (text("OPTIONS /"), vec![text("Access-Control-Request-Method: PUT")], String::new()),
        (text("GET /faults"), vec![], String::new()),
        (text("PUT /faults"), vec![text("Content-Type: application/json")], faults),
        (text("GET /_ministack/health"), vec![], String::new()),
        (text("POST /_ministack/reset"), vec![text("Content-Type: text/plain")], text("{}")),
        (text("GET /_gateway/keys?id=test"), vec![], String::new()),
        (text("GET /latest/meta-data/iam/security-credentials/"), vec![], String::new()),
        (text("GET /2018-06-01/runtime/invocation/next"), vec![], String::new()),
        (text("POST /2018-06-01/runtime/init/error"), vec![text("Content-Type: text/plain")], text("{}")),
        (format!("POST /?{role_query}"), vec![text("Content-Type: text/plain")], text(" ")),
        (
            format!("POST /2015-03-31/functions?{}", query("lambda")),
            vec![text("Content-Type: text/plain")],
            function.to_string(),
        ),
        (
            text("POST /"),
            vec![text("Content-Type: application/x-www-form-urlencoded")],
            text("Action=ListUsers&Version=2010-05-08"),
        ),
        (
            text("POST /"),
            vec![text("Content-Type: application/x-amz-json-1.1"), text("X-Amz-Target: RedshiftData.ExecuteStatement")],
            sql.to_string(),
        ),
    ]
}

/// Sends every request with more lines; nobody answers one, and no page could read that.
async fn refused(port: u16, name: &str, more: &[&str]) -> Outcome {
    for (first, head, body) in requests() {
        let head: Vec<_> = head.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let (status, answer) = ask(&format!("127.0.0.1:{port}"), &first, &head, &body).await?;
        assert!([403, 404, 405].contains(&status), "{name}: {status} to {first} {head:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control-"), "{name}: {first} {head:?}: {answer}");
    }
    Ok(())
}

impl Attacked {
    /// Attacks all that speaks HTTP, by lines that depend on the port.
    async fn attack(&self, lines: impl Fn(u16) -> Vec<String>) -> Outcome {
        for (port, name) in self.listeners()? {
            if name != "PostgreSQL" {
                let lines = lines(port);
                refused(port, name, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            }
        }
        self.nothing_happened().await
    }

    async fn nothing_happened(&self) -> Outcome {
        let made =
            format!("SELECT COUNT(*) FROM pg_class WHERE relname = '{}'", TABLE.rsplit('.').next().unwrap_or_default());
        assert_eq!(self.stack.warehouse.number(&made).await?, 0, "SQL ran");
        let functions = aws_sdk_lambda::Client::new(&self.stack.aws).list_functions().send().await?;
        let names: Vec<_> = functions.functions().iter().filter_map(|f| f.function_name()).collect();
        assert!(!names.is_empty() && !names.contains(&FUNCTION), "{names:?}");
        // Functions still answer: nobody took their events, and nothing was reset.
        assert!(
            self.stack.data_api.service.faults().left().is_empty() && self.alone.service.faults().left().is_empty()
        );
        invoke(&self.stack).await
    }
}

async fn everything_that_listens_is_known(a: &Attacked) -> Outcome {
    let found: HashSet<_> = a.listeners()?.into_values().collect();
    let expected = ["gateway", "Data API", "Data API alone", "page", "PostgreSQL", "function"];
    assert_eq!(found, HashSet::from(expected));
    Ok(())
}

async fn a_web_page_is_not_answered(a: &Attacked) -> Outcome {
    let own = |port: u16| format!("Host: 127.0.0.1:{port}");
    for origin in ["http://evil.example", "null", "http://localhost", "http://127.0.0.1:8000"] {
        a.attack(|port| vec![own(port), format!("Origin: {origin}")]).await?;
    }
    // An image or a link has no Origin, but the browser says that a page is behind it.
    a.attack(|port| vec![own(port), "Sec-Fetch-Site: cross-site".to_owned()]).await
}

async fn a_rebound_name_is_not_answered(a: &Attacked) -> Outcome {
    for host in ["evil.example", "localhost.evil.example", "0.0.0.0", "127.0.0.1.evil.example"] {
        a.attack(|port| vec![format!("Host: {host}:{port}"), "Sec-Fetch-Site: same-origin".to_owned()]).await?;
        a.attack(|port| vec![format!("Host: {host}:{port}")]).await?;
    }
    Ok(())
}

async fn another_user_is_not_answered(a: &Attacked) -> Outcome {
    let root = &a.stack.endpoint().keys.id;
    // What MiniStack takes for root; nobody; and root's key alone, which a log may have.
    for key in ["", "test", "000000000000", "ASIA0123456789ABCDEF", root] {
        for (port, name) in a.listeners()? {
            // Alone it is there for every program of this machine.
            if ["PostgreSQL", "Data API alone"].contains(&name) {
                continue;
            }
            let scope = format!("{key}/20261126/eu-west-1/iam/aws4_request");
            let authorization = format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, {SIGNATURE}");
            let host = format!("Host: 127.0.0.1:{port}");
            let lines = [host.as_str(), "X-Amz-Date: 20261126T180000Z", &authorization];
            refused(port, name, if key.is_empty() { &lines[..1] } else { &lines }).await?;
        }
    }
    a.nothing_happened().await
}

async fn keys_are_the_gateways_to_know(a: &Attacked) -> Outcome {
    let stack = &a.stack;
    // What MiniStack would give the function: anybody can compute it who knows two names.
    let lambda = aws_sdk_lambda::Client::new(&stack.aws);
    let function =
        lambda.get_function_configuration().function_name(stack.outputs.get("ProcRunnerName")).send().await?;
    let (arn, role) = (function.function_arn().unwrap_or_default(), function.role().unwrap_or_default());
    assert!(!arn.is_empty() && !role.is_empty());
    let hash = |text: String| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = hash(format!("{arn}:{role}"));
    let derived = Credentials::new(
        format!("ASIA{}", digest[..16].to_uppercase()),
        hash(format!("secret:{digest}")),
        Some(hash(format!("token:{digest}"))),
        None,
        "derived",
    );
    let keys = &stack.endpoint().keys;
    let wrong = Credentials::new(&keys.id, "wrong", None, None, "wrong");
    let token = Credentials::new(&keys.id, &keys.secret, Some("none".to_owned()), None, "token");
    let with = |config: &SdkConfig, keys: Credentials| {
        config.to_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build()
    };
    for (keys, code) in [
        (derived, "UnrecognizedClientException"),
        (Credentials::new("test", "test", None, None, "test"), "UnrecognizedClientException"),
        (wrong, "InvalidSignatureException"),
        (token, "InvalidSignatureException"),
    ] {
        let machines = aws_sdk_sfn::Client::new(&with(&stack.aws, keys.clone())).list_state_machines().send().await;
        assert_eq!(machines.expect_err("refused").code(), Some(code), "{keys:?}");
        let statements =
            aws_sdk_redshiftdata::Client::new(&with(&stack.redshift, keys.clone())).list_statements().send().await;
        assert_eq!(statements.expect_err("refused").code(), Some(code), "{keys:?}");
    }
    // A role that was taken on here has keys that count.
    let role = ["iam", "create-role", "--role-name", "reader", "--assume-role-policy-document"];
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    stack.cli().call(&[&role[..], &[&trust.to_string()]].concat()).await?;
    let take =
        ["sts", "assume-role", "--role-arn", "arn:aws:iam::000000000000:role/reader", "--role-session-name", "session"];
    let taken = stack.cli().call(&take).await?["Credentials"].clone();
    let text = |name: &str| taken[name].as_str().unwrap_or_default().to_owned();
    let session = |token| Credentials::new(text("AccessKeyId"), text("SecretAccessKey"), token, None, "session");
    let list =
        async |keys| aws_sdk_redshiftdata::Client::new(&with(&stack.redshift, keys)).list_statements().send().await;
    list(session(Some(text("SessionToken")))).await?;
    let without = list(session(None)).await.expect_err("refused");
    assert_eq!(without.code(), Some("InvalidSignatureException"));
    // The gateway knows it, and IAM, which has no policy for it, refuses it.
    let machines =
        aws_sdk_sfn::Client::new(&with(&stack.aws, session(Some(text("SessionToken"))))).list_state_machines();
    assert_eq!(machines.send().await.expect_err("refused").code(), Some("AccessDeniedException"));
    Ok(())
}

async fn the_warehouse_asks_for_its_password(a: &Attacked) -> Outcome {
    for password in [None, Some("postgres"), Some("")] {
        let mut config = tokio_postgres::Config::new();
        let ours = a.stack.warehouse.config();
        config.host("127.0.0.1").port(ours.get_ports()[0]).user(ours.get_user().unwrap_or_default());
        config.dbname(a.stack.warehouse.database());
        if let Some(password) = password {
            config.password(password);
        }
        assert!(config.connect(tokio_postgres::NoTls).await.is_err(), "{password:?}");
    }
    Ok(())
}

/// Nobody else may look into the stack's folder, in which MiniStack's socket is.
async fn another_user_does_not_get_to_the_files(a: &Attacked) -> Outcome {
    let dir = a.stack.dir.path();
    let mode = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.permissions().mode() & 0o777);
    let socket = dir.join("ministack/socket");
    assert!(socket.exists());
    assert_eq!((mode(&dir.join("ministack"))?, mode(dir)? & 0o007), (0o700, 0));
    if !Uid::effective().is_root() {
        assert_eq!(mode(dir)?, 0o700);
        return Ok(());
    }
    // PostgreSQL runs as nobody, who may pass through.
    for (user, file) in [(1, "."), (1, "ministack.log"), (65534, "ministack/socket"), (65534, "ministack.log")] {
        let path = dir.join(file);
        let mut looked = Command::new("sh");
        looked.args(["-c", r#"test -e "$0" && test -r "$0""#]).arg(&path).uid(user).gid(user).current_dir("/");
        assert!(!looked.status().await?.success(), "{user} reads {}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        everything_that_listens_is_known,
        a_web_page_is_not_answered,
        a_rebound_name_is_not_answered,
        another_user_is_not_answered,
        keys_are_the_gateways_to_know,
        the_warehouse_asks_for_its_password,
        another_user_does_not_get_to_the_files,
    ];
    run(
        tests,
        async || Attacked::start().await.expect("the stack"),
        async |a: Attacked| {
            drop(a.page);
            a.alone.stop().await;
            a.stack.stop().await;
        },
    )
}
