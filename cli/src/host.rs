//! Where to dial: the URL of a tenant at a server, and names that end in `.localhost`.

use crate::Failure;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `*.localhost` is this machine (RFC 6761), though the C library does not say so; any other name is looked up.
pub(crate) struct LocalNames;

impl Resolve for LocalNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if is_local(name.as_str()) {
                let address: Addrs = Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
                return Ok(address);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether a host name stands for this machine.
#[must_use]
pub(crate) fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The URL at which `tenant` is served by `server`: its name becomes the first label of the host.
///
/// # Errors
/// Where `server` is no http(s) URL, or an address that cannot carry a name.
pub(crate) fn tenant_url(server: &str, tenant: Option<&str>) -> Result<Url, Failure> {
    let mut url = Url::parse(server).map_err(|error| Failure::usage(format!("--server {server}: {error}")))?;
    let host = url
        .host_str()
        .filter(|_| matches!(url.scheme(), "http" | "https"))
        .map(str::to_owned);
    let host =
        host.ok_or_else(|| Failure::usage(format!("--server {server}: must be http://HOST:PORT or https://HOST")))?;
    let Some(tenant) = tenant else { return Ok(url) };
    if !tenant
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        || tenant.is_empty()
    {
        return Err(Failure::usage(format!(
            "--tenant {tenant}: must be a tenant's short name, of a-z, 0-9 and '-'"
        )));
    }
    let name = if is_local(&host) {
        format!("{tenant}.localhost")
    } else if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Failure::usage(format!(
            "--server {server}: a tenant is found by its host name; give a name instead of an address"
        )));
    } else {
        format!("{tenant}.{host}")
    };
    url.set_host(Some(&name))
        .map_err(|error| Failure::usage(format!("--server {server}: {error}")))?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_the_first_label_of_the_host() {
        let url = |server: &str, tenant| {
            tenant_url(server, tenant)
                .map(String::from)
                .map_err(|failure| failure.exit().code())
        };
        assert_eq!(
            url("http://127.0.0.1:8080", Some("acme")),
            Ok("http://acme.localhost:8080/".to_owned())
        );
        assert_eq!(
            url("http://globex.localhost:8080", Some("acme")),
            Ok("http://acme.localhost:8080/".to_owned())
        );
        assert_eq!(
            url("https://tenantry.example", Some("acme")),
            Ok("https://acme.tenantry.example/".to_owned())
        );
        assert_eq!(
            url("https://help.acme.example", None),
            Ok("https://help.acme.example/".to_owned())
        );
        for (server, tenant) in [
            ("https://192.0.2.1", Some("acme")),
            ("ftp://x", None),
            ("x", None),
            ("http://localhost", Some("a.b")),
        ] {
            assert_eq!(url(server, tenant), Err(2), "{server}");
        }
    }
}
