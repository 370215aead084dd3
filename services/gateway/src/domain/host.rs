//! Which site a request is for: the host it named, made canonical, sorted by the rules of this installation.
//!
//! One rule per oddity, so that two readers of one request cannot disagree about its tenant: one authority only
//! (several hosts, or a request line that says another host than the header, are refused), ASCII lower case, the port
//! does not count, no user information, no trailing dot. It must never fall back to a default tenant.

use http::{HeaderMap, Uri, header, uri::Authority};

/// The host a request named, canonical: lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

/// Why a request names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Neither `:authority` nor `Host`.
    Missing,
    /// More than one host, or two that differ.
    Ambiguous,
    /// Not a host name.
    Malformed,
}

impl HostError {
    /// For the caller.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "The request names no host. Send a Host header (HTTP/1.1) or :authority (HTTP/2).",
            Self::Ambiguous => "The request names more than one host. Send exactly one.",
            Self::Malformed => "The host of the request is not a host name.",
        }
    }
}

impl Host {
    /// Reads the one host of a request.
    ///
    /// # Errors
    /// Where there is none, more than one, or something that is no host.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, HostError> {
        let mut named = headers.get_all(header::HOST).iter();
        let header = match (named.next(), named.next()) {
            (_, Some(_)) => return Err(HostError::Ambiguous),
            (Some(value), None) => Some(Self::parse(value.to_str().map_err(|_| HostError::Malformed)?)?),
            (None, None) => None,
        };
        let line = uri
            .authority()
            .map(|authority| Self::parse(authority.as_str()))
            .transpose()?;
        match (line, header) {
            (Some(line), Some(header)) if line != header => Err(HostError::Ambiguous),
            (Some(host), _) | (None, Some(host)) => Ok(host),
            (None, None) => Err(HostError::Missing),
        }
    }

    /// Makes a host canonical.
    ///
    /// # Errors
    /// For user information, a trailing dot, an empty label, anything but ASCII.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains('@') {
            return Err(HostError::Malformed);
        }
        let authority: Authority = text.parse().map_err(|_| HostError::Malformed)?;
        let name = authority.host().to_ascii_lowercase();
        let port = match text[authority.host().len()..].strip_prefix(':') {
            None if text.len() == name.len() => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| HostError::Malformed)?)
            }
            _ => return Err(HostError::Malformed),
        };
        if name.starts_with('[') {
            let address = name
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .unwrap_or_default();
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| HostError::Malformed)?;
        } else if !name.split('.').all(is_label) || name.len() > 253 {
            return Err(HostError::Malformed);
        }
        Ok(Self { name, port })
    }

    /// Lower case, without port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an `Origin` header value is this host, by http or https. A port left out is the scheme's own.
    #[must_use]
    pub fn is_origin(&self, origin: &str) -> bool {
        let (rest, default) = match origin.split_once("://") {
            Some(("https", rest)) => (rest, 443),
            Some(("http", rest)) => (rest, 80),
            _ => return false,
        };
        let Ok(other) = Self::parse(rest) else { return false };
        other.name == self.name && other.port.unwrap_or(default) == self.port.unwrap_or(default)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// What a host stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// The shared API host: the credential or the path says the tenant.
    Api,
    /// The operators' host: the platform tenant.
    Operator,
    /// `<slug>.<base domain>`.
    Slug(String),
    /// Perhaps a custom domain.
    Domain(String),
}

/// The hosts of this installation.
#[derive(Clone, Debug)]
pub struct HostRules {
    /// Tenants live one label below it.
    pub base_domain: String,
    /// Shared API hosts.
    pub api_hosts: Vec<String>,
    /// The operators' host.
    pub operator_host: String,
}

impl HostRules {
    /// What `host` stands for; `None` is a name under our own domain that no tenant can have.
    #[must_use]
    pub fn site(&self, host: &Host) -> Option<Site> {
        let name = host.name();
        if self.api_hosts.iter().any(|api| api == name) {
            return Some(Site::Api);
        }
        if name == self.operator_host {
            return Some(Site::Operator);
        }
        if name == self.base_domain {
            return None;
        }
        if let Some(slug) = name
            .strip_suffix(&self.base_domain)
            .and_then(|rest| rest.strip_suffix('.'))
        {
            return tenantry_kernel::slug::check(slug)
                .is_ok()
                .then(|| Site::Slug(slug.to_owned()));
        }
        // An address or a single label is nobody's domain.
        let domain = name.contains('.') && !name.starts_with('[') && name.parse::<std::net::Ipv4Addr>().is_err();
        domain.then(|| Site::Domain(name.to_owned()))
    }
}

#[cfg(test)]
#[path = "host_test.rs"]
mod tests;
