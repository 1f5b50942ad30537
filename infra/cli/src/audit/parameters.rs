//! `loader audit parameters`: what a stack that tells of these audits takes.

use serde_json::{Map, json};

use super::declaration::Declaration;
use crate::install::LOAD;

/// Lines for a file of parameters: the procedures, the audit tables with their columns, and the words of their notifications.
pub fn parameters(audits: &[Declaration]) -> String {
    let orders = audits.iter().any(|audit| audit.name() == "orders").then(|| LOAD.to_owned());
    let windows = audits.iter().map(|audit| audit.procedures()[0].clone());
    let procedures: Vec<_> = orders.into_iter().chain(windows).collect();
    let tables: Vec<_> = audits.iter().map(Declaration::told).collect();
    let sweeps: Vec<_> = audits.iter().map(|audit| audit.procedures()[1].clone()).collect();
    let words: Map<_, _> = audits
        .iter()
        .filter_map(|audit| Some((audit.table().to_string(), json!(audit.notification.as_ref()?.value))))
        .collect();
    let mut lines = format!(
        "# Your load comes before the audits.\nProcedures={}\nAuditTables={}\nFullAuditProcedures={}\n",
        procedures.join(","),
        tables.join(","),
        sweeps.join(",")
    );
    if audits.len() > 1 {
        lines += "UnresolvedAlarmByAudit=true\n";
    }
    if !words.is_empty() {
        lines += &format!("NotificationWords={}\n", json!(words));
    }
    lines
}

impl Declaration {
    /// The audit table with its columns, as `AuditTables` has it.
    fn told(&self) -> String {
        let time = self.time.as_ref().map_or("first_seen_at".to_owned(), |time| time.value.to_string());
        format!("{}:{}:{time}", self.table(), self.run.name.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::project;

    #[test]
    fn the_parameters_name_procedures_tables_and_words() {
        let payments = "name: payments\nsource: s.a\ntarget: shop.\"Pay\"\nrun: {name: '\"The run\"', type: BIGINT}\nkey: [{name: id, type: BIGINT}]\n\
                        columns: []\nwindow: {runs: 3}\nnotification: {subject: Payments differ}\n";
        let audits = [
            Declaration::read(&project("infra/audits/orders.yaml")).expect("valid"),
            Declaration::parse("payments.yaml", payments).expect("valid"),
        ];
        assert_eq!(
            parameters(&audits),
            "# Your load comes before the audits.\n\
             Procedures=dev.enriched_orders_sp,dev.audit_orders_sp,shop.audit_payments_sp\n\
             AuditTables=dev.orders_audit:run_id:order_ts,shop.payments_audit:\"The run\":first_seen_at\n\
             FullAuditProcedures=dev.audit_orders_sweep_sp,shop.audit_payments_sweep_sp\n\
             UnresolvedAlarmByAudit=true\n\
             NotificationWords={\"shop.payments_audit\":{\"subject\":\"Payments differ\"}}\n"
        );
    }
}
