//! What each role may do, read from the methods' own policies: the table that is enforced is the table that is shown.

use super::console::{Chrome, Console, Outcome};
use askama::Template;
use std::collections::BTreeMap;
use tenantry_api::{Access, Method, Methods};

struct Row {
    what: String,
    permission: String,
    least: i32,
    scope: String,
}

struct Group {
    service: String,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "roles.html")]
struct RolesPage {
    chrome: Chrome,
    groups: Vec<Group>,
    roles: [(i32, &'static str); 4],
}

pub(super) async fn show(console: &Console) -> Outcome {
    console.page(&RolesPage {
        chrome: console.chrome(),
        groups: groups(&console.edge.methods, console.is_operator()),
        roles: [(1, "viewer"), (2, "member"), (3, "admin"), (4, "owner")],
    })
}

/// Whether a method is for the people of this host. Operators manage the platform and their own people; they have no
/// records, no backups and no plan of their own.
fn is_for(method: &Method, operators: bool) -> bool {
    match method.access {
        Access::Tenant => !operators || method.service == "auth",
        Access::Operator => operators,
        Access::Public | Access::Service => false,
    }
}

fn groups(methods: &Methods, operators: bool) -> Vec<Group> {
    let mut all: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
    for method in methods.iter().filter(|method| is_for(method, operators)) {
        let mut parts = method.permission.splitn(3, '.');
        let (service, thing, verb) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let row = Row {
            what: format!("{}: {}", thing.replace('_', " "), verb.replace('_', " ")),
            permission: method.permission.clone(),
            least: method.least_role,
            scope: method.scope.clone(),
        };
        all.entry(service.to_owned())
            .or_default()
            .entry(method.permission.clone())
            .or_insert(row);
    }
    all.into_iter()
        .map(|(service, rows)| Group {
            service,
            rows: rows.into_values().collect(),
        })
        .collect()
}

/// Every scope an API key of this host can have.
pub(super) fn scopes(methods: &Methods, operators: bool) -> Vec<String> {
    let mut scopes: Vec<String> = methods
        .iter()
        .filter(|method| is_for(method, operators) && !method.scope.is_empty())
        .map(|method| method.scope.clone())
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_policies_say() {
        let methods = Methods::load();
        let groups = groups(&methods, false);
        for method in methods.iter().filter(|method| method.access == Access::Tenant) {
            let mut rows = groups.iter().flat_map(|group| &group.rows);
            let row = rows
                .find(|row| row.permission == method.permission)
                .expect("every permission has a row");
            assert_eq!(row.least, method.least_role, "{}", method.permission);
        }
        assert!(
            groups
                .iter()
                .flat_map(|group| &group.rows)
                .all(|row| !row.permission.contains("fleet"))
        );
        assert!(scopes(&methods, false).contains(&"records.read".to_owned()));
    }

    #[test]
    fn operators_see_what_operators_may_do_and_nothing_of_records() {
        let methods = Methods::load();
        let groups = groups(&methods, true);
        let rows: Vec<_> = groups.iter().flat_map(|group| &group.rows).collect();
        let has = |permission: &str| rows.iter().any(|row| row.permission == permission);
        for method in methods.iter().filter(|method| method.access == Access::Operator) {
            assert!(has(&method.permission), "{}", method.permission);
        }
        assert!(has("auth.users.create") && !has("business.records.get"));
        let scopes = scopes(&methods, true);
        assert!(scopes.contains(&"users.read".to_owned()) && !scopes.contains(&"records.read".to_owned()));
    }
}
