//! The one way in which resources are listed, read, changed and printed: a noun says where it lives and which columns it
//! shows, and adds only what is its own.

use crate::{
    Failure,
    args::Globals,
    http::{Api, Call},
    output::{self, Column, Format},
    session, text,
};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

/// How much of a list is shown.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Limit {
    /// At most this many, 0 for all; if left out, 50 in a table and all with -o json, yaml or name
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Limit {
    /// What people can take in. A program is never given a part of a list that it did not ask for.
    const TABLE: usize = 50;

    /// Everything.
    pub(crate) const ALL: Self = Self { limit: Some(0) };

    /// At most so many; 0 for all.
    pub(crate) fn most(self, output: Format) -> usize {
        let most = if output.is_table() { Self::TABLE } else { 0 };
        self.limit.unwrap_or(most)
    }
    /// Says that there are more, to whoever did not set the limit.
    pub(crate) fn note(self, more: bool) {
        if more && self.limit.is_none() {
            output::say("More exist; use --limit 0 for all of them.");
        }
    }
}

/// A kind of resource.
pub(crate) struct Resource {
    /// Where it is listed and made: `/v1/users`.
    pub(crate) path: &'static str,
    /// Key of the items in a list: `users`.
    pub(crate) items: &'static str,
    /// How its names look: `users/*`.
    pub(crate) shape: &'static str,
    /// What a table shows.
    pub(crate) columns: &'static [Column],
}

impl Resource {
    /// The path of one resource by its name or the part behind the collection, with a verb like `:suspend`.
    ///
    /// # Errors
    /// Where it is no name of this kind.
    pub(crate) fn at(&self, name: &str, verb: &str) -> Result<String, Failure> {
        Ok(format!("/v1/{}{verb}", text::resource(self.shape, name)?))
    }
}

/// The API and how to print.
pub(crate) struct Session {
    /// The API.
    pub(crate) api: Api,
    /// `-o`
    pub(crate) output: Format,
}

impl Session {
    /// As the options and the current context say.
    ///
    /// # Errors
    /// Where nobody has signed in.
    pub(crate) fn open(globals: &Globals) -> Result<Self, Failure> {
        Ok(Self {
            api: session::api(globals)?,
            output: globals.output,
        })
    }
    /// Lists and prints so many.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn list(&self, what: &Resource, query: &[(&str, String)], limit: Limit) -> Result<(), Failure> {
        let most = limit.most(self.output);
        let (items, more) = self.api.some(what.path, what.items, query, most).await?;
        self.output.list(what.columns, &items)?;
        limit.note(more);
        Ok(())
    }
    /// Reads and prints one.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn get(&self, what: &Resource, name: &str) -> Result<(), Failure> {
        self.send(Call::get(&what.at(name, "")?)).await
    }
    /// Makes and prints one.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn create(&self, what: &Resource, body: &Value) -> Result<(), Failure> {
        self.send(Call::post(what.path, body)).await
    }
    /// Changes the values that `body` names and prints the result. Nothing to change is a mistake of the person.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<(), Failure> {
        self.send(Call::patch(path, body).query("updateMask", mask(body)?))
            .await
    }
    /// Does something to one (`:suspend`) and prints the answer.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn act(&self, what: &Resource, name: &str, verb: &str) -> Result<(), Failure> {
        self.send(Call::post(&what.at(name, verb)?, &json!({}))).await
    }
    /// Removes one and says so.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn delete(&self, what: &Resource, name: &str, query: &[(&str, String)]) -> Result<(), Failure> {
        let path = what.at(name, "")?;
        let mut call = Call::new(Method::DELETE, &path);
        for (key, value) in query {
            call = call.query(key, value.clone());
        }
        let answer = self.api.send(call).await?;
        self.done(&format!("{name} is deleted."), &answer)
    }
    /// Says to people that something is done; programs get the answer.
    ///
    /// # Errors
    /// Where stdout cannot be written.
    pub(crate) fn done(&self, text: &str, answer: &Value) -> Result<(), Failure> {
        match self.output {
            Format::Json | Format::Yaml => self.output.one(answer),
            _ => {
                output::say(text);
                Ok(())
            }
        }
    }
    /// Sends and prints what comes back.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<(), Failure> {
        self.output.one(&self.api.send(call).await?)
    }
}

/// A body of the options that were given; the others are left out.
pub(crate) fn given(values: &[(&str, Option<&str>)]) -> Value {
    let set = values
        .iter()
        .filter_map(|(key, value)| value.map(|value| ((*key).to_owned(), json!(value))));
    Value::Object(set.collect())
}

/// The names of what a body changes.
fn mask(body: &Value) -> Result<String, Failure> {
    let names = body.as_object().into_iter().flat_map(serde_json::Map::keys);
    let names: Vec<&str> = names.map(String::as_str).filter(|name| *name != "etag").collect();
    if names.is_empty() {
        return Err(Failure::usage("nothing to change: see --help for the options"));
    }
    Ok(names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_whole_list_and_a_person_a_page() {
        let most = |limit, output| Limit { limit }.most(output);
        for whole in [Format::Json, Format::Yaml, Format::Name] {
            assert_eq!((most(None, whole), most(Some(3), whole)), (0, 3));
        }
        for table in [Format::Table, Format::Wide] {
            assert_eq!((most(None, table), most(Some(0), table)), (50, 0));
        }
    }

    #[test]
    fn only_what_was_given_is_changed() {
        let body = given(&[
            ("displayName", Some("A")),
            ("supportUri", None),
            ("primaryColor", Some("")),
        ]);
        assert_eq!(body, json!({"displayName": "A", "primaryColor": ""}));
        assert_eq!(mask(&body).ok().as_deref(), Some("displayName,primaryColor"));
        assert_eq!(
            mask(&json!({"etag": "1"})).map_err(|failure| failure.exit().code()),
            Err(2)
        );
    }
}
