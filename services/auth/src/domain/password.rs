//! The password policy: length and a blocklist, nothing about character classes (NIST 800-63B-4).

use tenantry_kernel::{Error, Reason, Result};

/// Fewest bytes.
pub const MIN: usize = 12;
/// Most bytes: hashing must stay bounded.
pub const MAX: usize = 1024;

/// Stems of passwords that every list of leaked ones begins with. Compared after folding case, digits at the end and
/// simple substitutions, so that `P@ssword1234` is found too.
const COMMON: &[&str] = &[
    "password",
    "passwordpassword",
    "qwertyuiop",
    "qwertyuiopasdf",
    "letmein",
    "letmeinplease",
    "welcome",
    "welcometo",
    "iloveyou",
    "administrator",
    "admin",
    "adminadmin",
    "changeme",
    "changemenow",
    "trustno",
    "football",
    "baseball",
    "superman",
    "sunshine",
    "princess",
    "dragon",
    "monkey",
    "master",
    "shadow",
    "abcdefghijkl",
    "abcdefghijklmnop",
    "qazwsxedcrfv",
    "zxcvbnm",
    "asdfghjkl",
    "correcthorsebatterystaple",
    "tenantry",
    "default",
    "secret",
    "topsecret",
    "passw",
    "starwars",
    "whatever",
    "computer",
    "internet",
];

/// Accepts a new password of the member with this address.
///
/// # Errors
/// `PASSWORD_REJECTED`, saying what is accepted.
pub fn accept(password: &str, email: &str) -> Result<()> {
    if !(MIN..=MAX).contains(&password.len()) {
        return Err(rejected("must have 12 to 1024 bytes"));
    }
    let local = email.split('@').next().unwrap_or_default().to_lowercase();
    let common = stems(password)
        .iter()
        .any(|stem| COMMON.contains(&stem.as_str()) || *stem == local);
    if common || is_run(password) || password.eq_ignore_ascii_case(email) {
        return Err(rejected(
            "is too common or made of your address; choose several unrelated words",
        ));
    }
    Ok(())
}

fn rejected(description: &str) -> Error {
    Error::new(Reason::PasswordRejected, format!("The password {description}.")).field("password", description)
}

/// What a common password may be dressed up from: digits and punctuation at both ends dropped, substitutions undone, in
/// either order.
fn stems(text: &str) -> [String; 3] {
    let lower = text.to_lowercase();
    let bare = |text: &str| text.trim_matches(|c: char| !c.is_alphabetic()).to_owned();
    [bare(&lower), plain(&bare(&lower)), bare(&plain(&lower))]
}

fn plain(text: &str) -> String {
    let undo = |c| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '$' | '5' => 's',
        other => other,
    };
    text.chars().map(undo).collect()
}

/// One character, or a short pattern, repeated, or counting up or down: `aaaaaaaaaaaa`, `abcabcabcabc`, `123456789012`.
fn is_run(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let repeats = (1..=4).any(|width| chars.iter().enumerate().all(|(at, c)| *c == chars[at % width]));
    let step = |by: i64| {
        chars
            .windows(2)
            .all(|pair| (i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])) - by).rem_euclid(10) == 0)
    };
    repeats || (chars.iter().all(char::is_ascii_digit) && (step(1) || step(-1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_commonness_decide_and_nothing_else() {
        let long = "äöüxyz ".repeat(102);
        for good in [
            "four unrelated words here",
            "кириллица тоже",
            "x7#kQ!vv0pLm",
            &long,
            "            three spaces",
        ] {
            assert!(accept(good, "ada@example.org").is_ok(), "{good}");
        }
        let huge = "x".repeat(1025);
        let bad = [
            "",
            "elevenbytes",
            &huge,
            "password1234",
            "P@ssword12345",
            "aaaaaaaaaaaa",
            "abcabcabcabcabc",
            "123456789012",
            "ada@example.org",
            "Qwertyuiop123",
            "098765432109",
        ];
        for bad in bad {
            assert!(accept(bad, "ada@example.org").is_err(), "{bad}");
        }
    }
}
