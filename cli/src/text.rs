//! Small things around text: percent escapes for paths, random passwords, reading secrets and files, asking a person.

use crate::Failure;
use serde_json::Value;
use std::{
    io::{IsTerminal, Read},
    path::Path,
};

/// Encodes one path segment.
///
/// # Errors
/// For nothing, `.` and `..`: a URL resolves those, and the request would end at another resource.
pub(crate) fn segment(text: &str) -> Result<String, Failure> {
    if matches!(text, "" | "." | "..") {
        return Err(Failure::usage(format!("'{text}' is no part of a name")));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(out)
}

/// `tenants/x` from `x` or `tenants/x`.
#[must_use]
pub(crate) fn full_name(collection: &str, given: &str) -> String {
    if given.starts_with(&format!("{collection}/")) {
        given.to_owned()
    } else {
        format!("{collection}/{given}")
    }
}

/// The name that `given` stands for, each segment encoded. `shape` is how such names look (`objectTypes/*/records/*`); the
/// collection in front may be left out.
///
/// # Errors
/// For a name of another shape: what was asked of a record must not be done to its type, or to a member.
pub(crate) fn resource(shape: &str, given: &str) -> Result<String, Failure> {
    let wrong = || Failure::usage(format!("'{given}' is not a name like {shape}"));
    let full = full_name(shape.split('/').next().unwrap_or_default(), given);
    if full.split('/').count() != shape.split('/').count() {
        return Err(wrong());
    }
    let parts = shape
        .split('/')
        .zip(full.split('/'))
        .map(|(wanted, part)| match wanted {
            "*" => segment(part).map_err(|_| wrong()),
            fixed if fixed == part => Ok(part.to_owned()),
            _ => Err(wrong()),
        });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("/"))
}

/// 144 random bits in 24 characters that need no quoting anywhere.
///
/// # Errors
/// Where the system gives no random bytes.
pub(crate) fn password() -> Result<String, Failure> {
    const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    let mut bytes = [0_u8; 24];
    // The TLS provider's generator: the only source of random bytes that is linked anyway.
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Failure::other("the system gives no random bytes"))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
        .collect())
}

/// A secret from stdin (its first line).
///
/// # Errors
/// Where stdin cannot be read or is empty.
pub(crate) fn secret_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(8_192).read_to_string(&mut text)?;
    first_line(&text).ok_or_else(|| Failure::usage("stdin holds no password"))
}

/// A secret typed by a person, without an echo.
///
/// # Errors
/// Where there is no terminal to ask at.
pub(crate) fn secret_from_prompt(prompt: &str) -> Result<String, Failure> {
    let terminal = console::Term::stderr();
    if !std::io::stdin().is_terminal() || !terminal.is_term() {
        return Err(Failure::usage(
            "there is no terminal to ask for the password: use --password-stdin or --env-file",
        ));
    }
    terminal.write_str(prompt)?;
    let secret = terminal.read_secure_line()?;
    first_line(&secret).ok_or_else(|| Failure::usage("no password was typed"))
}

/// A line typed by a person; `None` where there is no terminal to ask at.
///
/// # Errors
/// Where the terminal cannot be read.
pub(crate) fn line_from_prompt(prompt: &str) -> Result<Option<String>, Failure> {
    let terminal = console::Term::stderr();
    if !std::io::stdin().is_terminal() || !terminal.is_term() {
        return Ok(None);
    }
    terminal.write_str(prompt)?;
    Ok(Some(terminal.read_line()?))
}

/// The first line of a file that holds nothing but a secret.
///
/// # Errors
/// Where the file cannot be read or is empty.
pub(crate) fn secret_from_file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    first_line(&text).ok_or_else(|| Failure::usage(format!("{} is empty", path.display())))
}

/// JSON from a file; `-` is stdin.
///
/// # Errors
/// Where it cannot be read or is no JSON object.
pub(crate) fn json_object(path: &Path) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin().lock())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| failed(&error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(failed(&"must be a JSON object"))
    }
}

/// The value of `key` in a file of `KEY=value` lines.
///
/// # Errors
/// Where the file cannot be read or has no such key.
pub(crate) fn secret_from_env_file(path: &Path, key: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let value = text.lines().filter_map(|line| {
        line.trim()
            .strip_prefix("export ")
            .unwrap_or(line.trim())
            .split_once('=')
    });
    let value = value
        .filter(|(name, _)| name.trim() == key)
        .map(|(_, value)| unquote(value.trim()))
        .next_back();
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Failure::usage(format!("{} has no {key}=", path.display())))
}

fn unquote(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text).to_owned()
}

fn first_line(text: &str) -> Option<String> {
    text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_path() {
        let path = |shape, given| resource(shape, given).map_err(|failure| failure.exit().code());
        for (given, inside) in [
            ("acme", "tenants/acme"),
            ("tenants/acme", "tenants/acme"),
            ("a?b#c d", "tenants/a%3Fb%23c%20d"),
            ("%2e%2e", "tenants/%252e%252e"),
            ("a:purge", "tenants/a%3Apurge"),
            ("..\\plans", "tenants/..%5Cplans"),
        ] {
            assert_eq!(path("tenants/*", given), Ok(inside.to_owned()), "{given}");
        }
        for (shape, given) in [
            ("tenants/*", "../plans"),
            ("tenants/*", ".."),
            ("tenants/*", "."),
            ("tenants/*", ""),
            ("tenants/*", "tenants/"),
            ("tenants/*", "tenants/.."),
            ("tenants/*", "acme/domains"),
            ("tenants/*", "acme/"),
            ("apiKeys/*", "apiKeys/../users/1"),
            ("apiKeys/*", "users/1"),
            ("objectTypes/*/records/*", "objectTypes/zzz/../victim"),
            ("objectTypes/*/records/*", "objectTypes/victim"),
            ("objectTypes/*/records/*", "objectTypes/x/records/.."),
            ("objectTypes/*/records/*", "objectTypes/../records/1"),
            ("objectTypes/*/records/*", "objectTypes/x/other/1"),
        ] {
            assert_eq!(path(shape, given), Err(2), "{given}");
        }
    }

    #[test]
    fn passwords_differ() {
        let (a, b) = (password().unwrap(), password().unwrap());
        assert!(a.len() == 24 && a != b);
    }
}
