//! A host that does not answer a new connection, as behind a slow name server or a full accept queue, while the connections
//! that are open go on working.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{ROLE, World, good, tenant};
use std::{net::SocketAddr, time::Duration};
use tenantry_db::{PoolSettings, TenantDb};
use tenantry_testkit::eventually;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Passes one connection on to the server; later ones wait in a queue that nobody empties.
struct Doorway {
    address: SocketAddr,
    /// What fills the queue.
    waiting: Vec<TcpStream>,
}

impl Doorway {
    async fn open(server: String) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Self::serve(listener, server));
        Self {
            address,
            waiting: Vec::new(),
        }
    }

    async fn serve(listener: TcpListener, server: String) {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        // The queue stays, and stays full, until the test ends.
        std::future::pending::<()>().await;
        drop(listener);
    }

    /// Fills the queue: the system leaves further attempts without an answer.
    async fn crowd(&mut self) {
        while let Ok(open) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(self.address)).await {
            self.waiting.push(open.unwrap());
        }
    }

    /// Whether somebody is asking for a connection without an answer (state 2 in /proc/net/tcp is SYN_SENT).
    fn is_asked(&self) -> bool {
        let wanted = format!("0100007F:{:04X}", self.address.port());
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next() == Some(wanted.as_str()) && words.next() == Some("02")
        })
    }
}

#[tokio::test]
async fn a_host_that_is_slow_to_answer_does_not_keep_a_caller_from_a_free_connection() {
    let world = World::new().await;
    let url = world.url(ROLE);
    let (login, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let mut doorway = Doorway::open(server.to_owned()).await;
    let through = format!("{login}@{}/{database}", doorway.address);
    let db = TenantDb::connect(PoolSettings::new(through, 1), 1).unwrap();

    let held = db.begin(&good(tenant(1))).await.unwrap();
    doorway.crowd().await;
    eventually("nobody asks", || async {
        if doorway.is_asked() { Err("asked") } else { Ok(()) }
    })
    .await;
    let other = db.clone();
    let waiting = tokio::spawn(async move { other.begin(&good(tenant(1))).await.map(drop) });
    // The pool is busy, so the caller asks whether the server is there at all, and gets no answer.
    eventually("the caller asks", || async {
        if doorway.is_asked() { Ok(()) } else { Err("silent") }
    })
    .await;
    drop(held);
    waiting.await.unwrap().unwrap();
    drop(db);
    world.drop().await;
}
