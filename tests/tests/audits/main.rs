//! The SQL of audits, as declarations make it, on a real PostgreSQL: random pairs of tables beside a comparison in Rust.

mod oracle;
mod pair;
mod value;
mod windows;

use std::collections::BTreeSet;
use std::process::ExitCode;

use fastrand::Rng;
use loader::audit::Declaration;
use redshift_local::warehouse::Warehouse;
use tests::database::Database;
use tests::{Any, Outcome, failed, run, tests};

use oracle::{Mismatch, mismatches};
use pair::Pair;
use windows::*;

/// How many pairs, without AUDIT_PAIRS.
const PAIRS: u64 = 200;
/// Audits of a pair.
const AUDITS: usize = 3;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// AUDIT_SEED plays a pair again, and those after it; AUDIT_PAIRS says how many.
async fn random_pairs_are_audited_exactly(database: &Database) -> Outcome {
    let first = number("AUDIT_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    let mut found = 0;
    for seed in first..first + number("AUDIT_PAIRS").unwrap_or(PAIRS) {
        let outcome = audit(&database.warehouse, seed).await;
        found += outcome.map_err(|e| failed(format!("AUDIT_SEED={seed} AUDIT_PAIRS=1: {e}")))?;
    }
    assert!(found > 0, "nothing was ever wrong");
    Ok(())
}

/// Audits a random pair several times while it changes; returns how many mismatches there were.
async fn audit(warehouse: &Warehouse, seed: u64) -> Any<usize> {
    let mut random = Rng::with_seed(seed);
    let schema = format!("pair_{seed}");
    let mut pair = Pair::random(schema.clone(), &mut random);
    let declaration = pair.declaration();
    let sql = Declaration::parse("pair.yaml", &declaration)?.sql()?;
    let wrong = |what: String| failed(format!("{what}\n{declaration}\n{}", pair_text(&pair)));
    let session = warehouse.connect().await?;
    session.batch_execute(&format!("CREATE SCHEMA {schema}; {}", pair.tables())).await?;
    session.batch_execute(&sql).await.map_err(|e| wrong(format!("the SQL is refused: {e:?}")))?;
    let (mut seen, mut runs) = (BTreeSet::new(), Vec::new());
    let mut count = 0;
    for round in 0..AUDITS {
        // A window takes a run that is older than all that the source has for one whose files have expired.
        let bounded = pair.has_source_of_all(&runs) && random.bool();
        let audited = session
            .batch_execute(&format!("CALL {schema}.audit_pair{}_sp()", if bounded { "" } else { "_sweep" }))
            .await;
        runs.extend(pair.runs());
        if pair.source.is_empty() && !pair.target.is_empty() {
            assert!(audited.is_err(), "an empty source");
            break;
        }
        audited.map_err(|e| failed(format!("audit {round}: {e:?}\n{declaration}\n{}", pair_text(&pair))))?;
        let expected = mismatches(&pair);
        count += expected.len();
        seen.extend(expected.iter().map(Mismatch::identity));
        let texts = async |sql: &str| -> Any<Vec<String>> {
            Ok(session.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
        };
        let wrong = |what: &str, rows: &[String]| {
            failed(format!(
                "audit {round}: {what}: {rows:?}\nexpected {expected:#?}\n{declaration}\n{}",
                pair_text(&pair)
            ))
        };
        let columns = columns(&pair);
        let unresolved =
            format!("SELECT {columns} FROM {schema}.pair_audit WHERE status <> 'RESOLVED' AND kind <> 'UNKNOWN'");
        session
            .batch_execute(&format!(
                "CREATE TEMP TABLE expected AS {unresolved} AND FALSE; {}",
                insert(&expected, pair.keys)
            ))
            .await?;
        let told = format!("SELECT {columns} FROM expected");
        for (what, a, b) in [("not expected", &unresolved, &told), ("not found", &told, &unresolved)] {
            let rows = texts(&format!("SELECT CAST(ROW(d.*) AS VARCHAR) FROM ({a} EXCEPT ALL {b}) d")).await?;
            if !rows.is_empty() {
                return Err(wrong(what, &rows));
            }
        }
        let all = texts(&format!("SELECT CAST(mismatch_key AS VARCHAR) FROM {schema}.pair_audit")).await?;
        // The row of a key may have gone on as that of its run.
        let distinct: BTreeSet<_> = all.iter().collect();
        let most_gone_on = all.iter().filter(|key| key.ends_with(":*")).count();
        if distinct.len() != all.len() || all.len() > seen.len() || all.len() + most_gone_on < seen.len() {
            return Err(wrong("one row for each mismatch there ever was is expected", &all));
        }
        session.batch_execute("DROP TABLE expected").await?;
        pair.go_on(&mut random);
        session.batch_execute(&pair.tables()).await?;
    }
    session.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await?;
    Ok(count)
}

fn columns(pair: &Pair) -> String {
    let identity: Vec<_> = pair.columns[..=pair.keys].iter().map(|column| column.name.as_str()).collect();
    format!("{}, kind, differing_columns, row_count", identity.join(", "))
}

fn insert(expected: &[Mismatch], keys: usize) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let value = |text: &Option<String>| text.as_ref().map_or("NULL".to_owned(), |text| quoted(text));
    let insert = |mismatch: &Mismatch, keys: &[Option<String>]| {
        let keys: String = keys.iter().map(|key| format!("{}, ", value(key))).collect();
        let rest = format!("'{}', {}, {}", mismatch.kind, quoted(&mismatch.columns), mismatch.rows);
        format!("INSERT INTO expected VALUES ({}, {keys}{rest});", value(&mismatch.run))
    };
    let of = |mismatch: &Mismatch| match &mismatch.keys {
        Some(keys) => insert(mismatch, keys),
        None => insert(mismatch, &vec![None; keys]),
    };
    expected.iter().map(of).collect()
}

fn pair_text(pair: &Pair) -> String {
    let rows = |rows: &[pair::Row]| rows.iter().map(|row| format!("  {row:?}\n")).collect::<String>();
    format!("source\n{}target\n{}", rows(&pair.source), rows(&pair.target))
}

fn main() -> ExitCode {
    let start = async || {
        let database = Database::start().await;
        database.warehouse.reset().await.expect("tables");
        database
    };
    let tests = tests![
        random_pairs_are_audited_exactly,
        runs_of_the_last_days_are_audited_and_older_ones_are_not,
        files_that_have_expired_are_no_mismatch,
        more_runs_than_a_list_holds_are_all_audited,
        a_young_run_is_left_alone_with_or_without_a_name,
        a_declaration_may_grow,
    ];
    run(tests, start, Database::stop)
}
