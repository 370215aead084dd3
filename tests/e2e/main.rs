//! Flows end to end through the gateway, as customers and operators use it.

mod architecture;
mod identity;
mod records;
mod tenants;
