//! Client channels. HTTP/2 would pin a client to one pod for ever, so a name is resolved again every few seconds and
//! calls are balanced over all its addresses (decision 27) that say of themselves that they serve: a process that was asked
//! to stop says so long before DNS does, and one that was killed says nothing.

use futures::future::BoxFuture;
use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    time::Duration,
};
use tenantry_kernel::Error;
use tokio::{sync::mpsc::Sender, task::JoinSet};
use tonic::transport::{Channel, Endpoint, channel::Change};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const RESOLVE_EVERY: Duration = Duration::from_secs(5);
/// Before an address that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

type Changes = Sender<Change<SocketAddr, Endpoint>>;

/// A lazy channel to `http://host:port`. An IP address or `localhost` is one endpoint; any other name is resolved and balanced.
///
/// # Errors
/// INTERNAL for an endpoint that is not a URI (configuration was validated before).
pub fn channel(endpoint: &str) -> Result<Channel, Error> {
    let endpoint = tune(Endpoint::from_shared(endpoint.to_owned()).map_err(Error::internal)?);
    let uri = endpoint.uri().clone();
    let host = uri.host().unwrap_or_default().to_owned();
    if host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
        return Ok(endpoint.connect_lazy());
    }
    let port = uri.port_u16().unwrap_or(80);
    let (channel, changes) = Channel::balance_channel(64);
    tokio::spawn(follow(
        endpoint,
        Box::new(move || Box::pin(resolve(host.clone(), port))),
        changes,
    ));
    Ok(channel)
}

fn tune(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .initial_connection_window_size(Some(1 << 20))
        .initial_stream_window_size(Some(1 << 18))
}

/// Asks for the addresses of a name.
type Resolver = Box<dyn Fn() -> BoxFuture<'static, io::Result<HashSet<SocketAddr>>> + Send + Sync>;

async fn resolve(host: String, port: u16) -> io::Result<HashSet<SocketAddr>> {
    Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect())
}

/// Keeps one watcher for each address, until every clone of the channel is gone.
async fn follow(endpoint: Endpoint, resolver: Resolver, changes: Changes) {
    let scheme = endpoint.uri().scheme_str().unwrap_or("http").to_owned();
    // Dropped at the end, and with it every watcher.
    let (mut watchers, mut known) = (JoinSet::new(), HashMap::new());
    while !changes.is_closed() {
        match resolver().await {
            Ok(found) => {
                for address in &found {
                    let Ok(one) = Endpoint::from_shared(format!("{scheme}://{address}")) else {
                        continue;
                    };
                    known
                        .entry(*address)
                        .or_insert_with(|| watchers.spawn(watch(tune(one), *address, changes.clone())));
                }
                let gone: Vec<SocketAddr> = known.keys().filter(|known| !found.contains(known)).copied().collect();
                for address in gone {
                    if let Some(watcher) = known.remove(&address) {
                        watcher.abort();
                    }
                    drop(changes.send(Change::Remove(address)).await);
                }
            }
            // The addresses we have stay in use.
            Err(error) => tracing::debug!(%error, "a name does not resolve"),
        }
        tokio::select! {
            () = changes.closed() => return,
            () = tokio::time::sleep(RESOLVE_EVERY) => {}
        }
    }
}

/// Has an address called as long as it says that it serves.
async fn watch(endpoint: Endpoint, address: SocketAddr, changes: Changes) {
    loop {
        if let Err(error) = listen(&endpoint, address, &changes).await {
            tracing::debug!(%address, %error, "an address does not answer");
        }
        // Removing what is not there changes nothing.
        if changes.send(Change::Remove(address)).await.is_err() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The standard's health service (grpc.health.v1) tells every change by itself; its end is the end of the address, too.
async fn listen(
    endpoint: &Endpoint,
    address: SocketAddr,
    changes: &Changes,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut client = HealthClient::new(endpoint.connect().await?);
    let mut told = client.watch(HealthCheckRequest::default()).await?.into_inner();
    while let Some(status) = told.message().await? {
        // An open stream would hold up the end of a process that drains: it is asked again instead.
        if status.status != ServingStatus::Serving as i32 {
            return Ok(());
        }
        if changes.send(Change::Insert(address, endpoint.clone())).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
    };
    use tokio::{net::TcpListener, task::JoinHandle};
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic_health::{ServingStatus as Status, server::HealthReporter};

    /// One process of a service: its health, and an answer that tells which one it is.
    struct Replica {
        address: SocketAddr,
        reporter: HealthReporter,
        server: JoinHandle<Result<(), tonic::transport::Error>>,
    }

    impl Replica {
        async fn start(address: &str, which: Status) -> Self {
            let listener = TcpListener::bind(address).await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let (reporter, service) = tonic_health::server::health_reporter();
            reporter.set_service_status("which", which).await;
            let server = tonic::transport::Server::builder().add_service(service);
            let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
            Self {
                address,
                reporter,
                server,
            }
        }
    }

    /// The replicas that some calls in a row are answered by; none of them may fail.
    async fn seen(client: &HealthClient<Channel>) -> BTreeSet<i32> {
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let service = "which".to_owned();
            let answer = client.clone().check(HealthCheckRequest { service }).await;
            seen.insert(answer.expect("an answer").into_inner().status);
        }
        seen
    }

    /// Calls until these replicas have answered, and then no other.
    async fn only(client: &HealthClient<Channel>, wanted: &[Status]) {
        let wanted: BTreeSet<i32> = wanted.iter().map(|status| *status as i32).collect();
        while seen(client).await != wanted {}
    }

    #[tokio::test]
    async fn calls_go_to_every_address_that_serves_and_a_rollout_fails_none() {
        let one = Replica::start("127.0.0.1:0", Status::Serving).await;
        let two = Replica::start("127.0.0.2:0", Status::NotServing).await;
        let names = Arc::new(Mutex::new(HashSet::from([one.address, two.address])));
        let (channel, changes) = Channel::balance_channel(8);
        let client = HealthClient::new(channel);
        let known = Arc::clone(&names);
        let resolver: Resolver = Box::new(move || {
            let found = known.lock().expect("not poisoned").clone();
            Box::pin(async move { Ok(found) })
        });
        let following = tokio::spawn(follow(
            Endpoint::from_static("http://name.of.a.service:1"),
            resolver,
            changes,
        ));
        only(&client, &[Status::Serving, Status::NotServing]).await;

        // As after SIGTERM: it serves, says that nobody should come, and ends some time later. DNS still names it.
        one.reporter.set_service_status("", Status::NotServing).await;
        only(&client, &[Status::NotServing]).await;
        one.server.abort();
        only(&client, &[Status::NotServing]).await;

        // The next process gets its address.
        let again = Replica::start(&one.address.to_string(), Status::Serving).await;
        only(&client, &[Status::Serving, Status::NotServing]).await;

        names.lock().expect("not poisoned").remove(&two.address);
        only(&client, &[Status::Serving]).await;
        drop(client);
        following.await.expect("it ends with the channel");
        again.server.abort();
    }
}
