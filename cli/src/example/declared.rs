//! The declaration of one tenant: `tenant.toml`, `types.json` and CSV files beside them.

use crate::Failure;
use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// `tenant.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenant {
    /// First label of its host.
    pub(crate) slug: String,
    /// Name for people.
    pub(crate) display_name: String,
    /// Id of its plan.
    pub(crate) plan: String,
    /// Branding values, by their names in the API.
    pub(crate) brand: BTreeMap<String, String>,
    /// The first one is the first owner.
    pub(crate) members: Vec<Member>,
    /// CSV files of records, in the order of their references.
    #[serde(default)]
    pub(crate) records: Vec<Records>,
    /// CSV files for the import service.
    #[serde(default)]
    pub(crate) imports: Vec<Import>,
    /// `types.json`: object types as the API takes them, in the order of their references.
    #[serde(skip)]
    pub(crate) types: Vec<Value>,
    /// Where the files are.
    #[serde(skip)]
    pub(crate) dir: PathBuf,
}

/// One member.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// E-mail.
    pub(crate) email: String,
    /// Name for people.
    pub(crate) display_name: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub(crate) role: String,
}

/// A CSV file whose columns are fields of a type.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Records {
    /// Id of the type.
    #[serde(rename = "type")]
    pub(crate) object_type: String,
    /// CSV file, beside `tenant.toml`.
    pub(crate) file: PathBuf,
    /// The unique field by which a record is known to be there already.
    pub(crate) key: String,
}

/// A CSV file for `UploadImport` and `StartImport` with `create_type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// Id of the type that is made.
    #[serde(rename = "type")]
    pub(crate) object_type: String,
    /// CSV file, beside `tenant.toml`.
    pub(crate) file: PathBuf,
    /// Types by header where the inferred one is not meant.
    #[serde(default)]
    pub(crate) types: BTreeMap<String, String>,
    /// Texts that mean null.
    #[serde(default)]
    pub(crate) null_values: Vec<String>,
    /// strftime patterns.
    #[serde(default)]
    pub(crate) date_formats: Vec<String>,
}

/// Reads every folder of `dir` that has a `tenant.toml`, by name.
///
/// # Errors
/// Names the file and what is wrong in it.
pub(crate) fn read_all(dir: &Path) -> Result<Vec<Tenant>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("tenant.toml").is_file())
        .collect();
    folders.sort();
    if folders.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no folder with a tenant.toml",
            dir.display()
        )));
    }
    folders.iter().map(|folder| read(folder)).collect()
}

fn read(dir: &Path) -> Result<Tenant, Failure> {
    let file = dir.join("tenant.toml");
    let wrong = |file: &Path, error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", file.display()));
    let mut tenant: Tenant = Figment::from(Toml::file_exact(&file))
        .extract()
        .map_err(|error| wrong(&file, &error))?;
    tenant.dir = dir.to_owned();
    let types = dir.join("types.json");
    let text = fs::read(&types).map_err(|error| wrong(&types, &error))?;
    tenant.types = serde_json::from_slice(&text).map_err(|error| wrong(&types, &error))?;
    check(&tenant).map_err(|what| wrong(&file, &what))?;
    Ok(tenant)
}

fn check(tenant: &Tenant) -> Result<(), String> {
    if tenant.members.first().map(|member| member.role.as_str()) != Some("owner") {
        return Err("the first of members must be an owner".to_owned());
    }
    for member in &tenant.members {
        role(&member.role).ok_or_else(|| format!("{}: role must be owner, admin, member or viewer", member.email))?;
    }
    let types: BTreeSet<&str> = tenant.types.iter().filter_map(|one| one["name"].as_str()).collect();
    for records in &tenant.records {
        if !types.contains(format!("objectTypes/{}", records.object_type).as_str()) {
            return Err(format!(
                "records of '{}', which types.json does not have",
                records.object_type
            ));
        }
        exists(&tenant.dir, &records.file)?;
    }
    tenant
        .imports
        .iter()
        .try_for_each(|import| exists(&tenant.dir, &import.file))
}

fn exists(dir: &Path, file: &Path) -> Result<(), String> {
    if dir.join(file).is_file() {
        Ok(())
    } else {
        Err(format!("{} is not there", dir.join(file).display()))
    }
}

/// The name of a role in the API.
#[must_use]
pub(crate) fn role(name: &str) -> Option<&'static str> {
    match name {
        "owner" => Some("ROLE_OWNER"),
        "admin" => Some("ROLE_ADMIN"),
        "member" => Some("ROLE_MEMBER"),
        "viewer" => Some("ROLE_VIEWER"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_this_repository_are_complete() {
        let tenants = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"))).unwrap();
        assert_eq!(
            tenants.iter().map(|tenant| tenant.slug.as_str()).collect::<Vec<_>>(),
            ["acme", "globex"]
        );
        assert_ne!(tenants[0].plan, tenants[1].plan);
        assert_ne!(tenants[0].brand["primaryColor"], tenants[1].brand["primaryColor"]);
        for tenant in &tenants {
            let roles: Vec<&str> = tenant.members.iter().map(|member| member.role.as_str()).collect();
            assert_eq!(roles, ["owner", "admin", "member", "viewer"]);
            for records in &tenant.records {
                super::super::records::check_file(tenant, records).unwrap();
            }
        }
    }
}
