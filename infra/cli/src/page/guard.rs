//! Who is answered: a browser on this machine that has the page's address, and no other page that it shows.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// Nothing but our own files; no frame, no other site.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A secret as the first part of the path. Shown only where the address is printed.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// 122 random bits of the operating system.
    pub(super) fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    pub(super) fn as_path(&self) -> &str {
        &self.0
    }

    /// In a time that does not depend on where they differ.
    fn is(&self, other: &str) -> bool {
        let same = self.0.bytes().zip(other.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
        same && self.0.len() == other.len()
    }
}

/// Why a request is refused, if it is. `port` is where we listen.
pub(super) fn refusal(
    token: &Token,
    port: u16,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let one = |name: HeaderName| -> Option<&str> {
        let mut all = headers.get_all(name).iter();
        let first = all.next();
        // What is sent twice is nobody's.
        if all.next().is_some() { Some("") } else { first.map(|value| value.to_str().unwrap_or("")) }
    };
    // A name that a stranger's server resolves to this machine is not ours.
    let hosts = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}"));
    let Some(host) = one(header::HOST).filter(|host| hosts.iter().any(|own| own == host)) else {
        return Some((StatusCode::FORBIDDEN, "the page is for this machine only\n"));
    };
    let foreign = (StatusCode::FORBIDDEN, "the page answers no other page\n");
    let own = format!("http://{host}");
    let origin = one(header::ORIGIN);
    let site = one(HeaderName::from_static("sec-fetch-site"));
    match *method {
        Method::GET if origin.is_some_and(|origin| origin != own) => return Some(foreign),
        Method::POST if origin != Some(own.as_str()) || site.is_some_and(|site| site != "same-origin") => {
            return Some(foreign);
        }
        Method::GET | Method::POST => {}
        _ => return Some((StatusCode::METHOD_NOT_ALLOWED, "read the page, or send its forms\n")),
    }
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
    // As for any page that is not there.
    (!token.is(first))
        .then_some((StatusCode::NOT_FOUND, "there is nothing here: the address has a key, which was printed\n"))
}

/// What is sent with every answer.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Under no-referrer a browser sends "null" as the Origin of a form.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_browser_here_with_the_address_is_answered() {
        let token = Token::random();
        let path = format!("/{}/", token.as_path());
        let (own, site) = ("http://127.0.0.1:4000", "sec-fetch-site");
        let ok = None;
        let (away, gone) = (Some(StatusCode::FORBIDDEN), Some(StatusCode::NOT_FOUND));
        for (method, path, host, more, expected) in [
            ("GET", path.as_str(), "127.0.0.1:4000", &[][..], ok),
            ("GET", &path, "localhost:4000", &[(site, "none")], ok),
            ("GET", &path, "127.0.0.1:4000", &[("origin", own)], ok),
            ("GET", "/", "127.0.0.1:4000", &[], gone),
            ("GET", "/0123456789abcdef0123456789abcdef/", "127.0.0.1:4000", &[], gone),
            ("GET", &path[..20], "127.0.0.1:4000", &[], gone),
            ("GET", &path, "127.0.0.1:4001", &[], away),
            ("GET", &path, "rebound.example:4000", &[], away),
            ("GET", &path, "127.0.0.1:4000", &[("host", "127.0.0.1:4000")], away),
            ("GET", &path, "127.0.0.1:4000", &[("origin", "http://evil.example")], away),
            ("GET", &path, "127.0.0.1:4000", &[("origin", "null")], away),
            ("POST", &path, "127.0.0.1:4000", &[("origin", own)], ok),
            ("POST", &path, "127.0.0.1:4000", &[("origin", own), (site, "same-origin")], ok),
            ("POST", &path, "127.0.0.1:4000", &[], away),
            ("POST", &path, "127.0.0.1:4000", &[("origin", "null")], away),
            ("POST", &path, "127.0.0.1:4000", &[("origin", "http://localhost:4000")], away),
            ("POST", &path, "127.0.0.1:4000", &[("origin", own), (site, "cross-site")], away),
            ("POST", &path, "127.0.0.1:4000", &[("origin", own), (site, "same-site")], away),
            ("POST", "/", "127.0.0.1:4000", &[("origin", own)], gone),
            ("PUT", &path, "127.0.0.1:4000", &[("origin", own)], Some(StatusCode::METHOD_NOT_ALLOWED)),
            ("OPTIONS", &path, "127.0.0.1:4000", &[], Some(StatusCode::METHOD_NOT_ALLOWED)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).expect("a host"));
            for (name, value) in more {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let refused = refusal(&token, 4000, &method, path, &headers).map(|(status, _)| status);
            assert_eq!(refused, expected, "{method} {path} {host} {more:?}");
        }
        let refused = refusal(&token, 4000, &Method::GET, &path, &HeaderMap::new());
        assert_eq!(refused.map(|(status, _)| status), away, "without a host");
    }
}
