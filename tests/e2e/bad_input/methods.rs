//! Every method of the contract with one bad leaf at a time, from the descriptors: a new field is covered by itself.

use super::{Judge, desk};
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use tenantry_api::{Access, Methods};
use tenantry_tests::{Call, HttpRule, Operator, Rest};

/// A request that is right but for one leaf.
struct Bad {
    what: String,
    request: Value,
    /// The JSON mapping itself refuses it, so gRPC cannot even carry it.
    rest_only: bool,
}

fn bad_leaves(kind: &Kind) -> Vec<(Value, bool)> {
    match kind {
        Kind::String => vec![
            (json!("a\u{0}b"), false),
            (json!("x".repeat(200_000)), false),
            (json!("\u{202e}\u{feff}'\";--"), false),
            (json!(5), true),
            (json!([]), true),
        ],
        Kind::Bytes => vec![(json!("***"), true), (json!(5), true)],
        Kind::Bool => vec![(json!("yes"), true), (json!(5), true)],
        Kind::Double | Kind::Float => vec![(json!("x"), true)],
        Kind::Enum(_) => vec![(json!("NOPE"), true), (json!(9_999), false)],
        Kind::Message(_) => vec![(json!("nonsense"), true), (json!(5), true), (json!([1]), true)],
        _ => vec![
            (json!("x"), true),
            (json!(1.5), true),
            (json!(1e40), true),
            (json!(-1), false),
        ],
    }
}

/// One for each leaf of the message, down to `depth`.
fn bad_requests(message: &MessageDescriptor, base: &Value, prefix: &[String], depth: usize, all: &mut Vec<Bad>) {
    for field in message.fields() {
        let mut path = prefix.to_vec();
        path.push(field.json_name().to_owned());
        for (leaf, rest_only) in bad_leaves(&field.kind()) {
            let rest_only =
                rest_only || matches!(&leaf, Value::Number(n) if n.as_i64() == Some(-1)) && unsigned(&field.kind());
            let leaf = if field.is_list() && leaf != json!([]) {
                json!([leaf])
            } else {
                leaf
            };
            all.push(bad(&path, base, leaf, rest_only || field.is_map()));
        }
        let nested = match field.kind() {
            Kind::Message(nested) if depth > 0 && !field.is_list() && !nested.full_name().starts_with("google.") => {
                nested
            }
            _ => continue,
        };
        bad_requests(&nested, base, &path, depth - 1, all);
    }
    let mut path = prefix.to_vec();
    path.push("thisFieldDoesNotExist".to_owned());
    all.push(bad(&path, base, json!(1), true));
}

fn unsigned(kind: &Kind) -> bool {
    matches!(kind, Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64)
}

fn bad(path: &[String], base: &Value, leaf: Value, rest_only: bool) -> Bad {
    let mut request = base.clone();
    let mut at = &mut request;
    for key in &path[..path.len() - 1] {
        if !at[key].is_object() {
            at[key] = Value::Object(Map::new());
        }
        at = &mut at[key];
    }
    let what = format!("{} = {leaf}", path.join("."));
    at[&path[path.len() - 1]] = leaf;
    Bad {
        what,
        request,
        rest_only,
    }
}

/// Plausible names for the variables of the path, so that the request reaches the method.
fn base(rule: &HttpRule) -> Value {
    let mut base = json!({});
    for variable in rule.template.split('{').skip(1) {
        let (field, pattern) = variable
            .split('}')
            .next()
            .unwrap_or_default()
            .split_once('=')
            .unwrap_or(("name", "*"));
        let name = json!(pattern.replace('*', "7f6f1c0e-6a55-7a6e-9b5e-2f1d3c4b5a69"));
        match field.split_once('.') {
            Some((parent, child)) => base[camel(parent)][camel(child)] = name,
            None => base[camel(field)] = name,
        }
    }
    base
}

fn camel(name: &str) -> String {
    let mut upper = false;
    name.chars()
        .filter_map(|c| {
            let out = (c != '_').then(|| if upper { c.to_ascii_uppercase() } else { c });
            upper = c == '_';
            out
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_leaf_of_any_request_makes_a_service_fail() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let operator = Operator::sign_in(&judge.world).await;
    let operator_host = judge.world.host("operator");
    let methods = Methods::load();
    let mut sorted: Vec<_> = methods.iter().cloned().collect();
    sorted.sort_by(|one, other| one.full_name.cmp(&other.full_name));
    for method in sorted {
        let descriptor = &method.descriptor;
        let streams = descriptor.is_client_streaming() || descriptor.is_server_streaming();
        let Some(rule) = HttpRule::of(methods.pool(), descriptor) else {
            continue;
        };
        if method.access == Access::Service || streams || method.descriptor.name() == "SignOut" {
            continue;
        }
        let (host, token) = match method.access {
            Access::Operator => (&operator_host, &operator.token),
            _ => (&tenant.host, &tenant.owner.token),
        };
        let rest = Rest::new(&judge.world, host).bearer(token);
        let call = Call::new(host, Some(token));
        let mut all = Vec::new();
        bad_requests(&descriptor.input(), &base(&rule), &[], 1, &mut all);
        for bad in all {
            let what = format!("{} {}", method.full_name, bad.what);
            let (path, body) = rule.render(&bad.request);
            if path.len() < 8_000 {
                let answer = rest.send(&rule.method, &path, body.as_ref()).await;
                judge.no_failure(&format!("REST {what}"), &answer);
                let unknown = bad.what.contains("thisFieldDoesNotExist");
                judge.holds(
                    &format!("REST {what} is refused"),
                    !unknown || answer.status >= 400,
                    &answer.json(),
                );
            }
            if !bad.rest_only {
                let outcome = call.grpc(&judge.world, descriptor, &bad.request).await;
                let ours = matches!(
                    outcome.code.as_str(),
                    "Internal" | "Unknown" | "Unavailable" | "DataLoss"
                );
                let bare = !outcome.is_ok() && outcome.reason.is_empty();
                judge.holds(&format!("gRPC {what}"), !ours && !bare, &json!(format!("{outcome:?}")));
            }
        }
    }
    judge.finish();
}
