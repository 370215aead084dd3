//! The configuration of a gateway under test: its defaults, and services that are nowhere.

use tenantry_gateway::Config;

pub(crate) fn config() -> Config {
    let defaults = include_str!("../../src/defaults.toml");
    let services = ["auth", "registry", "business", "backup", "monitoring"];
    let services = services
        .map(|name| format!("[{name}]\nendpoint = \"http://127.0.0.1:1\"\n"))
        .concat();
    let text = format!(
        "{defaults}\n[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{services}[amqp]\nurl = \"amqp://gateway:0123456789@127.0.0.1:1/x\"\n\
         [identity]\nservice = \"gateway\"\nsecret = \"0123456789012345678901234567890123\"\n",
    );
    let file = std::env::temp_dir().join(format!(
        "tenantry-gateway-it-{}-{:?}.toml",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&file, text).expect("a file");
    let config = Config::load(Some(&file)).expect("a configuration");
    std::fs::remove_file(&file).expect("it is ours");
    config
}
