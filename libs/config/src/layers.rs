//! The three layers and how they are merged.
//!
//! Keys of secrets end in `url`, `secret` or `password`, or are entries of a table called `secrets`. That rule does two
//! things: such a value from the environment stays text (figment would turn `12e4` into a number), and such a key has a
//! `<key>_file` twin whose content replaces it. Twins are resolved per layer, so a later layer wins in either form.

use crate::ConfigError;
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Env, Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};
use serde::de::DeserializeOwned;
use std::{fs, path::Path};

const PREFIX: &str = "TENANTRY__";

/// `section.key` and raw text of every variable of ours.
pub(crate) fn environment() -> Vec<(String, String)> {
    Env::prefixed(PREFIX)
        .split("__")
        .iter()
        .map(|(key, value)| (key.as_str().to_lowercase(), value))
        .collect()
}

pub(crate) fn load<T: DeserializeOwned>(
    defaults: &'static str,
    file: Option<&Path>,
    environment: Vec<(String, String)>,
) -> Result<T, ConfigError> {
    let mut figment = Figment::from(Layer::toml("built-in defaults".to_owned(), defaults)?);
    if let Some(path) = file {
        figment = figment.merge(Layer::toml(path.display().to_string(), &read(path)?)?);
    }
    figment
        .merge(Layer::environment(environment)?)
        .extract()
        .map_err(|error| ConfigError::Parse(describe(&error)))
}

/// One resolved layer; the name appears in error messages.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn toml(name: String, text: &str) -> Result<Self, ConfigError> {
        let mut profiles = Toml::string(text)
            .data()
            .map_err(|error| ConfigError::Parse(format!("{name} is not TOML: {}", describe(&error))))?;
        let mut values = profiles.remove(&Profile::Default).unwrap_or_default();
        resolve_files(&mut values, "")?;
        Ok(Self { name, values })
    }

    fn environment(variables: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let mut values = Dict::new();
        for (key, text) in variables {
            let value = if stays_text(&key) {
                Value::from(text)
            } else {
                text.parse()
                    .unwrap_or_else(|never: std::convert::Infallible| match never {})
            };
            merge(&mut values, nest(&key, value));
        }
        resolve_files(&mut values, "")?;
        Ok(Self {
            name: "the environment".to_owned(),
            values,
        })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn merge(into: &mut Dict, from: Value) {
    let Value::Dict(_, from) = from else { return };
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, deeper)), value @ Value::Dict(..)) => merge(deeper, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn is_secret(leaf: &str, parent: &str) -> bool {
    parent == "secrets"
        || ["url", "secret", "password", "token", "access_key", "access_key_id"]
            .iter()
            .any(|end| leaf.ends_with(end))
}

fn stays_text(path: &str) -> bool {
    let mut parts = path.rsplit('.');
    let leaf = parts.next().unwrap_or_default();
    leaf.ends_with("_file") || is_secret(leaf, parts.next().unwrap_or_default())
}

fn resolve_files(table: &mut Dict, parent: &str) -> Result<(), ConfigError> {
    let twins: Vec<String> = table
        .keys()
        .filter(|key| key.strip_suffix("_file").is_some_and(|leaf| is_secret(leaf, parent)))
        .cloned()
        .collect();
    for twin in twins {
        let leaf = twin.strip_suffix("_file").expect("filtered for it above").to_owned();
        let path = table.remove(&twin).and_then(Value::into_string);
        let path =
            path.ok_or_else(|| ConfigError::invalid(format!("{parent}.{twin}"), "must be the path of a file"))?;
        if table.contains_key(&leaf) {
            return Err(ConfigError::invalid(
                format!("{parent}.{twin}"),
                format!("and {leaf} are both given; keep one"),
            ));
        }
        table.insert(
            leaf,
            Value::from(read(Path::new(&path))?.trim_end_matches(['\n', '\r']).to_owned()),
        );
    }
    for (key, value) in table.iter_mut() {
        if let Value::Dict(_, deeper) = value {
            resolve_files(deeper, key)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// figment's text plus the full key and the layer; the value of a secret is always text and never part of it.
fn describe(error: &figment::Error) -> String {
    let source = error
        .metadata
        .as_ref()
        .map(|metadata| format!(" (from {})", metadata.name))
        .unwrap_or_default();
    match error.path.join(".") {
        path if path.is_empty() => format!("{}{source}", error.kind),
        path => format!("{path}: {}{source}", error.kind),
    }
}

#[cfg(test)]
#[path = "layers_test.rs"]
mod tests;
