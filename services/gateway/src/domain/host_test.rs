use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn rules() -> HostRules {
    HostRules {
        base_domain: "localhost".into(),
        api_hosts: ["127.0.0.1", "localhost", "api.localhost", "[::1]"]
            .map(str::to_owned)
            .to_vec(),
        operator_host: "operator.localhost".into(),
    }
}

fn site(text: &str) -> Option<Site> {
    rules().site(&Host::parse(text).ok()?)
}

fn hosts(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            header::HOST,
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
    }
    headers
}

#[test]
fn a_tenant_host_is_one_label_below_the_base_domain_in_any_case_and_on_any_port() {
    for text in [
        "acme.localhost",
        "ACME.localhost",
        "Acme.LOCALHOST:8080",
        "acme.localhost:443",
    ] {
        assert_eq!(site(text), Some(Site::Slug("acme".into())), "{text}");
    }
}

#[test]
fn reserved_nested_and_impossible_names_are_nobody() {
    for text in [
        "www.localhost",
        "admin.localhost",
        "a.acme.localhost",
        "xn--acm-dma.localhost",
        "acme-.localhost",
        "1acme.localhost",
        "ab.localhost",
        "evil.operator.localhost",
        "10.0.0.1",
        "[::2]",
        "intranet",
        "a--b.localhost",
        "ac_me.localhost",
    ] {
        assert_eq!(site(text), None, "{text}");
    }
}

#[test]
fn odd_spellings_are_refused_instead_of_guessed() {
    for text in [
        "",
        "acme.localhost.",
        "localhost.",
        ".localhost",
        "acme..localhost",
        "user@acme.localhost",
        "user:pw@acme.localhost:80",
        "acme.localhost:",
        "acme.localhost:80:80",
        "acme.localhost:99999",
        "acme.localhost:8o",
        "acme.localhost/x",
        "acmé.localhost",
        "acme localhost",
        "acme.localhost\t",
        "[::1",
        "[::1]x",
        "[acme]",
        "[fe80::1%25eth0]",
        "acme%2elocalhost",
        "acme.localhost#f",
    ] {
        assert!(Host::parse(text).is_err(), "{text}");
    }
}

#[test]
fn shared_hosts_carry_no_tenant_and_operators_have_their_own() {
    for text in [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:1",
        "api.localhost",
        "[::1]:8080",
    ] {
        assert_eq!(site(text), Some(Site::Api), "{text}");
    }
    assert_eq!(site("Operator.localhost:8080"), Some(Site::Operator));
}

#[test]
fn other_names_are_looked_up_exactly_as_custom_domains() {
    assert_eq!(
        site("Help.Acme.Example"),
        Some(Site::Domain("help.acme.example".into()))
    );
    assert_eq!(
        site("xn--acm-dma.example"),
        Some(Site::Domain("xn--acm-dma.example".into()))
    );
    assert_eq!(
        site("notlocalhost.test"),
        Some(Site::Domain("notlocalhost.test".into()))
    );
    assert_eq!(site("acmelocalhost"), None, "a suffix without its dot is no subdomain");
}

#[test]
fn a_request_names_exactly_one_host() {
    let of = |uri: &str, values: &[&str]| Host::of(&uri.parse().expect("a uri"), &hosts(values)).map(|host| host.name);
    assert_eq!(of("/x", &["acme.localhost"]), Ok("acme.localhost".into()));
    assert_eq!(of("http://acme.localhost/x", &[]), Ok("acme.localhost".into()));
    assert_eq!(
        of("http://acme.localhost:80/x", &["ACME.localhost:80"]),
        Ok("acme.localhost".into())
    );
    assert_eq!(of("/x", &[]), Err(HostError::Missing));
    assert_eq!(
        of("/x", &["acme.localhost", "acme.localhost"]),
        Err(HostError::Ambiguous),
        "even twice the same"
    );
    assert_eq!(
        of("/x", &["acme.localhost", "globex.localhost"]),
        Err(HostError::Ambiguous)
    );
    assert_eq!(
        of("http://globex.localhost/x", &["acme.localhost"]),
        Err(HostError::Ambiguous)
    );
    assert_eq!(
        of("http://acme.localhost:1/x", &["acme.localhost:2"]),
        Err(HostError::Ambiguous),
        "ports count here"
    );
    assert_eq!(of("/x", &["acmé.localhost"]), Err(HostError::Malformed));
    assert_eq!(
        of("/x", &["acme.localhost, globex.localhost"]),
        Err(HostError::Malformed)
    );
}

#[test]
fn an_origin_is_the_same_only_with_the_same_host_and_port() {
    let host = Host::parse("acme.localhost:8080").expect("a host");
    assert!(host.is_origin("http://acme.localhost:8080"));
    assert!(host.is_origin("https://ACME.localhost:8080"));
    for other in [
        "http://acme.localhost",
        "http://acme.localhost:8081",
        "http://globex.localhost:8080",
        "null",
        "",
        "acme.localhost:8080",
        "ftp://acme.localhost:8080",
        "http://acme.localhost:8080/",
        "http://x@acme.localhost:8080",
        "http://acme.localhost:8080.evil.test",
    ] {
        assert!(!host.is_origin(other), "{other}");
    }
    let plain = Host::parse("help.acme.example").expect("a host");
    assert!(plain.is_origin("https://help.acme.example") && plain.is_origin("https://help.acme.example:443"));
    assert!(!plain.is_origin("https://help.acme.example:80"));
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_accepted_is_canonical(text in "\\PC{0,80}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(&Host::parse(host.name()).expect("canonical").name, &host.name);
            prop_assert!(!host.name().bytes().any(|b| b.is_ascii_uppercase()));
        }
    }
    #[test]
    fn a_slug_site_always_spells_the_whole_host(label in "[A-Za-z0-9._-]{1,45}") {
        let text = format!("{label}.localhost");
        if let Some(Site::Slug(slug)) = site(&text) {
            prop_assert_eq!(format!("{slug}.localhost"), text.to_ascii_lowercase());
        }
    }
}
