//! The arrows of the house, checked: which package may depend on which, which module may use which, and who may name a
//! heavy dependency. Exceptions are listed here with their reason and only shrink.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the root")
        .to_owned()
}

/// Allowed arrows between our own libraries.
fn allowed(package: &str) -> Option<&'static [&'static str]> {
    Some(match package {
        "kernel" | "api" => &[],
        "config" => &["kernel"],
        "telemetry" | "db" | "crypto" => &["kernel", "config"],
        "cache" => &["kernel", "config", "crypto"],
        "messaging" => &["kernel", "config", "telemetry"],
        "metering" => &["kernel", "api", "messaging"],
        "tenancy" => &["kernel", "api", "cache"],
        "server" => &["kernel", "api", "config", "telemetry", "crypto"],
        "operations" => &["kernel", "api", "db", "server"],
        _ => return None,
    })
}

/// Who may name what: `(crate name, packages)`.
const OWNERS: &[(&str, &[&str])] = &[
    // tenantctl reads declared tenants (TOML) with the parser that is here already.
    ("figment", &["config", "tenantctl"]),
    ("lapin", &["messaging"]),
    ("redis", &["cache"]),
    ("deadpool-redis", &["cache"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing-opentelemetry", &["telemetry"]),
    ("ring", &["crypto"]),
    ("aes-gcm", &["crypto"]),
    ("jsonwebtoken", &["crypto"]),
];

fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = metadata["packages"].as_array().expect("packages");
    list.iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|d| d["kind"].is_null());
            let names = normal.map(|d| short(d["name"].as_str().unwrap_or_default()));
            (short(package["name"].as_str().unwrap_or_default()), names.collect())
        })
        .collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("tenantry-").unwrap_or(name).to_owned()
}

#[test]
fn packages_depend_downwards_only() {
    let packages = packages();
    let own: BTreeSet<&String> = packages.keys().collect();
    for (package, dependencies) in &packages {
        let Some(allowed) = allowed(package) else { continue };
        for dependency in dependencies.iter().filter(|d| own.contains(d)) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}"
            );
        }
    }
    for service in ["gateway", "registry", "auth", "business", "backup", "monitoring"] {
        let dependencies = &packages[service];
        for other in [
            "gateway",
            "registry",
            "auth",
            "business",
            "backup",
            "monitoring",
            "tenantctl",
            "testkit",
        ] {
            assert!(!dependencies.contains(other), "{service} must not depend on {other}");
        }
    }
}

#[test]
fn heavy_dependencies_have_one_owner() {
    for (package, dependencies) in packages() {
        for (name, owners) in OWNERS {
            let named = dependencies.contains(*name) && !owners.contains(&package.as_str());
            assert!(!named, "{package} names {name}, which only {owners:?} may");
        }
    }
}

/// What a module of a service may use of its own crate.
fn module_may_use(module: &str) -> Option<&'static [&'static str]> {
    Some(match module {
        "rpc" => &["app", "domain", "error"],
        "app" => &[
            "app", "archive", "domain", "peers", "store", "error", "metrics", "config",
        ],
        // Backup: objects, and the services it moves data between.
        "archive" => &["archive", "domain"],
        "peers" => &[],
        "store" => &["store", "domain", "error", "metrics"],
        "domain" => &["domain"],
        "jobs" => &[
            "app", "archive", "domain", "peers", "store", "error", "metrics", "config", "jobs",
        ],
        _ => return None,
    })
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The first name behind every `crate::`, also inside of `crate::{a::b, c}`.
fn used_modules(text: &str) -> Vec<&str> {
    let first = |path: &str| -> usize {
        path.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(path.len())
    };
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.push(&rest[..first(rest)]);
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && c.is_alphanumeric() => {
                    found.push(&group[at..at + first(&group[at..])]);
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn used_modules_are_found_in_groups() {
    assert_eq!(
        used_modules("use crate::{a::{x, y}, b, c::d}; crate::e::f()"),
        ["a", "b", "c", "e"]
    );
}

#[test]
fn modules_of_a_service_use_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for service in ["tenant-registry", "auth", "business", "backup"] {
        let src = root().join("services").join(service).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        assert!(files.len() > 5, "{service} has only {} files", files.len());
        for file in files {
            let relative = file.strip_prefix(&src).expect("below src");
            let module = relative
                .components()
                .next()
                .and_then(|c| c.as_os_str().to_str())
                .unwrap_or_default()
                .trim_end_matches(".rs")
                .to_owned();
            let Some(allowed) = module_may_use(&module) else {
                continue;
            };
            let text = fs::read_to_string(&file).expect("readable");
            for used in used_modules(&text) {
                let is_module = src.join(used).is_dir() || src.join(format!("{used}.rs")).is_file();
                let entry_point = matches!(used, "lib" | "main");
                if is_module && !entry_point && used != module && !allowed.contains(&used) {
                    wrong.push(format!(
                        "{}: {module} uses {used}",
                        file.strip_prefix(root()).expect("below root").display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_reason_has_a_page_and_every_page_a_reason() {
    let folder = root().join("docs/errors");
    let pages: BTreeSet<String> = fs::read_dir(&folder)
        .expect("docs/errors")
        .flatten()
        .filter_map(|e| Some(e.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    let reasons: BTreeSet<String> = tenantry_kernel::Reason::ALL
        .iter()
        .map(|reason| reason.as_str().to_owned())
        .collect();
    assert_eq!(reasons, pages);
}

#[test]
fn no_source_file_outgrows_its_thought() {
    let mut files = Vec::new();
    for folder in ["libs", "services", "cli", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .filter_map(|file| Some((file, fs::read_to_string(file).ok()?.lines().count())))
        .filter(|(_, lines)| *lines > 500)
        .map(|(file, lines)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "split by resource: {long:#?}");
}
