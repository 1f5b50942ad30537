//! Prices in US dollars, of us-east-1, without free tiers, as known on 2026-11-26.
//!
//! They are those of eu-west-1 as well, except for logs and DynamoDB, which cost an eighth more there. Each constant names
//! the page that lists it; whoever plans by these figures looks there first.

/// The day on which the prices were looked at.
pub const DATE: &str = "2026-11-26";
/// Days of a month, on average.
pub const DAYS_A_MONTH: f64 = 365.0 / 12.0;
/// Hours of a month, as AWS counts them.
pub const HOURS_A_MONTH: f64 = 24.0 * DAYS_A_MONTH;
const MILLION: f64 = 1_000_000.0;

/// Standard workflows. [aws.amazon.com/step-functions/pricing: the same in eu-west-1]
pub const TRANSITION: f64 = 0.025 / 1000.0;
/// [aws.amazon.com/lambda/pricing]
pub const REQUEST: f64 = 0.20 / MILLION;
/// x86, first tier. [aws.amazon.com/lambda/pricing]
pub const GB_SECOND: f64 = 0.000_016_666_7;
/// A durable operation: the start of an execution, a step, a wait. From a third party's transcription of AWS's page, which
/// has it in a worked example for us-east-1. What is written and kept costs a little besides, and is left out.
/// [github.com/api-evangelist/aws-lambda, plans, 2026-09-20]
pub const DURABLE_OPERATION: f64 = 8.0 / MILLION;
/// On demand. [aws.amazon.com/dynamodb/pricing]
pub const STORE_WRITE: f64 = 0.625 / MILLION;
/// On demand. [aws.amazon.com/dynamodb/pricing]
pub const STORE_READ: f64 = 0.125 / MILLION;
/// An event that a service sends on request, which `WithEvent` is. Other events of AWS's are free.
/// [aws.amazon.com/eventbridge/pricing, "opt-in data events"]
pub const OPT_IN_EVENT: f64 = 1.0 / MILLION;
/// A month. [aws.amazon.com/cloudwatch/pricing, standard resolution]
pub const ALARM: f64 = 0.10;
/// A month, of each beyond three in the account. [aws.amazon.com/cloudwatch/pricing]
pub const DASHBOARD: f64 = 3.0;
/// A month of writing at least once in every hour; prorated by the hour. [aws.amazon.com/cloudwatch/pricing]
pub const METRIC: f64 = 0.30;
/// A GB that Lambda or Step Functions writes to logs. [aws.amazon.com/cloudwatch/pricing]
pub const LOG_GB: f64 = 0.50;
/// A GB of logs that is kept, a month. [aws.amazon.com/cloudwatch/pricing]
pub const KEPT_LOG_GB: f64 = 0.03;
/// A trace that is recorded. [aws.amazon.com/xray/pricing]
pub const TRACE: f64 = 5.0 / MILLION;
/// A month. The first and the second yearly rotation add as much each. [aws.amazon.com/kms/pricing]
pub const KEY: f64 = 1.0;
/// [aws.amazon.com/kms/pricing]
pub const KEY_REQUEST: f64 = 0.03 / 10_000.0;
/// [aws.amazon.com/sns/pricing, standard topics]
pub const PUBLISH: f64 = 0.50 / MILLION;
/// [aws.amazon.com/sns/pricing]
pub const MAIL: f64 = 2.0 / 100_000.0;
/// [aws.amazon.com/sqs/pricing, standard queues]
pub const QUEUE_REQUEST: f64 = 0.40 / MILLION;
