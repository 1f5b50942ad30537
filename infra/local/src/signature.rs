//! Signature Version 4 of a request that arrived, checked by signing it again.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// How far the time of a request may be from ours. [IAM User Guide, "Troubleshoot Signature Version 4"]
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// What a request's Authorization says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature<'a> {
    /// The access key.
    pub(crate) key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: &'a str,
    value: &'a str,
}

impl<'a> Signature<'a> {
    /// The signature in a request's headers, if there is one whole one.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(text), None) = (all.next(), all.next()) else { return None };
        let fields = text.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .filter(|v| !v.is_empty())
        };
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [key, date, region, service, "aws4_request"] = scope[..] else { return None };
        Some(Self { key, date, region, service, signed: field("SignedHeaders")?, value: field("Signature")? })
    }

    /// Whether who signed this request had the secret, and signed it now.
    pub(crate) fn is_right(&self, secret: &str, head: &Parts, body: &[u8], now: SystemTime) -> bool {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(time) = header("x-amz-date").filter(|date| date.starts_with(self.date)).and_then(read_time) else {
            return false;
        };
        let distance = now.duration_since(time).unwrap_or_else(|before| before.duration());
        distance <= WINDOW && self.again(secret, head, body, time).is_some_and(|value| same(&value, self.value))
    }

    fn again(&self, secret: &str, head: &Parts, body: &[u8], time: SystemTime) -> Option<String> {
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        // S3 signs a path as it is sent.
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity = Credentials::new(self.key, secret, None, None, "signature").into();
        let parameters = SigningParams::builder().identity(&identity).region(self.region).name(self.service);
        let parameters = parameters.time(time).settings(settings).build().ok()?.into();
        let signed: Vec<_> = self.signed.split(';').collect();
        let headers: Option<Vec<_>> = head
            .headers
            .iter()
            .filter(|(name, _)| signed.contains(&name.as_str()))
            .map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let hash = head.headers.get("x-amz-content-sha256").map(HeaderValue::as_bytes).unwrap_or_default();
        // What is not the hash of the body says how the body is sent.
        let body = match std::str::from_utf8(hash) {
            Ok(kind) if kind.contains("PAYLOAD") => SignableBody::Precomputed(kind.to_owned()),
            _ => SignableBody::Bytes(body),
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = SignableRequest::new(head.method.as_str(), path, headers?.into_iter(), body).ok()?;
        Some(sign(request, &parameters).ok()?.signature().to_owned())
    }
}

fn read_time(text: &str) -> Option<SystemTime> {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    Some(PrimitiveDateTime::parse(text, form).ok()?.assume_utc().into())
}

/// In a time that does not depend on where they differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// The worked example of AWS's documentation of Signature Version 4.
    const KEY: &str = "AKIDEXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const DATE: &str = "20150830T123600Z";
    const PATH: &str = "/?Action=ListUsers&Version=2010-05-08";
    const SIGNATURE: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    const SIGNED: &str = "content-type;host;x-amz-date";

    fn authorization(date: &str, signed: &str, signature: &str) -> String {
        let scope = format!("{KEY}/{date}/us-east-1/iam/aws4_request");
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}")
    }

    fn head(path: &str, host: &str, date: &str, authorization: &str) -> Parts {
        let request = Request::get(path)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("host", host)
            .header("x-amz-date", date)
            .header("user-agent", "not signed")
            .header("authorization", authorization);
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn only_what_was_signed_is_right() {
        let (aws, good) = ("iam.amazonaws.com", authorization("20150830", SIGNED, SIGNATURE));
        let other = authorization("20150830", SIGNED, &SIGNATURE.replace('5', "6"));
        let (fewer, dated) =
            (authorization("20150830", "host;x-amz-date", SIGNATURE), authorization("20150829", SIGNED, SIGNATURE));
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (secret, path, host, date, authorization, body, after, right) in [
            (SECRET, PATH, aws, DATE, &good, "", minutes(0), true),
            (SECRET, PATH, aws, DATE, &good, "", minutes(14), true),
            (SECRET, PATH, aws, DATE, &good, "", minutes(16), false),
            ("test", PATH, aws, DATE, &good, "", minutes(0), false),
            (SECRET, "/?Action=ListRoles&Version=2010-05-08", aws, DATE, &good, "", minutes(0), false),
            (SECRET, PATH, "127.0.0.1:4566", DATE, &good, "", minutes(0), false),
            (SECRET, PATH, aws, "20150830T123601Z", &good, "", minutes(0), false),
            (SECRET, PATH, aws, "yesterday", &good, "", minutes(0), false),
            (SECRET, PATH, aws, DATE, &other, "", minutes(0), false),
            (SECRET, PATH, aws, DATE, &fewer, "", minutes(0), false),
            (SECRET, PATH, aws, DATE, &dated, "", minutes(0), false),
            (SECRET, PATH, aws, DATE, &good, "a=b", minutes(0), false),
        ] {
            let head = head(path, host, date, authorization);
            let signature = Signature::of(&head.headers).expect("a signature");
            let now = read_time(DATE).expect("a time") + after;
            assert_eq!(
                signature.is_right(secret, &head, body.as_bytes(), now),
                right,
                "{secret} {path} {host} {date} {authorization}"
            );
            assert_eq!(signature.key, KEY);
        }
    }

    #[test]
    fn a_part_of_a_signature_is_none() {
        let good = authorization("20150830", SIGNED, SIGNATURE);
        for text in [
            "",
            "Bearer abc",
            &good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            &good.replace("/aws4_request", ""),
            &good.replace("Signature=", "Signed="),
            &good.replace(SIGNATURE, ""),
            &good.replace("SignedHeaders", "Headers"),
        ] {
            assert_eq!(Signature::of(&head(PATH, "h", DATE, text).headers), None, "{text}");
        }
        let mut twice = head(PATH, "h", DATE, &good);
        twice.headers.append("authorization", HeaderValue::from_str(&good).expect("a value"));
        assert_eq!(Signature::of(&twice.headers), None);
        assert_eq!(Signature::of(&HeaderMap::new()), None);
    }
}
