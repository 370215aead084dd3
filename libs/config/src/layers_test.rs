use super::load;
use crate::{ConfigError, Db, EX_USAGE, Endpoint, Identity, Redis, Secret, Telemetry};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    db: Db,
    redis: Redis,
    telemetry: Telemetry,
    #[serde(default)]
    services: Services,
    keys: Keys,
    #[serde(default)]
    dev: bool,
}
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Services {
    secrets: BTreeMap<String, Secret>,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    root_key_file: PathBuf,
}

const DEFAULTS: &str = r#"
[db]
url = "postgres://a:pw-default@localhost/x"
system_url = "postgres://b:pw@localhost/x"
[redis]
url = "redis://127.0.0.1"
[telemetry]
[keys]
root_key_file = "/nowhere/root.key"
"#;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tenantry-config-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("the temporary directory is writable");
    path
}

#[test]
fn environment_beats_file_beats_defaults() {
    let path = file("order", "[db]\npool_size = 7\nshards = 3\n");
    let config: Config = load(DEFAULTS, Some(&path), env(&[("db.pool_size", "9"), ("dev", "true")])).expect("valid");
    assert_eq!((config.db.pool_size, config.db.shards, config.dev), (9, 3, true));
    assert_eq!(
        (config.telemetry.log.as_str(), config.telemetry.format),
        ("info", crate::LogFormat::Text)
    );
    assert_eq!(config.db.url.expose(), "postgres://a:pw-default@localhost/x");
    assert_eq!(
        config.keys.root_key_file,
        PathBuf::from("/nowhere/root.key"),
        "not every *_file is a twin of a secret"
    );
}

#[test]
fn a_secret_can_come_from_a_file_and_stays_text() {
    let path = file("secret", "redis://u:s3cret@127.0.0.1\n");
    let vars = env(&[
        ("redis.url_file", path.to_str().expect("utf-8")),
        ("services.secrets.auth", "12e4"),
    ]);
    let config: Config = load(DEFAULTS, None, vars).expect("valid");
    assert_eq!(config.redis.url.expose(), "redis://u:s3cret@127.0.0.1");
    assert_eq!(config.services.secrets["auth"].expose(), "12e4");
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("pw-default") && !shown.contains("12e4"),
        "{shown}"
    );
}

#[test]
fn errors_name_the_key_and_what_is_accepted_and_never_a_secret() {
    let cases = [
        (env(&[("db.pol_size", "3")]), "pol_size", "pool_size"),
        (env(&[("db.pool_size", "many")]), "db.pool_size", "u32"),
        (env(&[("telemetry.format", "xml")]), "telemetry.format", "json"),
        (
            env(&[("redis.url_file", "/does/not/exist")]),
            "/does/not/exist",
            "readable",
        ),
    ];
    for (vars, key, accepted) in cases {
        let error = load::<Config>(DEFAULTS, None, vars).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(key) && text.contains(accepted), "{text}");
        assert_eq!(error.exit_code(), EX_USAGE);
    }
    let both = file("both", "[redis]\nurl = \"redis://:hush@h\"\nurl_file = \"/x\"\n");
    let text = load::<Config>(DEFAULTS, Some(&both), vec![])
        .expect_err("refused")
        .to_string();
    assert!(text.contains("redis.url_file") && !text.contains("hush"), "{text}");
    let table = load::<Config>(DEFAULTS, None, env(&[("redis.url.deep", "hush")]))
        .expect_err("refused")
        .to_string();
    assert!(table.contains("redis.url") && !table.contains("hush"), "{table}");
}

#[test]
fn insecure_settings_need_dev() {
    let redis = Redis {
        url: Secret::new("redis://u:hush@10.0.0.9:6379"),
    };
    let refused = redis
        .validate("redis", false)
        .expect_err("plain redis elsewhere")
        .to_string();
    assert!(
        refused.contains("redis.url") && refused.contains("dev = true") && !refused.contains("hush"),
        "{refused}"
    );
    assert!(redis.validate("redis", true).is_ok());
    for near in [
        "redis://u:p@127.0.0.1:1/0",
        "redis://localhost",
        "redis://[::1]:6379",
        "rediss://far.example",
    ] {
        assert!(
            Redis { url: Secret::new(near) }.validate("redis", false).is_ok(),
            "{near}"
        );
    }
    let fooled = Redis {
        url: Secret::new("redis://127.0.0.1@far.example"),
    };
    assert!(
        fooled.validate("redis", false).is_err(),
        "the user name is not the host"
    );
    let peer = |plaintext| Endpoint {
        endpoint: "http://registry:8081".into(),
        plaintext,
    };
    assert!(peer(false).validate("registry", false).is_err());
    assert!(peer(true).validate("registry", false).is_ok(), "said so, without dev");
    let short = Identity {
        service: "auth".into(),
        secret: Secret::new("short"),
    };
    assert!(matches!(
        short.validate("identity", true),
        Err(ConfigError::Invalid { .. })
    ));
}
