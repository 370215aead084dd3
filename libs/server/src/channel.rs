//! Client channels. HTTP/2 would pin a client to one pod for ever, so a name is resolved again every few seconds and
//! calls are balanced over all its addresses (decision 27).

use std::{collections::HashSet, net::SocketAddr, time::Duration};
use tenantry_kernel::Error;
use tokio::sync::mpsc::Sender;
use tonic::transport::{Channel, Endpoint, channel::Change};

const RESOLVE_EVERY: Duration = Duration::from_secs(5);

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
    tokio::spawn(follow_dns(endpoint, host, port, changes));
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

async fn follow_dns(endpoint: Endpoint, host: String, port: u16, changes: Sender<Change<SocketAddr, Endpoint>>) {
    let mut known = HashSet::new();
    loop {
        match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => {
                let found: HashSet<SocketAddr> = found.collect();
                for change in difference(&endpoint, &known, &found) {
                    if changes.send(change).await.is_err() {
                        return; // every clone of the channel is gone
                    }
                }
                known = found;
            }
            // The addresses we have stay in use.
            Err(error) => tracing::debug!(host, %error, "name does not resolve"),
        }
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}

fn difference(
    endpoint: &Endpoint,
    known: &HashSet<SocketAddr>,
    found: &HashSet<SocketAddr>,
) -> Vec<Change<SocketAddr, Endpoint>> {
    let scheme = endpoint.uri().scheme_str().unwrap_or("http").to_owned();
    let added = found.difference(known).filter_map(|address| {
        let one = Endpoint::from_shared(format!("{scheme}://{address}")).ok()?;
        Some(Change::Insert(*address, tune(one)))
    });
    let gone = known.difference(found).map(|address| Change::Remove(*address));
    added.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic_health::{ServingStatus, pb::HealthCheckRequest, pb::health_client::HealthClient};

    /// A health server at `address` whose answer tells which one it is.
    async fn replica(listener: TcpListener, status: ServingStatus) {
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter.set_service_status("which", status).await;
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    /// The statuses that some calls in a row are answered with.
    async fn seen(client: &HealthClient<Channel>) -> BTreeSet<i32> {
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let request = HealthCheckRequest {
                service: "which".to_owned(),
            };
            seen.insert(
                client
                    .clone()
                    .check(request)
                    .await
                    .expect("an answer")
                    .into_inner()
                    .status,
            );
        }
        seen
    }

    #[tokio::test]
    async fn calls_go_to_every_address_of_a_name_and_to_a_gone_one_no_more() {
        let one = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let two = TcpListener::bind("127.0.0.2:0").await.expect("a port");
        let (a, b) = (one.local_addr().expect("bound"), two.local_addr().expect("bound"));
        replica(one, ServingStatus::Serving).await;
        replica(two, ServingStatus::NotServing).await;

        let endpoint = tune(Endpoint::from_static("http://name.of.a.service:1"));
        let (channel, changes) = Channel::balance_channel(8);
        let client = HealthClient::new(channel);
        let both: HashSet<SocketAddr> = [a, b].into();
        for change in difference(&endpoint, &HashSet::new(), &both) {
            changes.send(change).await.expect("the channel lives");
        }
        let mut all = BTreeSet::new();
        while all.len() < 2 {
            all.extend(seen(&client).await);
        }
        for change in difference(&endpoint, &both, &[b].into()) {
            changes.send(change).await.expect("the channel lives");
        }
        while seen(&client).await.len() > 1 {}
        assert_eq!(seen(&client).await, [ServingStatus::NotServing as i32].into());
    }
}
