//! The signed context behind PgBouncer in transaction pooling: every tenant shares one server connection, so whatever
//! one transaction leaves behind is met by the next tenant's. The pooler is private to the test and dies with it.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{ROLE, World, good, id, tenant, token};
use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tenantry_db::{PoolSettings, TenantDb, Tx, query};

/// A pgbouncer process of our own in front of one database.
pub(crate) struct Pooler {
    process: Child,
    dir: PathBuf,
    pub(crate) url: String,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.dir).ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// PgBouncer refuses to run as root: then it runs as the user that the database servers of this machine run as.
fn unprivileged(dir: &std::path::Path) -> Option<&'static str> {
    if fs::metadata(dir).unwrap().uid() != 0 {
        return None;
    }
    let known = |user: &&str| {
        Command::new("id")
            .arg(user)
            .output()
            .is_ok_and(|done| done.status.success())
    };
    Some(
        ["tenantry-dev", "nobody"]
            .into_iter()
            .find(known)
            .expect("root needs a user to drop to"),
    )
}

impl Pooler {
    async fn start(world: &World) -> Self {
        Self::start_with(world, |_| String::new()).await
    }

    /// With more settings; `settings` may put files into the directory.
    pub(crate) async fn start_with(world: &World, settings: impl FnOnce(&std::path::Path) -> String) -> Self {
        let direct = world.url(ROLE);
        let (login, rest) = direct.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (host, _) = rest.split_once('/').unwrap();
        let (host, server_port) = host.split_once(':').unwrap();
        let (port, database) = (free_port(), &world.database);

        let dir = std::env::temp_dir().join(format!("pooler-{database}"));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let at = |name: &str| dir.join(name).display().to_string();
        fs::write(at("users"), format!("\"{user}\" \"{password}\"\n")).unwrap();
        let config = format!(
            "[databases]\n{database} = host={host} port={server_port} dbname={database}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 1\nmin_pool_size = 0\nreserve_pool_size = 0\nmax_client_conn = 50\n{}",
            at("users"),
            settings(&dir)
        );
        fs::write(at("config"), config).unwrap();
        let log = fs::File::create(at("log")).unwrap();

        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
            .into_iter()
            .find(|path| fs::exists(path).unwrap())
            .expect("no pgbouncer on this machine: run deploy/dev/install.sh --for-tests");
        // A test that is killed takes the pooler with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = unprivileged(&dir) {
            let own = Command::new("chown").args(["-R", user]).arg(&dir).status().unwrap();
            assert!(own.success());
            command.args(["--reuid", user, "--regid", "65534", "--clear-groups"]);
        }
        let process = command
            .arg(program)
            .arg(at("config"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut pooler = Self {
            process,
            url: format!("postgres://{login}@127.0.0.1:{port}/{database}"),
            dir,
        };
        pooler.ready().await;
        pooler
    }

    /// It listens only when it has read its configuration.
    async fn ready(&mut self) {
        let started = Instant::now();
        let port = self.options().get_port();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(20),
                "pgbouncer {ended:?}: {}",
                fs::read_to_string(self.dir.join("log")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn options(&self) -> PgConnectOptions {
        self.url.parse().unwrap()
    }

    /// A client of the pooler that has none of our library's care.
    async fn raw(&self) -> PgConnection {
        let options = self.options().statement_cache_capacity(0).extra_float_digits(None);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// One client connection, as one service process would hold it.
    fn tenants(&self) -> TenantDb {
        TenantDb::connect(PoolSettings::new(self.url.clone(), 1), 1).unwrap()
    }
}

async fn pid(tx: &mut Tx) -> i32 {
    let row = tx.fetch_one(query("SELECT pg_catalog.pg_backend_pid()")).await.unwrap();
    row.get(0)
}

/// One request of tenant `n`: writes a note, reads all it can see. Returns the backend and the owners of what it saw.
async fn request(db: &TenantDb, n: u128, note: u128) -> (i32, Vec<uuid::Uuid>) {
    let mut tx = db.begin(&good(tenant(n))).await.unwrap();
    let insert = query("INSERT INTO app.notes VALUES ($1::pg_catalog.uuid, $2, 'größe ✓' || $3)")
        .bind(tenant(n).uuid())
        .bind(id(note))
        .bind(note.to_string());
    assert_eq!(tx.execute(insert).await.unwrap(), 1);
    // No predicate: row security alone decides.
    let rows = tx
        .fetch_all(query("SELECT tenant_id, text FROM app.notes"))
        .await
        .unwrap();
    assert!(
        rows.iter()
            .any(|row| row.get::<String, _>(1) == format!("größe ✓{note}"))
    );
    let owners = rows.iter().map(|row| row.get(0)).collect();
    let pid = pid(&mut tx).await;
    tx.commit().await.unwrap();
    (pid, owners)
}

#[tokio::test]
async fn the_driver_needs_our_options_to_pass_the_pooler() {
    let world = World::new().await;
    let pooler = Pooler::start(&world).await;
    let refused = PgConnection::connect_with(&pooler.options()).await.unwrap_err();
    assert!(refused.to_string().contains("extra_float_digits"), "{refused}");
    pooler.raw().await.close().await.unwrap();
    drop(pooler);
    world.drop().await;
}

#[tokio::test]
async fn the_context_opens_its_tenant_and_ends_with_its_transaction() {
    let world = World::new().await;
    let pooler = Pooler::start(&world).await;
    let (a, b) = (pooler.tenants(), pooler.tenants());
    let (backend, owners) = request(&a, 1, 1).await;
    assert_eq!(owners, [tenant(1).uuid()]);
    assert_eq!(
        request(&b, 2, 2).await,
        (backend, vec![tenant(2).uuid()]),
        "one shared backend"
    );
    assert_eq!(request(&a, 1, 3).await, (backend, vec![tenant(1).uuid(); 2]));

    let mut raw = pooler.raw().await;
    let row = sqlx::query(
        "SELECT pg_catalog.pg_backend_pid(), coalesce(pg_catalog.current_setting('tenancy.ctx', true), ''), (SELECT count(*) FROM app.notes)",
    )
    .persistent(false)
    .fetch_one(&mut raw)
    .await
    .unwrap();
    assert_eq!(row.get::<i32, _>(0), backend, "one shared backend");
    assert_eq!((row.get::<String, _>(1).as_str(), row.get::<i64, _>(2)), ("", 0));

    // A transaction that fails or is given up leaves no more behind than one that commits.
    let mut tx = a.begin(&good(tenant(1))).await.unwrap();
    assert!(tx.execute(query("SELECT 1/0")).await.is_err());
    drop(tx);
    drop(a.begin(&good(tenant(1))).await.unwrap());
    assert_eq!(request(&b, 2, 4).await, (backend, vec![tenant(2).uuid(); 2]));
    let seen: i64 = sqlx::query("SELECT count(*) FROM app.notes")
        .persistent(false)
        .fetch_one(&mut raw)
        .await
        .unwrap()
        .get(0);
    assert_eq!(seen, 0);
    drop((raw, pooler));
    world.drop().await;
}

/// Decision 32 behind the pooler: attacker first, victim second, on the one server connection.
#[tokio::test]
async fn what_an_attacker_plants_does_not_meet_the_next_tenant() {
    let world = World::new().await;
    let pooler = Pooler::start(&world).await;
    let (attacker, victim) = (pooler.tenants(), pooler.tenants());
    let (backend, _) = request(&victim, 2, 1).await;

    for sql in [
        "CREATE DOMAIN pg_temp.uuid AS pg_catalog.text CHECK (pg_catalog.set_config('leak.x', VALUE, false) IS NOT NULL)",
        "CREATE TEMP TABLE notes (tenant_id uuid)",
        "CREATE FUNCTION pg_temp.uuid(text) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE tenantry_owner",
        "SET SESSION AUTHORIZATION tenantry_owner",
    ] {
        let mut tx = attacker.begin(&good(tenant(1))).await.unwrap();
        assert!(tx.execute(query(sql)).await.is_err(), "{sql}");
    }

    let mut tx = attacker.begin(&good(tenant(1))).await.unwrap();
    assert_eq!(pid(&mut tx).await, backend, "one shared backend");
    tx.execute(query("DEALLOCATE ALL")).await.unwrap();
    for n in 0..40 {
        let planted = "AS SELECT pg_catalog.set_config('leak.token', $1, false), ''";
        tx.execute(query(format!("PREPARE sqlx_s_{n} (text) {planted}")))
            .await
            .unwrap();
    }
    tx.execute(query("DECLARE planted CURSOR WITH HOLD FOR SELECT * FROM app.notes"))
        .await
        .unwrap();
    tx.execute(query("LISTEN planted")).await.unwrap();
    // Out of the transaction, so that what is set stays with the server connection.
    tx.execute(query("COMMIT")).await.unwrap();
    let own = token(tenant(1)).expose().to_owned();
    for (name, value) in [
        ("tenancy.ctx", own.as_str()),
        ("search_path", "pg_temp, app, pg_catalog"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("row_security", "off"),
        ("TimeZone", "Pacific/Apia"),
        ("client_encoding", "LATIN1"),
        ("statement_timeout", "1"),
    ] {
        let set = query("SELECT pg_catalog.set_config($1, $2, false)")
            .bind(name)
            .bind(value);
        tx.execute(set).await.unwrap();
    }
    tx.rollback().await.ok();

    let (met, owners) = request(&victim, 2, 2).await;
    assert_eq!(met, backend, "the victim met the attacker's backend");
    assert_eq!(
        owners,
        vec![tenant(2).uuid(); 2],
        "the victim is served, and sees its own rows only"
    );

    let mut tx = attacker.begin(&good(tenant(1))).await.unwrap();
    assert_eq!(pid(&mut tx).await, backend, "and the attacker the victim's");
    let leaked: Option<String> = tx
        .fetch_one(query("SELECT pg_catalog.current_setting('leak.token', true)"))
        .await
        .unwrap()
        .get(0);
    assert!(leaked.is_none_or(|value| value.is_empty()), "the victim's token leaked");
    for (what, sql) in [
        (
            "statements",
            "SELECT name FROM pg_catalog.pg_prepared_statements WHERE name <> ''",
        ),
        ("cursors", "SELECT name FROM pg_catalog.pg_cursors WHERE is_holdable"),
        ("channels", "SELECT pg_catalog.pg_listening_channels()"),
        ("rows", "SELECT text FROM app.notes"),
    ] {
        let found = tx.fetch_all(query(sql)).await.unwrap();
        assert!(found.is_empty(), "{what} survived");
    }
    drop((tx, pooler));
    world.drop().await;
}

#[tokio::test]
async fn two_hundred_interleaved_transactions_leak_no_row() {
    let world = World::new().await;
    let pooler = Pooler::start(&world).await;
    let run = async |n: u128| {
        let db = pooler.tenants();
        let (mut backends, mut seen) = (Vec::new(), Vec::new());
        for round in 0..100 {
            let (backend, owners) = request(&db, n, n * 1000 + round).await;
            backends.push(backend);
            seen.push(owners.len());
            assert!(
                owners.iter().all(|owner| *owner == tenant(n).uuid()),
                "a foreign row in round {round}"
            );
        }
        backends.dedup();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>(), "exactly the own rows");
        backends
    };
    let (a, b) = tokio::join!(run(1), run(2));
    assert_eq!(
        (a.len(), a),
        (1, b),
        "both tenants used one server connection all the time"
    );
    drop(pooler);
    world.drop().await;
}
