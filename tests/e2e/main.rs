//! Flows end to end through the gateway, as customers and operators use it.

mod architecture;
mod bad_input;
mod changes;
mod identity;
mod records;
mod tenants;
